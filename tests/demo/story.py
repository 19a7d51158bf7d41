"""The story of two homeservers, told and checked as it happens.

hs1 (alice, bob, carol) is the C host, hs2 (dan, erin) the Python host: two processes, HTTPS on loopback, a
certificate authority made on the spot. It is the conversation of Figure 1 of
draft-ralston-mimi-matrix-framework, continued through an outage and a crash. Exits non-zero if any step or
the final comparison fails.
"""

import asyncio
import itertools
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from roomlet_driver import Authority, Host, HostGone, HostKind, eventually, free_port, same_state
from roomlet_driver.room_view import Event, compare_lines, line

# The messages that hs1 is killed in the middle of, and how many of them have to be acknowledged before.
BURST = 60
ACKNOWLEDGED_BEFORE_KILL = 20
SENDERS = 4


def say(text: str) -> None:
    """Prints a line of the story."""
    print(text, flush=True)


def chapter(title: str) -> None:
    """Prints the heading of a part of the story."""
    say(f"\n{title}")


def text_content(text: str) -> dict[str, Any]:
    """The content of an extensible text message."""
    return {"m.text": [{"body": text}]}


def name_of(user: str) -> str:
    """The localpart of a user id."""
    return user[1:].split(":", 1)[0]


class Story:
    """The two servers, the people, and the room."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory / "tls")
        ports = {"hs1": free_port(), "hs2": free_port()}
        resolve = {name: f"127.0.0.1:{port}" for name, port in ports.items()}

        def host(kind: HostKind, name: str) -> Host:
            return Host(
                kind, name, ports[name], directory / name, authority.issue(name), authority.ca_file, resolve
            )

        self.hs1 = host(HostKind.C, "hs1")
        self.hs2 = host(HostKind.PYTHON, "hs2")
        self.room = ""
        self.alice, self.bob, self.carol = (self.hs1.user_id(name) for name in ("alice", "bob", "carol"))
        self.dan, self.erin = (self.hs2.user_id(name) for name in ("dan", "erin"))

    async def run(self) -> list[str]:
        """Plays all chapters; returns the lines in which the servers differ at the end."""
        try:
            await self.open()
            await self.talk_on_one_server()
            await self.invite_the_other_server()
            await self.talk_across()
            await self.cut_and_heal()
            await self.kill_in_the_middle_of_sending()
            return await self.compare()
        finally:
            await asyncio.gather(self.hs1.kill(), self.hs2.kill())

    async def open(self) -> None:
        """Both servers start; the people get their accounts."""
        chapter("1. Two homeservers")
        await asyncio.gather(self.hs1.start(), self.hs2.start())
        for host, names in ((self.hs1, ("alice", "bob", "carol")), (self.hs2, ("dan", "erin"))):
            for name in names:
                await host.account(name)
            say(f"   {host} serves https://127.0.0.1:{host.port} for {', '.join(names)}")

    async def talk_on_one_server(self) -> None:
        """A room on hs1 alone: hs2 sees no request."""
        chapter("2. Alice makes a room; it stays on hs1")
        self.room = await self.hs1.create_room(
            self.alice, preset="private", version="I.1", name="Figure 1", topic="one server"
        )
        say(f"   alice creates {self.room}, version I.1")
        for user in (self.bob, self.carol):
            await self.hs1.invite(self.alice, self.room, user)
            await self.hs1.join(user, self.room)
            say(f"   alice invites {name_of(user)}, who joins")
        await self.say_in_room(self.hs1, self.alice, "Hello bob!")
        await self.say_in_room(self.hs1, self.bob, "Hello alice. Just us here?")
        await self.say_in_room(self.hs1, self.carol, "And me.")
        assert not self.hs2.requests, f"hs2 was asked {self.hs2.requests}"
        say("   hs2 has seen no request")

    async def invite_the_other_server(self) -> None:
        """Bob invites dan and erin; dan's join brings hs2 into the room."""
        chapter("3. Bob invites dan and erin of hs2")
        for user in (self.dan, self.erin):
            await self.hs1.invite(self.bob, self.room, user)
            rooms = await self.hs2.rooms(user)
            assert rooms == {self.room: "invite"}, rooms
            say(f"   {name_of(user)} sees the invite on hs2")
        assert self.hs2.requests, "an invite is a request to hs2"
        await self.hs2.join(self.dan, self.room)
        await self.converge()
        held = len(await self.hs2.state(self.dan, self.room))
        say(f"   dan joins; hs2 holds the same {held} state events as hs1")
        await self.hs2.join(self.erin, self.room)
        say("   erin joins, through hs2's own copy of the room")
        await self.converge()

    async def talk_across(self) -> None:
        """Messages both ways."""
        chapter("4. Messages both ways")
        first = await self.say_in_room(self.hs1, self.alice, "Welcome, dan and erin!")
        await self.arrives(self.hs2, self.dan, first)
        second = await self.say_in_room(self.hs2, self.dan, "Greetings from hs2.")
        third = await self.say_in_room(self.hs2, self.erin, "👋")
        for event_id in (second, third):
            await self.arrives(self.hs1, self.alice, event_id)
        say("   all have arrived on the other side")
        powers = next(
            event["content"]
            for event in await self.hs1.state(self.alice, self.room)
            if event["type"] == "m.room.power_levels"
        )
        powers["users"] = {**powers.get("users", {}), self.dan: 50}
        await self.hs1.set_state(self.alice, self.room, "m.room.power_levels", "", powers)
        await self.converge()
        say("   alice makes dan a moderator")

    async def cut_and_heal(self) -> None:
        """Both sides go on without each other and then agree."""
        chapter("5. The link is cut")
        await asyncio.gather(self.hs1.link(up=False), self.hs2.link(up=False))
        await self.say_in_room(self.hs1, self.bob, "Is anybody there?")
        await self.hs1.call("kick", self.alice, self.room, self.carol, "time to go")
        say("   hs1: alice kicks carol")
        await self.say_in_room(self.hs1, self.alice, "We are alone, bob.")
        await self.say_in_room(self.hs2, self.dan, "No answer from hs1.")
        await self.hs2.set_state(self.dan, self.room, "m.room.topic", "", {"topic": "the cut"})
        say("   hs2: dan changes the topic to “the cut”")
        await self.say_in_room(self.hs2, self.erin, "Still talking, though.")
        assert await self.hs2.membership(self.dan, self.room, self.carol) == "join"
        say("   hs2 still has carol in the room; hs1 still has the old topic")

        chapter("6. The link heals")
        await asyncio.gather(self.hs1.link(up=True), self.hs2.link(up=True))
        await self.converge()
        for host, user in ((self.hs1, self.alice), (self.hs2, self.dan)):
            state = await host.state(user, self.room)
            topic = next(event["content"]["topic"] for event in state if event["type"] == "m.room.topic")
            carol = await host.membership(user, self.room, self.carol)
            assert (topic, carol) == ("the cut", "leave"), (topic, carol)
            say(f"   {host.name}: topic “{topic}”, carol: {carol}")

    async def kill_in_the_middle_of_sending(self) -> None:
        """SIGKILL; nothing acknowledged is missing, and a retry sends nothing twice."""
        chapter("7. hs1 is killed in the middle of sending")
        acknowledged: dict[int, str] = {}
        enough = asyncio.Event()
        numbers = itertools.count()

        async def sender() -> None:
            while (number := next(numbers)) < BURST:
                acknowledged[number] = await self.send_burst(number)
                if len(acknowledged) >= ACKNOWLEDGED_BEFORE_KILL:
                    enough.set()

        senders = [asyncio.create_task(sender()) for _ in range(SENDERS)]
        await enough.wait()
        await self.hs1.kill()
        for outcome in await asyncio.gather(*senders, return_exceptions=True):
            if outcome is not None and not isinstance(outcome, HostGone):
                raise outcome
        say(f"   SIGKILL after {len(acknowledged)} of {BURST} messages were acknowledged")
        during = await self.say_in_room(self.hs2, self.dan, "hs1 seems to be away.")

        await self.hs1.start()
        say("   hs1 is back")
        held = {event["event_id"] for event in await self.hs1.history(self.alice, self.room)}
        assert set(acknowledged.values()) <= held, "acknowledged messages are missing on hs1"
        before = len(acknowledged)
        for number in range(BURST):
            event_id = await self.send_burst(number)
            assert acknowledged.setdefault(number, event_id) == event_id, f"message {number} was sent twice"
        say(f"   alice's client retries: the {before} come back with their ids, {BURST - before} are new")
        for host in (self.hs1, self.hs2):
            await host.wake()
        await self.arrives(self.hs1, self.alice, during)
        await self.converge()
        for host, user in ((self.hs1, self.alice), (self.hs2, self.dan)):
            held_there = [event["event_id"] for event in await host.history(user, self.room)]
            missing = set(acknowledged.values()) - set(held_there)
            assert not missing, f"missing on {host.name}: {missing}"
            assert len(held_there) == len(set(held_there)), f"an event is twice in {host.name}'s timeline"
        say("   nothing acknowledged is missing on either side")

    async def compare(self) -> list[str]:
        """Prints both servers' timelines and state, and returns the lines that differ."""
        chapter("8. What both servers hold")
        differences: list[str] = []
        timeline, other_timeline = await self.on_both(lambda host, user: host.history(user, self.room))
        state, other_state = await self.on_both(lambda host, user: host.state(user, self.room))
        for what, one, other in (("timeline", timeline, other_timeline), ("state", state, other_state)):
            for text in one:
                say(f"   {what} | {text}")
            # Events sent at the same time may stand in either order; what is held must be the same.
            found = compare_lines(f"hs1 {what}", sorted(one), f"hs2 {what}", sorted(other))
            verdict = "different" if found else "equal"
            say(f"   {what}: {len(one)} lines on hs1, {len(other)} on hs2: {verdict}")
            differences += found
        return differences

    async def on_both(
        self, read: Callable[[Host, str], Awaitable[Sequence[Event]]]
    ) -> tuple[list[str], list[str]]:
        """What `read` gives on hs1 and on hs2, a line an event."""
        return (
            [line(event) for event in await read(self.hs1, self.alice)],
            [line(event) for event in await read(self.hs2, self.dan)],
        )

    async def say_in_room(self, host: Host, user: str, text: str) -> str:
        """Sends a message and tells so."""
        event_id = await host.send(user, self.room, "m.message", text_content(text))
        say(f"   {host.name}: {name_of(user):>5}: {text}")
        return event_id

    async def send_burst(self, number: int) -> str:
        """Sends message `number` of the burst, always under the same transaction id."""
        content = text_content(f"message {number + 1} of {BURST}")
        return await self.hs1.send(self.alice, self.room, "m.message", content, f"burst-{number}")

    async def arrives(self, host: Host, user: str, event_id: str) -> None:
        """Waits until the host has the event."""

        async def check() -> None:
            assert event_id in {event["event_id"] for event in await host.history(user, self.room)}

        await eventually(f"{event_id} arrives on {host.name}", check)

    async def converge(self) -> None:
        """Waits until both servers hold the same state, and of the timeline the same events."""

        async def check() -> None:
            same_state(await self.hs1.state(self.alice, self.room), await self.hs2.state(self.dan, self.room))
            one = {event["event_id"] for event in await self.hs1.history(self.alice, self.room)}
            other = {event["event_id"] for event in await self.hs2.history(self.dan, self.room)}
            assert one == other, f"only on hs1: {one - other}; only on hs2: {other - one}"

        await eventually("hs1 and hs2 hold the same", check, timeout=60)


async def main() -> int:
    """Plays the story; 0 if both servers hold the same at its end."""
    with tempfile.TemporaryDirectory(prefix="roomlet-demo-") as directory:
        story = Story(Path(directory))
        try:
            differences = await story.run()
        except BaseException:
            for host in (story.hs1, story.hs2):
                print(host.log_tail(), file=sys.stderr)
            raise
    if differences:
        say("\nThe servers differ:\n" + "\n".join(differences))
        return 1
    say("\nBoth servers hold the same, line by line.")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
