"""roomlet beside Synapse: joins, history, messages, invites, moderation, outages and crashes.

Each test runs over every kind of host and in every room version that both servers speak.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from conftest import Pair
from roomlet_driver import HostError, HostGone, SynapseError, SynapseUser, eventually, same_state

Event = dict[str, Any]
Content = dict[str, Any]

# Synapse takes in about 40 events a second; a faster sender makes it drop events and fetch them again later.
EVENTS_PER_SECOND = 30

# What a server may need to fetch several hundred missed events on a machine that is busy with other tests.
CATCH_UP_SECONDS = 180

pytestmark = pytest.mark.parametrize("version", ["10", "11", "org.matrix.msc1767.10"])


def message_type(version: str) -> str:
    """The type of a text message in rooms of the version."""
    return "m.message" if version == "org.matrix.msc1767.10" else "m.room.message"


def messages(version: str, name: str, count: int) -> list[Content]:
    """Texts, all different, some of them hard on encoders."""
    hard = [
        "plain",
        "ünïcödé",
        "🦀🏳️‍🌈",
        'quote " backslash \\ slash /',
        "control \u0001 \u007f",
        "\u2028",
        "x" * 4000,
    ]
    texts = [f"{name} {number} {hard[number % len(hard)]}" for number in range(count)]
    if version == "org.matrix.msc1767.10":
        return [{"m.text": [{"body": text}]} for text in texts]
    return [{"msgtype": "m.text", "body": text} for text in texts]


def texts_of(history: Sequence[Event], version: str, sender: str) -> list[Content]:
    """The contents of a sender's messages, in the order of the history."""
    kind = message_type(version)
    return [event["content"] for event in history if event["type"] == kind and event["sender"] == sender]


async def send_all(
    send: Callable[[Content], Awaitable[str]], contents: Sequence[Content], per_second: float
) -> list[str]:
    """Sends one after the other, no faster than `per_second`; returns the event ids."""
    clock = asyncio.get_running_loop().time
    started, ids = clock(), []
    for number, content in enumerate(contents, start=1):
        ids.append(await send(content))
        await asyncio.sleep(max(0.0, started + number / per_second - clock()))
    return ids


async def shared_room(pair: Pair, version: str) -> tuple[str, str, SynapseUser]:
    """A public room of roomlet's that a Synapse user has joined."""
    user, peer = await pair.local(), await pair.remote()
    room = await pair.host.create_room(user, preset="public", version=version)
    await peer.join(room, pair.host.name)
    await joined(pair, user, room, peer)
    return room, user, peer


async def joined(pair: Pair, user: str, room: str, peer: SynapseUser) -> None:
    """Waits until both servers hold both users' joins."""

    async def check() -> None:
        assert await pair.host.membership(user, room, peer.user_id) == "join"
        assert await peer.membership(room, user) == "join"

    await eventually("both users are joined on both servers", check)


async def equal_state(pair: Pair, user: str, room: str, peer: SynapseUser) -> None:
    """Waits until both servers hold the same state."""

    async def check() -> None:
        same_state(await pair.host.state(user, room), await peer.state(room))

    await eventually("both servers hold the same state", check, timeout=CATCH_UP_SECONDS)


async def synapse_has(
    peer: SynapseUser, room: str, version: str, sender: str, expected: Sequence[Content]
) -> None:
    """Waits until Synapse's history holds exactly these messages of the sender, in this order."""

    async def check() -> None:
        assert texts_of(await peer.history(room), version, sender) == list(expected)

    await eventually(f"Synapse has {sender}'s messages", check, timeout=CATCH_UP_SECONDS, every=1.0)


async def roomlet_has(
    pair: Pair, user: str, room: str, version: str, sender: str, expected: Sequence[Content]
) -> None:
    """Waits until roomlet's history holds exactly these messages of the sender, in this order."""

    async def check() -> None:
        assert texts_of(await pair.host.history(user, room), version, sender) == list(expected)

    await eventually(f"roomlet has {sender}'s messages", check, timeout=CATCH_UP_SECONDS, every=1.0)


async def test_roomlet_joins_a_synapse_room_and_pages_its_history(pair: Pair, version: str) -> None:
    user, peer = await pair.local(), await pair.remote()
    room = await peer.create_room(version, preset="public_chat", name="Synapse's room")
    kind, contents = message_type(version), messages(version, "before", 250)
    await send_all(lambda content: peer.send(room, kind, content), contents, 1000)
    expected = [event["event_id"] for event in await peer.history(room)]

    await pair.host.join(user, room, pair.synapse.name)

    history = await pair.host.history(user, room)
    assert history[0]["type"] == "m.room.create"
    assert texts_of(history, version, peer.user_id) == contents
    assert [event["event_id"] for event in history][: len(expected)] == expected
    await equal_state(pair, user, room, peer)


async def test_synapse_joins_a_roomlet_room_and_pages_its_history(pair: Pair, version: str) -> None:
    user, peer = await pair.local(), await pair.remote()
    room = await pair.host.create_room(user, preset="public", version=version, name="roomlet's room")
    kind, contents = message_type(version), messages(version, "before", 250)
    await send_all(lambda content: pair.host.send(user, room, kind, content), contents, 1000)
    expected = [event["event_id"] for event in await pair.host.history(user, room)]

    await peer.join(room, pair.host.name)

    async def check() -> None:
        history = await peer.history(room)
        assert history[0]["type"] == "m.room.create"
        assert [event["event_id"] for event in history][: len(expected)] == expected

    await eventually("Synapse pages the whole history", check, timeout=CATCH_UP_SECONDS, every=1.0)
    await synapse_has(peer, room, version, user, contents)
    await equal_state(pair, user, room, peer)


async def test_messages_arrive_unchanged_and_in_order_both_ways(pair: Pair, version: str) -> None:
    room, user, peer = await shared_room(pair, version)
    kind = message_type(version)
    ours, theirs = messages(version, "ours", 200), messages(version, "theirs", 200)

    await asyncio.gather(
        send_all(lambda content: pair.host.send(user, room, kind, content), ours, EVENTS_PER_SECOND),
        send_all(lambda content: peer.send(room, kind, content), theirs, EVENTS_PER_SECOND),
    )

    await synapse_has(peer, room, version, user, ours)
    await roomlet_has(pair, user, room, version, peer.user_id, theirs)
    await roomlet_has(pair, user, room, version, user, ours)
    await synapse_has(peer, room, version, peer.user_id, theirs)
    await equal_state(pair, user, room, peer)


async def test_roomlet_invites_and_synapse_users_accept_and_reject(pair: Pair, version: str) -> None:
    user, accepts, rejects = await pair.local(), await pair.remote(), await pair.remote()
    room = await pair.host.create_room(user, preset="private", version=version)
    for peer in (accepts, rejects):
        await pair.host.invite(user, room, peer.user_id)
        assert room in await peer.invited_to()

    await accepts.join(room)
    await rejects.leave(room)

    await joined(pair, user, room, accepts)

    async def invite_is_gone() -> None:
        assert room not in await rejects.invited_to()

    await eventually("the invite is gone on Synapse", invite_is_gone)

    async def rejected() -> None:
        assert await pair.host.membership(user, room, rejects.user_id) == "leave"

    await eventually("roomlet learns of the rejection", rejected)
    await equal_state(pair, user, room, accepts)


async def test_synapse_invites_and_roomlet_users_accept_and_reject(pair: Pair, version: str) -> None:
    peer, accepts, rejects = await pair.remote(), await pair.local(), await pair.local()
    room = await peer.create_room(version, preset="private_chat")
    for user in (accepts, rejects):
        await peer.invite(room, user)
        assert (await pair.host.rooms(user)).get(room) == "invite"

    await pair.host.join(accepts, room)
    await pair.host.leave(rejects, room)

    assert (await pair.host.rooms(rejects)).get(room) != "invite"
    await joined(pair, accepts, room, peer)

    async def rejected() -> None:
        assert await peer.membership(room, rejects) == "leave"

    await eventually("Synapse learns of the rejection", rejected)
    await equal_state(pair, accepts, room, peer)


async def test_kick_ban_topic_and_power_levels_leave_equal_state(pair: Pair, version: str) -> None:
    room, user, peer = await shared_room(pair, version)
    kicked, banned = await pair.local(), await pair.remote()
    await pair.host.join(kicked, room)
    await banned.join(room, pair.synapse.name)
    powers = await power_levels(pair, user, room)
    powers["users"] = {user: 100, peer.user_id: 100}
    await pair.host.set_state(user, room, "m.room.power_levels", "", powers)
    await equal_state(pair, user, room, peer)

    await peer.kick(room, kicked)
    await peer.set_state(room, "m.room.topic", "", {"topic": "set by Synapse"})
    await equal_state(pair, user, room, peer)
    assert await pair.host.membership(user, room, kicked) == "leave"
    assert await topic(pair, user, room) == "set by Synapse"

    await pair.host.call("ban", user, room, banned.user_id, "spam")
    await pair.host.set_state(user, room, "m.room.topic", "", {"topic": "set by roomlet"})
    await equal_state(pair, user, room, peer)
    assert await peer.membership(room, banned.user_id) == "ban"
    assert await topic(pair, user, room) == "set by roomlet"
    with pytest.raises(SynapseError) as refused:
        await banned.join(room, pair.host.name)
    assert refused.value.status == 403

    powers = await power_levels(pair, user, room)
    await peer.set_state(room, "m.room.power_levels", "", {**powers, "events_default": 50})
    await equal_state(pair, user, room, peer)
    await pair.host.join(kicked, room)
    with pytest.raises(HostError) as denied:
        await pair.host.send(kicked, room, message_type(version), messages(version, "denied", 1)[0])
    assert denied.value.errcode == "M_FORBIDDEN"
    await equal_state(pair, user, room, peer)


async def power_levels(pair: Pair, user: str, room: str) -> Content:
    """The content of the current power levels."""
    state = {event["type"]: event["content"] for event in await pair.host.state(user, room)}
    return dict(state["m.room.power_levels"])


async def topic(pair: Pair, user: str, room: str) -> str:
    """The current topic."""
    state = {event["type"]: event["content"] for event in await pair.host.state(user, room)}
    return str(state["m.room.topic"]["topic"])


async def test_messages_sent_while_synapse_is_down_arrive_when_it_is_back(pair: Pair, version: str) -> None:
    room, user, peer = await shared_room(pair, version)
    kind, contents = message_type(version), messages(version, "outage", 300)

    await pair.synapse.stop()
    await send_all(lambda content: pair.host.send(user, room, kind, content), contents, 1000)
    await pair.synapse.start()
    await pair.host.wake()

    await synapse_has(peer, room, version, user, contents)
    await equal_state(pair, user, room, peer)


async def test_messages_sent_while_roomlet_is_down_arrive_when_it_is_back(pair: Pair, version: str) -> None:
    room, user, peer = await shared_room(pair, version)
    kind, contents = message_type(version), messages(version, "outage", 300)

    await pair.host.stop()
    await send_all(lambda content: peer.send(room, kind, content), contents, 1000)
    await pair.host.start()
    # Synapse tries a server again that was away as soon as it hears from it.
    await pair.host.send(user, room, kind, messages(version, "back", 1)[0])

    await roomlet_has(pair, user, room, version, peer.user_id, contents)
    await synapse_has(peer, room, version, user, messages(version, "back", 1))
    await equal_state(pair, user, room, peer)


async def test_sigkill_in_the_middle_of_sending_loses_nothing_acknowledged(pair: Pair, version: str) -> None:
    room, user, peer = await shared_room(pair, version)
    kind, contents = message_type(version), messages(version, "crash", 120)
    acknowledged: dict[int, str] = {}
    enough = asyncio.Event()
    numbers = itertools.count()

    async def sender() -> None:
        while (number := next(numbers)) < len(contents):
            acknowledged[number] = await pair.host.send(user, room, kind, contents[number], f"crash{number}")
            if len(acknowledged) >= len(contents) // 2:
                enough.set()

    senders = [asyncio.create_task(sender()) for _ in range(8)]
    await asyncio.wait({asyncio.create_task(enough.wait()), *senders}, return_when=asyncio.FIRST_COMPLETED)
    await pair.host.kill()
    outcomes = await asyncio.gather(*senders, return_exceptions=True)
    assert any(isinstance(outcome, HostGone) for outcome in outcomes), (
        f"the kill interrupted nothing: {outcomes}"
    )
    await pair.host.start()

    held = {event["event_id"] for event in await pair.host.history(user, room)}
    assert set(acknowledged.values()) <= held
    for number, content in enumerate(contents):
        event_id = await pair.host.send(user, room, kind, content, f"crash{number}")
        assert acknowledged.setdefault(number, event_id) == event_id

    async def synapse_holds_each_once() -> None:
        sent = [
            event for event in await peer.history(room) if event["sender"] == user and event["type"] == kind
        ]
        assert sorted(event["event_id"] for event in sent) == sorted(acknowledged.values())

    await eventually("Synapse holds each message once", synapse_holds_each_once, CATCH_UP_SECONDS, 1.0)
    by_id = {event["event_id"]: event["content"] for event in await peer.history(room)}
    assert [by_id[acknowledged[number]] for number in range(len(contents))] == contents
    await equal_state(pair, user, room, peer)
