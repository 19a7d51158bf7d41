"""From a server name to where to connect and whose certificate to expect (server-server API, "Server discovery").

The steps, in order: an IP literal; an explicit port; `/.well-known/matrix/server`, whose answer goes through the same
steps without a second well-known; the SRV records `_matrix-fed._tcp` and (deprecated) `_matrix._tcp`; port 8448.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

DEFAULT_PORT = 8448
"""Where a server listens that says nothing else."""

WELL_KNOWN_DEFAULT_S = 24 * 3600.0
"""How long a well-known holds without cache headers."""
WELL_KNOWN_MIN_S = 300.0
"""How long it holds at least, whatever its headers say: they must not make us ask for every request."""
WELL_KNOWN_MAX_S = 48 * 3600.0
"""How long it holds at most: a mistake must be repairable."""
FAILURE_FIRST_S = 60.0
"""How long the first failure of a well-known is remembered; it doubles with each further one."""
FAILURE_MAX_S = 3600.0
"""How long a failure is remembered at most."""
MAX_ENTRIES = 10_000
"""Well-known answers held; the oldest goes first."""

_NAME = re.compile(r"(?P<host>[0-9A-Za-z.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a server."""

    host: str
    """The value of the `Host` header."""
    tls_name: str
    """Whom the certificate must name; no SNI is sent where it is an IP address."""
    addresses: tuple[tuple[str, int], ...]
    """Hosts and ports to connect to, the first that answers."""


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class WellKnown:
    """What a host's well-known says."""

    server: str
    """The name that it delegates to."""
    max_age_s: float | None
    """How long its headers let it be cached; None without such headers."""


FetchWellKnown = Callable[[str], Awaitable[WellKnown | None]]
"""Fetches the well-known of a host; None if there is none or it is wrong."""
LookupSrv = Callable[[str], Awaitable[list[SrvRecord]]]
"""The SRV records of a DNS name; empty if there are none."""


@dataclass(slots=True)
class _Entry:
    server: str | None
    expires: float
    failures: int


def split_name(name: str) -> tuple[str, int | None]:
    """The host (an IPv6 address without its brackets) and the port of a server name; ValueError if it is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no server name")
    host, port = match["host"], match["port"]
    if port is not None and not 0 < int(port) <= 65535:
        raise ValueError(f"{name!r} has no port that can be connected to")
    if host.startswith("["):
        ipaddress.IPv6Address(host[1:-1])
        host = host[1:-1]
    return host, int(port) if port is not None else None


def is_ip(host: str) -> bool:
    """Whether `host` is an IP literal."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Discovery:
    """Resolves server names, and remembers well-known answers. For one event loop."""

    def __init__(
        self,
        fetch_well_known: FetchWellKnown,
        *,
        lookup_srv: LookupSrv | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """`lookup_srv` is by default the system's DNS; `clock` counts seconds; `rng` picks by weight."""
        self._fetch_well_known = fetch_well_known
        self._lookup_srv = lookup_srv if lookup_srv is not None else DnsSrv()
        self._clock = clock
        self._rng = rng if rng is not None else random.Random()
        self._cache: dict[str, _Entry] = {}
        self._fetching: dict[str, asyncio.Task[_Entry]] = {}

    async def resolve(self, name: str) -> Route:
        """How to reach the server `name`; ValueError if it is no server name."""
        host, port = split_name(name)
        if is_ip(host) or port is not None:  # steps 1 and 2
            return _direct(name, host, port)
        delegated = await self._well_known(host)
        if delegated is None:  # steps 4 to 6
            return await self._by_dns(host)
        host, port = split_name(delegated)
        if is_ip(host) or port is not None:  # steps 3.1 and 3.2
            return _direct(delegated, host, port)
        return await self._by_dns(host)  # steps 3.3 to 3.5

    async def _by_dns(self, host: str) -> Route:
        for service in ("_matrix-fed._tcp", "_matrix._tcp"):
            records = in_order(await self._lookup_srv(f"{service}.{host}"), self._rng)
            if records:
                # Certificate and Host stay the name before SRV: DNS alone must not redirect (FED-11).
                return Route(host, host, tuple((record.target, record.port) for record in records))
        return Route(host, host, ((host, DEFAULT_PORT),))

    async def _well_known(self, host: str) -> str | None:
        entry = self._cache.get(host)
        if entry is not None and entry.expires > self._clock():
            return entry.server
        task = self._fetching.get(host)
        if task is None:
            task = asyncio.ensure_future(self._refresh(host, entry.failures if entry is not None else 0))
            self._fetching[host] = task
            task.add_done_callback(lambda _: self._fetching.pop(host, None))
        # One fetch serves all who wait; one who no longer waits must not end it for the others.
        return (await asyncio.shield(task)).server

    async def _refresh(self, host: str, failures: int) -> _Entry:
        found = await self._fetch_well_known(host)
        if found is not None and not _is_name(found.server):
            found = None
        if found is None:
            wait = min(FAILURE_FIRST_S * 2 ** min(failures, 16), FAILURE_MAX_S)
            entry = _Entry(None, self._clock() + wait, failures + 1)
        else:
            age = found.max_age_s if found.max_age_s is not None else WELL_KNOWN_DEFAULT_S
            age = min(max(age, WELL_KNOWN_MIN_S), WELL_KNOWN_MAX_S)
            entry = _Entry(found.server, self._clock() + age, 0)
        self._cache.pop(host, None)
        self._cache[host] = entry
        while len(self._cache) > MAX_ENTRIES:
            del self._cache[next(iter(self._cache))]
        return entry


def in_order(records: list[SrvRecord], rng: random.Random) -> list[SrvRecord]:
    """The records in the order to try them (RFC 2782): by priority, within one at random by weight."""
    left = sorted(
        (record for record in records if record.target not in ("", ".")),
        key=lambda record: (record.priority, record.weight, record.target, record.port),
    )
    ordered: list[SrvRecord] = []
    while left:
        group = [record for record in left if record.priority == left[0].priority]
        chosen = group[0]
        at = rng.randint(0, sum(record.weight for record in group))
        for record in group:
            at -= record.weight
            if at <= 0:
                chosen = record
                break
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def _direct(name: str, host: str, port: int | None) -> Route:
    return Route(name, host, ((host, port if port is not None else DEFAULT_PORT),))


def _is_name(name: str) -> bool:
    try:
        split_name(name)
    except ValueError:
        return False
    return True


class DnsSrv:
    """Looks SRV records up with the system's resolver settings and caches them as their TTL says."""

    def __init__(self) -> None:
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def __call__(self, name: str) -> list[SrvRecord]:
        """The records of `name`; none also where DNS does not answer, so that the next step is tried."""
        try:
            if self._resolver is None:
                self._resolver = dns.asyncresolver.Resolver()
                self._resolver.cache = dns.resolver.LRUCache()
            answer = await self._resolver.resolve(name, dns.rdatatype.SRV)
        except (dns.exception.DNSException, OSError):
            return []
        return [
            SrvRecord(record.priority, record.weight, record.port, record.target.to_text(omit_final_dot=True))
            for record in answer
        ]
