"""Kills busy hosts at random moments and checks after each kill that nothing acknowledged is lost.

Two hosts, one in C and one in Python, exchange messages and state in one room after the other. A seed decides
whom to kill with SIGKILL, and when. After each restart: the store opens; everything that the killed host had
acknowledged is in its timeline; a retry of what it had not answered sends nothing twice; both servers come to
hold the same events and state. Prints a line a kill; exits non-zero at the first failure, naming the seed.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from roomlet_driver import Authority, Host, HostGone, HostKind, eventually, free_port, same_state

# A new room after this many kills, so that comparing whole timelines stays cheap.
KILLS_PER_ROOM = 10
# Commands that each side keeps in flight.
SENDERS = 3
# The longest time, in seconds, that the hosts are left busy before a kill.
LONGEST_BUSY = 1.5
# How long, in seconds, two servers may take to agree after a restart.
CONVERGE_SECONDS = 90


@dataclass
class Side:
    """One host with its user, and what that user was told about the present room."""

    host: Host
    user: str
    room: str = ""
    acknowledged: dict[str, str] = field(default_factory=dict)  # text -> event id
    unanswered: set[str] = field(default_factory=set)  # texts whose command the kill interrupted
    sent: int = 0

    @property
    def name(self) -> str:
        """The user's localpart."""
        return self.user[1:].split(":", 1)[0]

    def enter(self, room: str) -> None:
        """Starts anew in `room`."""
        self.room = room
        self.acknowledged.clear()
        self.unanswered.clear()

    async def send(self, text: str) -> str:
        """Sends a message; the text is the transaction id as well."""
        content = {"m.text": [{"body": text}]}
        return await self.host.send(self.user, self.room, "m.message", content, text)

    async def be_busy(self, stop: asyncio.Event) -> None:
        """Sends one message after the other, until told to stop or cut off."""
        while not stop.is_set():
            self.sent += 1
            text = f"{self.name}-{self.sent}"
            try:
                self.acknowledged[text] = await self.send(text)
            except HostGone:
                self.unanswered.add(text)
                return

    async def event_ids(self) -> list[str]:
        """The whole timeline."""
        return [event["event_id"] for event in await self.host.history(self.user, self.room)]


class Torture:
    """The exchange and its kills."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        authority = Authority(directory / "tls")
        ports = {"hs1": free_port(), "hs2": free_port()}
        resolve = {name: f"127.0.0.1:{port}" for name, port in ports.items()}

        def side(kind: HostKind, name: str, user: str) -> Side:
            certificate = authority.issue(name)
            host = Host(kind, name, ports[name], directory / name, certificate, authority.ca_file, resolve)
            return Side(host, host.user_id(user))

        self.sides = (side(HostKind.C, "hs1", "alice"), side(HostKind.PYTHON, "hs2", "dan"))

    async def run(self, kills: int) -> None:
        """Kills `kills` times."""
        try:
            for side in self.sides:
                await side.host.start()
                await side.host.account(side.name)
            for number in range(kills):
                if number % KILLS_PER_ROOM == 0:
                    await self.new_room()
                await self.kill_once(number + 1)
        finally:
            for side in self.sides:
                await side.host.kill()

    async def new_room(self) -> None:
        """Both users in a room of their own."""
        one, other = self.sides
        room = await one.host.create_room(one.user, preset="public")
        await other.host.join(other.user, room, one.host.name)
        for side in self.sides:
            side.enter(room)

    async def kill_once(self, number: int) -> None:
        """Busy hosts, one kill, one restart, and the checks."""
        victim, survivor = self.random.sample(self.sides, 2)
        busy_for = self.random.uniform(0.01, LONGEST_BUSY)
        stop = asyncio.Event()
        senders = [asyncio.create_task(side.be_busy(stop)) for side in self.sides for _ in range(SENDERS)]
        await asyncio.sleep(busy_for)
        await victim.host.kill()
        stop.set()
        await asyncio.gather(*senders)

        started = time.monotonic()
        await victim.host.start()
        opened = time.monotonic() - started
        await self.check_nothing_is_lost(victim)
        for side in (victim, survivor):
            await side.host.wake()
        await self.check_agreement()
        agreed = time.monotonic() - started
        print(
            f"kill {number:3}: {victim.host.name} after {busy_for:4.2f} s, "
            f"open after {opened:.1f} s, agreed after {agreed:.1f} s, "
            f"{len(await victim.event_ids())} events in the room",
            flush=True,
        )

    async def check_nothing_is_lost(self, victim: Side) -> None:
        """What was acknowledged is held; what was not can be sent again, once."""
        held = set(await victim.event_ids())
        missing = {text: event for text, event in victim.acknowledged.items() if event not in held}
        assert not missing, f"{victim.host} lost what it had acknowledged: {missing}"
        for text in sorted(victim.unanswered):
            victim.acknowledged[text] = await victim.send(text)
            assert await victim.send(text) == victim.acknowledged[text], f"{text} was sent twice"
        victim.unanswered.clear()

    async def check_agreement(self) -> None:
        """Both hold the same events, each once, everything acknowledged, and the same state."""
        one, other = self.sides
        acknowledged = {*one.acknowledged.values(), *other.acknowledged.values()}

        async def check() -> None:
            here, there = await one.event_ids(), await other.event_ids()
            for ids in (here, there):
                assert len(ids) == len(set(ids)), "an event is twice in a timeline"
                assert acknowledged <= set(ids), f"missing: {acknowledged - set(ids)}"
            assert set(here) == set(there), f"differ: {set(here) ^ set(there)}"
            same_state(
                await one.host.state(one.user, one.room), await other.host.state(other.user, other.room)
            )

        await eventually("both servers hold the same", check, timeout=CONVERGE_SECONDS)
        for side in self.sides:
            events = await side.host.history(side.user, side.room)
            texts = [
                event["content"]["m.text"][0]["body"] for event in events if event["type"] == "m.message"
            ]
            assert len(texts) == len(set(texts)), f"a message is twice in {side.host}'s timeline"


async def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roomlet-torture-") as directory:
        torture = Torture(Path(directory), arguments.seed)
        try:
            await torture.run(arguments.kills)
        except BaseException:
            print(f"failed with --seed {arguments.seed}", file=sys.stderr)
            for side in torture.sides:
                print(side.host.log_tail(), file=sys.stderr)
            raise
    print(f"{arguments.kills} kills, nothing acknowledged lost, both servers agreed after each")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
