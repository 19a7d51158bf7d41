"""A process with homeservers inside ends as one without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import roomlet

RUNS = 10
"""How often the program runs: a thread left behind shows only in some of the runs."""

PROGRAM = """
import asyncio
from roomlet import Homeserver, Request, Response, TransportError

class Nowhere:
    async def send(self, request: Request) -> Response:
        raise TransportError("no network")

async def main() -> None:
    async with Homeserver.open("one.test", transport=Nowhere()) as server:
        print(await server.create_account("alice"))

asyncio.run(main())
"""


def test_process_ends_cleanly_after_its_homeserver_closed() -> None:
    package = Path(roomlet.__file__).parent.parent
    for _ in range(RUNS):
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env={"PYTHONPATH": str(package)}
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "@alice:one.test\n", "")
