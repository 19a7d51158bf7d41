"""A process with homeservers inside ends as one without, however it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import roomlet

RUNS = 10
"""How often a program runs: a thread left behind shows only in some of the runs."""

BEGIN = """
import asyncio, os, sys
from roomlet import Code, Homeserver, Request, Response, RoomletError, TransportError

class Nowhere:
    async def send(self, request: Request) -> Response:
        await asyncio.sleep(3600)
        raise AssertionError

kept = []
"""

CLOSED = """
async def main() -> None:
    async with Homeserver.open("one.test", transport=Nowhere()) as server:
        print(await server.create_account("alice"))

asyncio.run(main())
"""

OPEN = """
async def main() -> None:
    server = await Homeserver.open("one.test", transport=Nowhere())
    kept.append(server)
    print(await server.create_account("alice"))
    wait = server.join("@alice:one.test", "!x:two.test", via=["two.test"])
    kept.append(asyncio.ensure_future(wait))
    await server.accounts()
"""

LEFT_OPEN = OPEN + "asyncio.run(main())"

LEFT_WAITING = OPEN + "kept.append(asyncio.new_event_loop()); kept[0].run_until_complete(main())"

STOPPED = """
import gc, time

async def main() -> None:
    kept.append(await Homeserver.open("one.test", transport=Nowhere()))
    print(await kept[1].create_account("alice"))
    kept.append(asyncio.ensure_future(kept[1].join("@alice:one.test", "!x:two.test", via=["two.test"])))
    await asyncio.sleep(0)

kept.append(asyncio.new_event_loop())
kept[0].run_until_complete(main())
# The request comes to an event loop that runs no more.
time.sleep(0.1)
kept[0].close()
gc.collect()
"""

STOPPED_AT_ONCE = """
import gc
from roomlet._native import bindings

kept.append(asyncio.new_event_loop())

async def called() -> None:
    raise AssertionError

# The event loop learns of a callback, and stops before it takes the first step.
call = bindings._UniffiCallbackTask(called)
kept[0].call_soon(call.start)
kept[0].call_soon(kept[0].stop)
kept[0].run_forever()
kept[0].close()
del call
gc.collect()
print("@alice:one.test")
"""

LET_GO = """
async def main() -> None:
    server = await Homeserver.open("one.test", transport=Nowhere())
    print(await server.create_account("alice"))

asyncio.run(main())
"""

INTERRUPTED = """
class Impatient:
    async def send(self, request: Request) -> Response:
        raise KeyboardInterrupt

async def main() -> None:
    async with Homeserver.open("one.test", transport=Impatient()) as server:
        print(await server.create_account("alice"))
        await server.join("@alice:one.test", "!x:two.test", via=["two.test"])

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""

FORKED = """
async def parent() -> Homeserver:
    server = await Homeserver.open("one.test", transport=Nowhere(), path=sys.argv[1])
    print(await server.create_account("alice"), flush=True)
    return server

async def child(server: Homeserver) -> int:
    for call in (server.accounts, server.close):
        try:
            await call()
        except RoomletError as error:
            assert error.code is Code.CLOSED and "forked from" in error.message, error
        else:
            return 1
    async with Homeserver.open("two.test", transport=Nowhere()) as own:
        return 0 if await own.create_account("bob") == "@bob:two.test" else 2

async def again(server: Homeserver) -> None:
    assert await server.accounts() == ["@alice:one.test"]
    await server.close()
    # The child lives, and the file is free.
    async with Homeserver.open("one.test", transport=Nowhere(), path=sys.argv[1]) as server:
        assert await server.accounts() == ["@alice:one.test"]

loop = asyncio.new_event_loop()
server = loop.run_until_complete(parent())
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(write)
    code = asyncio.run(child(server))
    os.read(read, 1)
    sys.exit(code)
os.close(read)
loop.run_until_complete(again(server))
os.close(write)
assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.parametrize(
    "program", [CLOSED, LEFT_OPEN, LEFT_WAITING, STOPPED, STOPPED_AT_ONCE, LET_GO, INTERRUPTED, FORKED]
)
def test_process_ends_cleanly(program: str, tmp_path: Path) -> None:
    package = Path(roomlet.__file__).parent.parent
    for run in range(RUNS):
        ended = subprocess.run(
            [sys.executable, "-c", BEGIN + program, tmp_path / f"{run}.db"],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(package)},
        )
        # asyncio tells of tasks that were left behind.
        said = "" if program in (LEFT_OPEN, LEFT_WAITING, STOPPED, STOPPED_AT_ONCE) else ended.stderr
        assert (ended.returncode, ended.stdout, said) == (0, "@alice:one.test\n", "")
        assert "never awaited" not in ended.stderr
