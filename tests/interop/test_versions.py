"""Rooms of every version that Synapse has: made by either server, joined by the other, moderated, and replaced.

Rooms that roomlet makes are replaced by one of the next higher version (the highest by the lowest), those of Synapse by
one of the next lower: so both directions are there, and the step into and out of version 12 from either side.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conftest import Pair
from roomlet_driver import HostKind, SynapseError, SynapseUser, eventually
from test_synapse import equal_state, joined, shared_room

VERSIONS = [str(number) for number in range(1, 13)]

# What versions differ in is below both faces, so either host tells half of the story.
c_host = pytest.mark.parametrize("servers", [HostKind.C], ids=["c"], indirect=True, scope="session")
python_host = pytest.mark.parametrize(
    "servers", [HostKind.PYTHON], ids=["python"], indirect=True, scope="session"
)

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def neighbour(version: str, step: int) -> str:
    """The version `step` places on, in a circle."""
    return VERSIONS[(VERSIONS.index(version) + step) % len(VERSIONS)]


async def said(user: str, body: str, get: Callable[[], Awaitable[Any]]) -> None:
    """Waits until an event has arrived that `user` sent with this body."""

    async def check() -> None:
        event = await get()
        assert (event["sender"], event["content"]) == (user, message(body))

    await eventually(f"{body!r} of {user} has arrived", check)


def message(body: str) -> dict[str, str]:
    """The content of a text message."""
    return {"msgtype": "m.text", "body": body}


async def talk(pair: Pair, room: str, user: str, peer: SynapseUser) -> tuple[str, str]:
    """One message each way; returns the ids of roomlet's and Synapse's."""
    ours = await pair.host.send(user, room, "m.room.message", message("from roomlet"))
    theirs = await peer.send(room, "m.room.message", message("from Synapse"))
    await said(user, "from roomlet", lambda: synapse_event(peer, room, ours))
    await said(peer.user_id, "from Synapse", lambda: roomlet_event(pair, user, room, theirs))
    return ours, theirs


async def synapse_event(peer: SynapseUser, room: str, event_id: str) -> dict[str, Any]:
    """The event as Synapse's timeline has it."""
    events = [event for event in await peer.history(room) if event["event_id"] == event_id]
    assert events, f"{event_id} is not on Synapse"
    return events[0]


async def roomlet_event(pair: Pair, user: str, room: str, event_id: str) -> dict[str, Any]:
    """The event as roomlet's timeline has it."""
    events = [event for event in await pair.host.history(user, room) if event["event_id"] == event_id]
    assert events, f"{event_id} is not on roomlet"
    return events[0]


async def emptied(pair: Pair, room: str, user: str, peer: SynapseUser, event_id: str) -> None:
    """Waits until the event has no content on either server."""

    async def check() -> None:
        assert (await synapse_event(peer, room, event_id))["content"] == {}
        assert (await roomlet_event(pair, user, room, event_id))["content"] == {}

    await eventually(f"{event_id} is redacted on both servers", check)


async def replaced(pair: Pair, old: str, new: str, version: str, user: str, peer: SynapseUser) -> None:
    """Checks that either server knows what replaces the old room, and what the new one replaces and is."""
    for state in (await pair.host.state(user, new), await peer.state(new)):
        created = next(event["content"] for event in state if event["type"] == "m.room.create")
        assert created.get("room_version", "1") == version
        assert created["predecessor"]["room_id"] == old
        names = [event["content"] for event in state if event["type"] == "m.room.name"]
        assert names == [{"name": f"room for {version}"}]

    async def tombstones() -> None:
        for state in (await pair.host.state(user, old), await peer.state(old)):
            stones = [event["content"] for event in state if event["type"] == "m.room.tombstone"]
            assert [stone["replacement_room"] for stone in stones] == [new]

    await eventually("both servers know what replaces the room", tombstones)


@c_host
async def test_a_room_of_roomlets_and_its_successor(pair: Pair, version: str) -> None:
    room, user, peer = await shared_room(pair, version)
    successor = neighbour(version, 1)
    await pair.host.set_state(user, room, "m.room.name", "", {"name": f"room for {successor}"})
    ours, theirs = await talk(pair, room, user, peer)
    await pair.host.redact(user, room, theirs)
    await emptied(pair, room, user, peer, theirs)

    moderated = await pair.remote()
    await moderated.join(room, pair.host.name)
    await joined(pair, user, room, moderated)
    await pair.host.call("kick", user, room, moderated.user_id, "calm")
    await equal_state(pair, user, room, peer)
    assert await peer.membership(room, moderated.user_id) == "leave"
    await moderated.join(room, pair.host.name)
    await joined(pair, user, room, moderated)
    await pair.host.call("ban", user, room, moderated.user_id, "spam")
    await equal_state(pair, user, room, peer)
    assert await peer.membership(room, moderated.user_id) == "ban"
    with pytest.raises(SynapseError) as refused:
        await moderated.join(room, pair.host.name)
    assert refused.value.status == 403

    new = await pair.host.upgrade(user, room, successor)
    await peer.join(new, pair.host.name)
    await joined(pair, user, new, peer)
    await replaced(pair, room, new, successor, user, peer)
    await talk(pair, new, user, peer)
    for each in (room, new):
        await equal_state(pair, user, each, peer)


@python_host
async def test_a_room_of_synapses_and_its_successor(pair: Pair, version: str) -> None:
    user, peer = await pair.local(), await pair.remote()
    successor = neighbour(version, -1)
    room = await peer.create_room(version, preset="public_chat", name=f"room for {successor}")
    await pair.host.join(user, room, pair.synapse.name)
    await joined(pair, user, room, peer)
    ours, _ = await talk(pair, room, user, peer)
    await peer.redact(room, ours)
    await emptied(pair, room, user, peer, ours)

    moderated = await pair.local()
    await pair.host.join(moderated, room, pair.synapse.name)
    await joined(pair, moderated, room, peer)
    await peer.kick(room, moderated)
    await equal_state(pair, user, room, peer)
    assert await pair.host.membership(user, room, moderated) == "leave"
    await peer.ban(room, moderated)
    await equal_state(pair, user, room, peer)
    assert await pair.host.membership(user, room, moderated) == "ban"

    new = await peer.upgrade(room, successor)
    await pair.host.join(user, new, pair.synapse.name)
    await joined(pair, user, new, peer)
    await replaced(pair, room, new, successor, user, peer)
    await talk(pair, new, user, peer)
    for each in (room, new):
        await equal_state(pair, user, each, peer)
