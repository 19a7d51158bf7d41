"""One roomlet host and one Synapse, side by side, for each kind of host."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from roomlet_driver import Authority, Host, HostKind, Synapse, SynapseUser, free_port


@dataclass
class Pair:
    """The two servers; every test makes users and rooms of its own on them."""

    host: Host
    synapse: Synapse
    _names: "itertools.count[int]" = field(default_factory=itertools.count)

    async def local(self) -> str:
        """A new user of the roomlet host: its id."""
        return await self.host.account(f"local{next(self._names)}")

    async def remote(self) -> SynapseUser:
        """A new user of Synapse."""
        return await self.synapse.user(f"remote{next(self._names)}")


@pytest_asyncio.fixture(scope="session", params=list(HostKind), ids=lambda kind: kind.value)
async def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Both servers, for all tests of one kind of host."""
    directory: Path = tmp_path_factory.mktemp(request.param.value)
    authority = Authority(directory / "tls")
    certificate = authority.issue("localhost")
    port = free_port()
    name = f"localhost:{port}"
    host = Host(request.param, name, port, directory / "roomlet", certificate, authority.ca_file)
    synapse = Synapse(free_port(), directory / "synapse", certificate, authority.ca_file)
    try:
        await synapse.start()
        await host.start()
        yield Pair(host, synapse)
    finally:
        try:
            await host.stop()
        finally:
            await synapse.close()


@pytest_asyncio.fixture
async def pair(servers: Pair) -> Pair:
    """Both servers, running also if the test before this one left one of them down."""
    if not servers.synapse.running:
        await servers.synapse.start()
    if not servers.host.running:
        await servers.host.start()
    return servers
