"""The operations, on homeservers of one process that are wired by callbacks."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from roomlet import (
    Code,
    EventUpdate,
    Homeserver,
    Limits,
    MembershipChanged,
    Redacted,
    Request,
    Response,
    RoomletError,
    TransportError,
    Update,
)
from roomlet import _bridge as bridge
from roomlet._native import bindings as native

DEADLINE_S = 60.0
"""How long anything may take before the test fails."""


class Wire:
    """Carries frames between the homeservers of one process."""

    def __init__(self) -> None:
        self.servers: dict[str, Homeserver] = {}

    async def send(self, request: Request) -> Response:
        server = self.servers.get(request.destination)
        if server is None:
            raise TransportError(f"{request.destination} is not there")
        return await server.handle_request(request)

    @asynccontextmanager
    async def open(self, name: str, **options: Any) -> AsyncIterator[Homeserver]:
        async with Homeserver.open(name, transport=self, **options) as server:
            self.servers[name] = server
            try:
                yield server
            finally:
                del self.servers[name]


async def until(server: Homeserver, wanted: Any) -> list[Update]:
    """The updates from the beginning up to the first that `wanted` accepts."""
    seen: list[Update] = []
    async with asyncio.timeout(DEADLINE_S):
        async for update in server.updates():
            seen.append(update)
            if wanted(update):
                return seen
    raise AssertionError("the update stream ended")


def event_is(event_id: str) -> Any:
    return lambda update: isinstance(update, EventUpdate) and update.event.event_id == event_id


def invited(user_id: str) -> Any:
    return lambda update: (
        isinstance(update, MembershipChanged) and (update.user_id, update.membership) == (user_id, "invite")
    )


async def messages(server: Homeserver, user_id: str, room_id: str) -> list[tuple[str, dict[str, Any]]]:
    page = await server.timeline(user_id, room_id, direction="f", limit=100)
    return [(event.sender, event.content) for event in page.events if event.type == "m.message"]


def text(body: str) -> dict[str, Any]:
    return {"m.text": [{"body": body}]}


async def test_two_servers_invite_talk_redact_and_restart(tmp_path: Path) -> None:
    wire = Wire()
    async with wire.open("one.test", path=tmp_path / "one.db") as one:
        async with wire.open("two.test", path=tmp_path / "two.db") as two:
            alice, bob = await one.create_account("alice"), await two.create_account("bob")
            assert (alice, bob) == ("@alice:one.test", "@bob:two.test")
            room = await one.create_room(alice, name="Tea", topic="Leaves", invite=[bob])
            await until(two, invited(bob))
            assert [(item.room_id, item.membership) for item in await two.rooms(bob)] == [(room, "invite")]
            preview = {event["type"]: event["content"] for event in await two.invite_preview(bob, room)}
            assert preview["m.room.name"] == {"name": "Tea"}

            joined = await two.join(bob, room)
            await until(one, event_is(joined))
            hello = await one.send_message(alice, room, "hello")
            await until(two, event_is(hello))
            answer = await two.send_message(bob, room, "good morning", txn_id="1")
            assert await two.send_message(bob, room, "good morning", txn_id="1") == answer
            await until(one, event_is(answer))
            expected = [(alice, text("hello")), (bob, text("good morning"))]
            assert await messages(one, alice, room) == expected
            assert await messages(two, bob, room) == expected

            redaction = await one.redact(alice, room, hello, reason="typo")
            await until(two, lambda update: isinstance(update, Redacted) and update.event_id == hello)
            gone = await two.event(bob, room, hello)
            assert (gone.content, gone.redacted_by) == ({}, redaction)
            state = [(event.event_id, event.type, event.state_key) for event in await one.state(alice, room)]
        # two.test is closed; one.test goes on, and delivers when it is back.
        late = await one.send_message(alice, room, "are you there?")

        async with wire.open("two.test", path=tmp_path / "two.db") as two:
            one.wake()
            await until(two, event_is(late))
            assert await two.accounts() == [bob]
            expected = [(alice, {}), (bob, text("good morning")), (alice, text("are you there?"))]
            assert await messages(two, bob, room) == expected
            assert [(event.event_id, event.type, event.state_key) for event in await two.state(bob, room)] == state


async def test_members_state_and_moderation() -> None:
    wire = Wire()
    async with wire.open("one.test") as one, wire.open("two.test") as two:
        alice, bob = await one.create_account("alice"), await two.create_account("bob")
        room = await one.create_room(alice, preset="public", version="10")
        await two.join(bob, room, via=["one.test"])
        assert [(m.user_id, m.membership) for m in await two.members(bob, room)] == [(alice, "join"), (bob, "join")]

        topic = await one.set_state(alice, room, "m.room.topic", {"topic": "Leaves"})
        await until(two, event_is(topic))
        found = await two.state_event(bob, room, "m.room.topic")
        assert found is not None and found.content == {"topic": "Leaves"}
        assert await two.state_event(bob, room, "m.room.topic", "other") is None

        with pytest.raises(RoomletError) as denied:
            await two.kick(bob, room, alice)
        assert (denied.value.code, denied.value.errcode) == (Code.DENIED, "M_FORBIDDEN")
        banned = await one.ban(alice, room, bob, reason="noise")
        await until(two, event_is(banned))
        with pytest.raises(RoomletError) as not_joined:
            await two.send_message(bob, room, "but")
        assert not_joined.value.code == Code.NOT_JOINED
        await one.unban(alice, room, bob)
        await two.join(bob, room, via=["one.test"])
        kicked = await one.kick(alice, room, bob)
        await until(two, event_is(kicked))
        await one.invite(alice, room, bob)
        await until(two, invited(bob))
        assert await two.leave(bob, room) is not None
        assert [m.user_id for m in await one.members(alice, room, "join")] == [alice]


async def test_timeline_pages_meet() -> None:
    async with Wire().open("one.test") as server:
        alice = await server.create_account("alice")
        room = await server.create_room(alice)
        sent = [await server.send_message(alice, room, str(number)) for number in range(25)]
        back: list[str] = []
        token: str | None = None
        for _ in itertools.count():
            page = await server.timeline(alice, room, from_token=token, limit=10)
            back += [event.event_id for event in page.events]
            token = page.next
            if token is None:
                break
        assert back[:25] == sent[::-1]
        forward = await server.timeline(alice, room, direction="f", limit=100)
        assert [event.event_id for event in forward.events] == back[::-1]


async def test_upgrade_points_from_the_old_room_to_the_new_one() -> None:
    async with Wire().open("one.test") as server:
        alice = await server.create_account("alice")
        bob = await server.create_account("bob")
        room = await server.create_room(alice, version="12", additional_creators=[bob])
        create = await server.state_event(alice, room, "m.room.create")
        assert create is not None
        assert create.content["additional_creators"] == [bob]
        replaced = await server.upgrade_room(bob, room, "11") if await joined(server, bob, alice, room) else ""
        tombstone = await server.state_event(alice, room, "m.room.tombstone")
        assert tombstone is not None
        assert tombstone.content["replacement_room"] == replaced
        levels = await server.state_event(bob, replaced, "m.room.power_levels")
        assert levels is not None
        assert sorted(levels.content["users"]) == [alice, bob]


async def joined(server: Homeserver, user: str, by: str, room: str) -> bool:
    """Invites a local user, who joins."""
    await server.invite(by, room, user)
    return bool(await server.join(user, room))


async def test_archive_becomes_a_room() -> None:
    archive = Path(__file__).parents[3] / "tests/vectors/archive.jsonl"
    async with Wire().open("one.test") as server:
        imported = await server.import_room(archive, trusted=True)
        assert (imported.accepted, imported.left_out, imported.first_fault) == (13, 0, None)
        assert (await server.import_room(archive, trusted=True)).known == 13
        with pytest.raises(RoomletError, match=r"archive .*/none: ") as error:
            await server.import_room(archive.with_name("none"))
        assert error.value.code == Code.BAD_PARAM


async def test_store_is_purged_forgotten_checked_and_copied(tmp_path: Path) -> None:
    async with Wire().open("one.test", path=tmp_path / "one.db") as server:
        alice = await server.create_account("alice")
        room = await server.create_room(alice)
        sent = [await server.send_message(alice, room, str(number)) for number in range(5)]
        assert await server.purge_history(room, sent[3]) == 3
        page = await server.timeline(alice, room, limit=10)
        assert [event.event_id for event in page.events] == [sent[4], sent[3]]
        report = await server.check_store(repair=True)
        assert (report.rooms, report.faults) == (1, [])
        await server.backup(tmp_path / "copy.db")
        with pytest.raises(RoomletError, match="the file is there already"):
            await server.backup(tmp_path / "copy.db")
        with pytest.raises(RoomletError, match=f"{alice} is in it"):
            await server.forget_room(room)
        await server.leave(alice, room)
        await server.forget_room(room)
        assert await server.rooms(alice) == []
    async with Wire().open("one.test", path=tmp_path / "copy.db") as server:
        assert [summary.room_id for summary in await server.rooms(alice)] == [room]


async def test_path_is_a_file_whatever_sqlite_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:hs?mode=memory", "plain"):
        async with Wire().open("one.test", path=name) as server:
            alice = await server.create_account("alice")
            # What is relative stays where it was.
            monkeypatch.chdir("/")
            await server.backup(tmp_path / "copy")
            monkeypatch.chdir(tmp_path)
        for file in (name, "copy"):
            async with Wire().open("one.test", path=file) as server:
                assert await server.accounts() == [alice]
        (tmp_path / "copy").unlink()
        async with Wire().open("one.test", path=name) as server:
            await server.backup("file:copy")
            assert (tmp_path / "file:copy").exists()
            (tmp_path / "file:copy").unlink()
    with pytest.raises(RoomletError) as empty:
        await Homeserver.open("one.test", path="", transport=Wire())
    assert empty.value.code is Code.BAD_PARAM


async def test_updates_resume_after_a_position_and_are_forgotten() -> None:
    async with Wire().open("one.test") as server:
        alice = await server.create_account("alice")
        room = await server.create_room(alice)
        before = await server.last_update()
        first = await server.send_message(alice, room, "1")
        second = await server.send_message(alice, room, "2")
        updates = await server.next_updates(before)
        assert [update.event.event_id for update in updates if isinstance(update, EventUpdate)] == [first, second]
        assert updates[-1].pos == await server.last_update()
        await server.trim_updates(updates[0].pos)
        assert await server.next_updates(0) == updates[1:]
        with pytest.raises(RoomletError, match="beyond the newest"):
            await server.trim_updates(2**63)


async def test_waiting_for_updates_can_be_given_up_and_ends_with_the_server() -> None:
    async with Wire().open("one.test") as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await server.next_updates(await server.last_update())
        waiting = asyncio.create_task(anext(aiter(server.updates(await server.last_update())), None))
        await server.accounts()
    assert await asyncio.wait_for(waiting, DEADLINE_S) is None


async def test_operation_cancels_what_waits_under_it() -> None:
    async with Wire().open("one.test") as server:
        operation: Any = getattr(native, "Operation")()
        waiting = asyncio.create_task(server._inner.under(operation).updates(await server.last_update(), 1))
        await server.accounts()
        operation.cancel()
        with pytest.raises(RoomletError) as cancelled:
            await asyncio.wait_for(bridge.call(waiting), DEADLINE_S)
        assert cancelled.value.code is Code.CANCELLED


@pytest.mark.parametrize(
    ("call", "code", "errcode"),
    [
        (lambda s: s.create_account("Ä"), Code.BAD_ID, "M_INVALID_PARAM"),
        (lambda s: s.create_account("taken"), Code.EXISTS, "M_USER_IN_USE"),
        (lambda s: s.rooms("taken"), Code.BAD_ID, "M_INVALID_PARAM"),
        (lambda s: s.rooms("@nobody:one.test"), Code.UNKNOWN_USER, "M_NOT_FOUND"),
        (lambda s: s.create_room("@taken:one.test", version="99"), Code.UNKNOWN_ROOM_VERSION, None),
        (lambda s: s.state("@taken:one.test", "!x:one.test"), None, None),
        (lambda s: s.join("@taken:one.test", "!x:two.test", via=["a b"]), Code.BAD_ID, "M_INVALID_PARAM"),
        (lambda s: s.join("@taken:one.test", "!x:two.test", via=["two.test"]), Code.UNREACHABLE, "M_UNKNOWN"),
    ],
)
async def test_what_goes_wrong_is_told_by_code(call: Any, code: Code | None, errcode: str | None) -> None:
    async with Wire().open("one.test") as server:
        await server.create_account("taken")
        with pytest.raises(RoomletError) as raised:
            await call(server)
        assert code is None or raised.value.code is code
        assert errcode is None or raised.value.errcode == errcode
        assert raised.value.message


@pytest.mark.parametrize("content", ['{"a":1.5}', "[]", "{", {"a": 1.5}])
async def test_content_that_is_no_canonical_object_is_refused(content: Any) -> None:
    async with Wire().open("one.test") as server:
        alice = await server.create_account("alice")
        room = await server.create_room(alice)
        before = await server.last_update()
        with pytest.raises(RoomletError) as raised:
            await server.send(alice, room, "m.message", content)
        assert 100 <= raised.value.code < 200
        assert await server.last_update() == before


async def test_one_id_is_not_taken_for_a_list_of_letters() -> None:
    async with Wire().open("one.test") as server:
        alice = await server.create_account("alice")
        for call in (
            lambda: server.create_room(alice, invite="@bob:two.test"),
            lambda: server.create_room(alice, version="12", additional_creators="@bob:two.test"),
            lambda: server.join(alice, "!x:two.test", via="two.test"),
        ):
            with pytest.raises(TypeError, match="a list of ids is wanted, not one: '.*two.test'"):
                await call()


async def test_closed_server_refuses_and_closes_again() -> None:
    server = await Homeserver.open("one.test", transport=Wire())
    await server.close()
    await server.close()
    with pytest.raises(RoomletError) as raised:
        await server.accounts()
    assert raised.value.code is Code.CLOSED
    with pytest.raises(RoomletError):
        server.wake()
    assert server.server_name == "one.test"


async def test_whoever_closes_waits_until_all_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "hs.db"
    for _ in range(20):
        server = await Homeserver.open("one.test", path=path, transport=Wire())
        first = asyncio.create_task(server.close())
        await asyncio.sleep(0)
        await server.close()
        # The file is free.
        await (await Homeserver.open("one.test", path=path, transport=Wire())).close()
        await first


async def test_cancelled_opening_leaves_the_file_free(tmp_path: Path) -> None:
    path = tmp_path / "hs.db"
    for steps in range(40):
        opening = asyncio.ensure_future(wait_for_opening(path))
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        opening.cancel()
        try:
            await (await opening).close()
        except asyncio.CancelledError:
            pass
        await (await Homeserver.open("one.test", path=path, transport=Wire())).close()


@pytest.mark.parametrize("turns", range(6))
async def test_result_of_a_cancelled_call_is_freed(turns: int, tmp_path: Path) -> None:
    path = tmp_path / "hs.db"
    bridge.Loop.leave(bridge.Loop.enter())
    config = native.Config(server_name="one.test", path=str(path), limits=None)
    opening = asyncio.ensure_future(native.Homeserver.open(config, bridge.HostTransport(Wire()), None, None))
    await asyncio.sleep(0)
    # It opens while the loop does not look, and is cancelled in one of the turns in which the loop comes to see it.
    time.sleep(0.2)
    for _ in range(turns):
        await asyncio.sleep(0)
    if opening.cancel():
        with pytest.raises(asyncio.CancelledError):
            await opening
    else:
        opening.result().close_blocking()
    del opening
    async with asyncio.timeout(DEADLINE_S):
        await (await open_when_free(path)).close()


async def open_when_free(path: Path) -> Homeserver:
    """Opens a file that somebody is about to let go of."""
    while True:
        try:
            return await Homeserver.open("one.test", path=path, transport=Wire())
        except RoomletError as error:
            assert error.code is Code.STORE_LOCKED
            await asyncio.sleep(0.01)


async def wait_for_opening(path: Path) -> Homeserver:
    return await Homeserver.open("one.test", path=path, transport=Wire())


# A callback that has come when the loop closes never runs, and Python tells so.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_closed_event_loop_is_an_unreachable_server(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()

    async def leave_something_to_deliver() -> Homeserver:
        limits = Limits(request_timeout_ms=1_000, backoff_first_ms=1, backoff_max_ms=1)
        one = await Homeserver.open("one.test", transport=wire, limits=limits)
        async with wire.open("two.test") as two:
            wire.servers["one.test"] = one
            alice, bob = await one.create_account("alice"), await two.create_account("bob")
            room = await one.create_room(alice, preset="public")
            await two.join(bob, room, via=["one.test"])
        await one.send_message(alice, room, "are you there?")
        return one

    loop = asyncio.new_event_loop()
    one = loop.run_until_complete(leave_something_to_deliver())
    loop.close()
    deadline = time.monotonic() + DEADLINE_S
    while "Event loop is closed" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    asyncio.run(one.close())


async def test_file_of_another_server_or_in_use_is_refused(tmp_path: Path) -> None:
    wire = Wire()
    async with wire.open("one.test", path=tmp_path / "hs.db"):
        with pytest.raises(RoomletError) as locked:
            await Homeserver.open("one.test", path=tmp_path / "hs.db", transport=wire)
        assert locked.value.code is Code.STORE_LOCKED
    with pytest.raises(RoomletError) as other:
        await Homeserver.open("two.test", path=tmp_path / "hs.db", transport=wire)
    assert other.value.code is Code.BAD_PARAM
    (tmp_path / "noise.db").write_bytes(b"noise" * 1000)
    with pytest.raises(RoomletError) as damaged:
        await Homeserver.open("one.test", path=tmp_path / "noise.db", transport=wire)
    assert damaged.value.code is Code.STORE_DAMAGED


async def test_failing_and_cancelled_transports_are_unreachable_servers() -> None:
    class Broken:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        async def send(self, request: Request) -> Response:
            raise self.error

    for error in (RuntimeError("broken"), asyncio.CancelledError(), TransportError("no way"), BaseException("odd")):
        async with Homeserver.open("one.test", transport=Broken(error)) as server:
            alice = await server.create_account("alice")
            with pytest.raises(RoomletError) as raised:
                await asyncio.wait_for(server.join(alice, "!x:two.test", via=["two.test"]), DEADLINE_S)
            assert raised.value.code is Code.UNREACHABLE


@pytest.mark.parametrize("status", [0, 99, 600, -1, 70_000, "200", None])
async def test_status_that_is_none_is_an_unreachable_server(status: Any) -> None:
    class Odd:
        async def send(self, request: Request) -> Response:
            return Response(status, b"{}")

    async with Homeserver.open("one.test", transport=Odd()) as server:
        alice = await server.create_account("alice")
        with pytest.raises(RoomletError, match=f"the status is {status!r}, not 100 to 599") as raised:
            await server.join(alice, "!x:two.test", via=["two.test"])
        assert raised.value.code is Code.UNREACHABLE


async def test_request_is_cancelled_when_the_server_closes() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    class Slow:
        async def send(self, request: Request) -> Response:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            raise AssertionError

    server = await Homeserver.open("one.test", transport=Slow())
    alice = await server.create_account("alice")
    joining = asyncio.create_task(server.join(alice, "!x:two.test", via=["two.test"]))
    await asyncio.wait_for(started.wait(), DEADLINE_S)
    await asyncio.wait_for(server.close(), DEADLINE_S)
    with pytest.raises(RoomletError):
        await joining
    await asyncio.wait_for(cancelled.wait(), DEADLINE_S)


class Choosy:
    """Refuses invites to carol, everything that raises, and nothing else."""

    async def accept_invite(self, room_id: str, sender: str, invitee: str) -> bool:
        if invitee.startswith("@dave:"):
            raise RuntimeError("no opinion")
        return not invitee.startswith("@carol:")

    async def accept_join(self, room_id: str, user_id: str) -> bool:
        return True

    async def accept_request(self, origin: str, method: str, target: str) -> bool:
        return True

    async def accept_event(self, room_id: str, event_id: str, sender: str, type: str) -> bool:
        return True


async def test_policy_of_the_host_decides_and_refuses_when_it_fails() -> None:
    wire = Wire()
    async with wire.open("one.test") as one, wire.open("two.test", policy=Choosy()) as two:
        alice = await one.create_account("alice")
        for name in ("bob", "carol", "dave"):
            await two.create_account(name)
        room = await one.create_room(alice)
        await one.invite(alice, room, "@bob:two.test")
        for name in ("carol", "dave"):
            with pytest.raises(RoomletError):
                await one.invite(alice, room, f"@{name}:two.test")
            assert await two.rooms(f"@{name}:two.test") == []
        assert [item.membership for item in await two.rooms("@bob:two.test")] == ["invite"]


async def test_what_does_not_work_between_servers_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with Wire().open("one.test") as one:
        target = "/_matrix/federation/v1/event/x"
        header = 'X-Matrix origin="two.test",destination="one.test",key="ed25519:1",sig="' + "A" * 86 + '"'
        response = await one.handle_request(Request("one.test", "GET", target, [header], b""))
        assert response.status == 401
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 2
    assert lines[0].startswith("server one.test: key ed25519:1 of server two.test, valid at ")
    assert lines[0].endswith(": server two.test: two.test is not there")
    refused = "key ed25519:1 of server two.test could not be had"
    assert lines[1] == f"server one.test: request GET {target} is refused: {refused}"


def test_codes_are_those_of_the_library() -> None:
    listed = {code.number: code.name.lower() for code in native.error_codes()}
    assert {int(code): code.name.replace("_", "").lower() for code in Code} == listed


def test_default_limits_are_those_of_the_library() -> None:
    assert Limits() == native.default_limits()


def test_second_event_loop_is_refused_while_the_first_has_open_servers() -> None:
    async def second() -> None:
        await (await Homeserver.open("two.test", transport=Wire())).close()

    async def first() -> None:
        async with Homeserver.open("one.test", transport=Wire()):
            with pytest.raises(RuntimeError, match="one event loop"):
                await asyncio.to_thread(asyncio.run, second())

    asyncio.run(first())
    asyncio.run(second())
