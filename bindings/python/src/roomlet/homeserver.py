"""The homeserver: one method per operation."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from types import TracebackType
from typing import Any

from . import _bridge as bridge
from ._native import bindings as native
from .errors import Code, RoomletError
from .types import (
    Direction,
    Event,
    Member,
    Page,
    Policy,
    Preset,
    Request,
    Response,
    RoomSummary,
    Transport,
    Update,
)

Limits = native.Limits
"""Limits that are the host's policy; made without arguments, the defaults."""

ImportReport = native.ImportReport
"""What became of an archive's events: `room_id`, how many there were of each fate, and `first_fault`."""

StoreReport = native.StoreReport
"""What a check of the store found: how many `rooms`, `events` and `states` there are, and their `faults`."""

JsonObject = Mapping[str, Any]
"""An event's content. Numbers are integers."""

# Room versions whose messages are made of content blocks; `m.room.message` is banned there.
_CONTENT_BLOCK_VERSIONS = frozenset({"I.1", "org.matrix.msc1767.10"})

_PRESETS = {
    Preset.PRIVATE: native.Preset.PRIVATE,
    Preset.TRUSTED_PRIVATE: native.Preset.TRUSTED_PRIVATE,
    Preset.PUBLIC: native.Preset.PUBLIC,
}
_DIRECTIONS = {Direction.BACKWARD: native.Direction.BACKWARD, Direction.FORWARD: native.Direction.FORWARD}


class Homeserver:
    """A homeserver inside this program. Open it with `async with Homeserver.open(...) as server`.

    A command returns once its result is durable here; other servers hear of it later. Cancelling the wait does not
    stop a command: with a `txn_id` it can be repeated safely. All homeservers of a process live on one event loop, and
    their methods are called there. What they log, above all what does not work between servers, is in the logger
    `roomlet`. One that is not closed is closed when the program ends. A process that `fork` makes has none of them: there
    their methods raise `Code.CLOSED`, and it may open its own.

    Methods raise `RoomletError`, whose `code` says why. Besides what a method names, each can raise `Code.CLOSED`,
    `BAD_ID`, and the store's codes; commands also `UNKNOWN_USER` for a user who is no account, `UNKNOWN_ROOM` for a room
    that is not held here, `NOT_JOINED` for a user who is not in it, and `DENIED` with the rule that refuses. A command
    that fails has changed nothing, unless its description says so.
    """

    def __init__(self, inner: native.Homeserver) -> None:
        """Not for callers: see `open`."""
        self._inner = inner
        self._loop = bridge.Loop.enter()
        self._closed = False
        bridge.Open.add(self, inner)

    @staticmethod
    def open(
        server_name: str,
        *,
        transport: Transport,
        path: str | os.PathLike[str] | None = None,
        policy: Policy | None = None,
        limits: Limits | None = None,
    ) -> Opening:
        """Opens the SQLite file `path` (made if it is not there; without one nothing survives) and resumes what
        was under way. The result is awaited, or entered with `async with`, which closes the homeserver at the end.
        A task that is cancelled meanwhile ends when the homeserver is open and closed again.

        Raises `Code.STORE_LOCKED`, `STORE_DAMAGED`, `STORE_NEWER`; `BAD_PARAM` if the store is another server's.
        """
        where = os.fspath(path) if path is not None else None
        return Opening(native.Config(server_name=server_name, path=where, limits=limits), transport, policy)

    async def close(self) -> None:
        """Stops all work, closes the store and lets go of transport and policy. Again, it has no effect."""
        # On a thread of Python's, which the interpreter waits for at its end. A thread of roomlet's that still tells of
        # the result by then would be killed in the middle, and the process with it.
        await asyncio.to_thread(bridge.call_now, self._inner.close_blocking)
        if not self._closed:
            self._closed = True
            bridge.Open.remove(self._inner)
            bridge.Loop.leave(self._loop)

    @property
    def server_name(self) -> str:
        """The server's name."""
        return bridge.call_now(self._inner.server_name)

    async def handle_request(self, request: Request) -> Response:
        """Answers a federation request of another server; `roomlet.http.FederationApp` calls it.

        What is wrong with the request is in the response. A body of more than 12,500,000 bytes is answered with 413:
        read no more.
        """
        response = await bridge.call(
            self._inner.handle_request(
                native.Request(
                    destination=request.destination,
                    method=request.method,
                    target=request.target,
                    authorization=list(request.authorization),
                    body=bytes(request.body),
                )
            )
        )
        return Response(response.status, response.body)

    def wake(self) -> None:
        """The network is back, or the program woke up: deliveries that wait after a failure are tried at once."""
        bridge.call_now(self._inner.wake)

    async def create_account(self, localpart: str) -> str:
        """Makes an account and gives its user id, `@localpart:server_name`. Raises `Code.EXISTS`."""
        return await bridge.call(self._inner.create_account(localpart))

    async def accounts(self) -> list[str]:
        """The ids of the accounts, in order."""
        return await bridge.call(self._inner.accounts())

    async def create_room(
        self,
        user_id: str,
        *,
        preset: Preset | str = Preset.PRIVATE,
        version: str | None = None,
        name: str | None = None,
        topic: str | None = None,
        type: str | None = None,
        invite: Iterable[str] = (),
        is_direct: bool = False,
        additional_creators: Iterable[str] = (),
    ) -> str:
        """Makes a room and gives its id; `version` is by default `Limits.default_room_version`.

        An invited user of this server who is no account is an error, and nothing is made then. An invite that
        another server or the host refuses fails alone, and nothing tells of it but the members and the log: to have
        its error, make the room without it and call `invite`. `additional_creators` are for room versions from 12.

        Raises `Code.UNKNOWN_ROOM_VERSION`, `BAD_PARAM` for creators in a version without them, `TOO_LARGE`.
        """
        options = native.CreateRoom(
            preset=_PRESETS[Preset(preset)],
            version=version,
            name=name,
            topic=topic,
            room_type=type,
            invite=_ids(invite),
            is_direct=is_direct,
            additional_creators=_ids(additional_creators),
        )
        return await bridge.call(self._inner.create_room(user_id, options))

    async def upgrade_room(
        self, user_id: str, room_id: str, version: str, *, additional_creators: Iterable[str] = ()
    ) -> str:
        """Replaces a room by a new one of `version`, higher or lower, and gives the new room's id.

        The new room takes over what the old one says of itself, and no members; the old one gets a tombstone that
        points to it. After a crash or an error it can be repeated.

        Raises `Code.DENIED` if the user may not send `m.room.tombstone`, `UNKNOWN_ROOM_VERSION`, `BAD_PARAM`.
        """
        return await bridge.call(self._inner.upgrade_room(user_id, room_id, version, _ids(additional_creators)))

    async def import_room(self, archive: str | os.PathLike[str], *, trusted: bool = False) -> ImportReport:
        """Takes a whole room from a file of its events in federation form.

        One event a line, the create event first and others after those that they cite. All rules hold; with `trusted`
        the signatures alone are taken as right. Users hear of the memberships alone. An import that ended early, also by
        an error, can be repeated, and goes on where it was.

        Raises `Code.BAD_PARAM` for a file that cannot be read or is no archive; `UNKNOWN_ROOM_VERSION`. Other wrong events
        are no error: the report counts them.
        """
        return await bridge.call(self._inner.import_room(os.fspath(archive), trusted))

    async def purge_history(self, room_id: str, before: str) -> int:
        """Deletes what came before an event in the room's timeline, and tells how many events that was.

        What the rest needs stays, and what is still to be delivered. The disk space is given back.

        Raises `Code.UNKNOWN_EVENT` if `before` is no event of the timeline.
        """
        return await bridge.call(self._inner.purge_history(room_id, before))

    async def forget_room(self, room_id: str) -> None:
        """Deletes all there is of a room, pending invites too, and gives the disk space back.

        What other servers are still owed of it goes out all the same. Raises `Code.DENIED` while a user of this server is
        in it who could leave.
        """
        await bridge.call(self._inner.forget_room(room_id))

    async def check_store(self, *, repair: bool = False) -> StoreReport:
        """Reads all that is stored, and reports what does not fit together.

        With `repair`, what follows from other things is put right, and events that cannot be read are deleted, so that the
        rest of their rooms can be used: make a copy of the file first, if somebody may want to look at them. Commands on
        a room wait while it is looked at.
        """
        return await bridge.call(self._inner.check_store(repair))

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Writes a copy of the store, as it is at one moment, to a new file; commands go on meanwhile.

        Raises `Code.BAD_PARAM` if there is such a file, or if the store is in memory.
        """
        await bridge.call(self._inner.backup(os.fspath(path)))

    async def invite(self, user_id: str, room_id: str, target: str, *, reason: str | None = None) -> str:
        """Invites `target`, of any server. As the other commands, it gives the id of the event.

        Raises `Code.UNREACHABLE`, `REMOTE` or `BAD_REPLY` of the server of `target`; `FORBIDDEN` if the policy refuses for
        a user of this server.
        """
        return await bridge.call(self._inner.invite(user_id, room_id, target, reason))

    async def join(self, user_id: str, room_id: str, *, via: Iterable[str] = ()) -> str:
        """Joins, through another server if this one is not in the room, or may not let the user in.

        The servers `via` are asked in turn, then those of who invited, and some that are known to be in the room.

        Raises `Code.UNKNOWN_ROOM` if there is no server to ask; what the last one gave: `UNREACHABLE`, `REMOTE`, `BAD_REPLY`,
        `UNKNOWN_ROOM_VERSION`.
        """
        return await bridge.call(self._inner.join(user_id, room_id, _ids(via)))

    async def leave(self, user_id: str, room_id: str, *, reason: str | None = None) -> str | None:
        """Leaves, or rejects an invite.

        None where the server of the invite's sender could not be reached, or refused, and the invite was only dropped.
        """
        return await bridge.call(self._inner.leave(user_id, room_id, reason))

    async def kick(self, user_id: str, room_id: str, target: str, *, reason: str | None = None) -> str:
        """Removes `target` from the room, or takes their invite away. Raises `Code.BAD_PARAM` if they are not there."""
        return await bridge.call(self._inner.kick(user_id, room_id, target, reason))

    async def ban(self, user_id: str, room_id: str, target: str, *, reason: str | None = None) -> str:
        """Bans `target`, who need not be in the room."""
        return await bridge.call(self._inner.ban(user_id, room_id, target, reason))

    async def unban(self, user_id: str, room_id: str, target: str, *, reason: str | None = None) -> str:
        """Lifts the ban of `target`. Raises `Code.BAD_PARAM` if there is none."""
        return await bridge.call(self._inner.unban(user_id, room_id, target, reason))

    async def send(
        self, user_id: str, room_id: str, type: str, content: JsonObject | str, *, txn_id: str | None = None
    ) -> str:
        """Sends an event; `content` is a JSON object or its text.

        The same `txn_id` of the same user in the same room gives the same event id, whichever command it was given
        with: this, `set_state` or `redact`.

        Raises `Code.BAD_PARAM` for a type that the room's version retired or that has a command of its own; `BAD_JSON`,
        `NOT_CANONICAL`, `TOO_LARGE`.
        """
        return await bridge.call(self._inner.send(user_id, room_id, type, _text(content), txn_id))

    async def send_message(self, user_id: str, room_id: str, body: str, *, txn_id: str | None = None) -> str:
        """Sends a text message in the form of the room's version; else as `send`."""
        create = await self.state_event(user_id, room_id, "m.room.create")
        if create is not None and create.content.get("room_version") in _CONTENT_BLOCK_VERSIONS:
            return await self.send(user_id, room_id, "m.message", {"m.text": [{"body": body}]}, txn_id=txn_id)
        content = {"msgtype": "m.text", "body": body}
        return await self.send(user_id, room_id, "m.room.message", content, txn_id=txn_id)

    async def set_state(
        self,
        user_id: str,
        room_id: str,
        type: str,
        content: JsonObject | str,
        *,
        state_key: str = "",
        txn_id: str | None = None,
    ) -> str:
        """Sends a state event; else as `send`.

        Raises `Code.BAD_PARAM` also for an invite (`invite`) and for power levels with a state key, `BAD_EVENT` for another
        create event.
        """
        return await bridge.call(
            self._inner.set_state(user_id, room_id, type, state_key, _text(content), txn_id)
        )

    async def redact(
        self, user_id: str, room_id: str, event_id: str, *, reason: str | None = None, txn_id: str | None = None
    ) -> str:
        """Takes the content of an event away, on every server. Raises `Code.UNKNOWN_EVENT`."""
        return await bridge.call(self._inner.redact(user_id, room_id, event_id, reason, txn_id))

    async def timeline(
        self,
        user_id: str,
        room_id: str,
        *,
        from_token: str | None = None,
        direction: Direction | str = Direction.BACKWARD,
        limit: int = 50,
    ) -> Page:
        """A page of the timeline, from the token `Page.next` of another; by default back from the newest event.

        It has up to `limit` events; 0 counts as 1, more than 1,000 as 1,000. Backward, other servers are asked where the
        local history ends. Raises `Code.BAD_PARAM` for a token that is none.
        """
        way = _DIRECTIONS[Direction(direction)]
        return bridge.page(await bridge.call(self._inner.timeline(user_id, room_id, from_token, way, limit)))

    async def event(self, user_id: str, room_id: str, event_id: str) -> Event:
        """One event. Raises `Code.UNKNOWN_EVENT` for one that is not held or that the user may not see."""
        return bridge.event(await bridge.call(self._inner.event(user_id, room_id, event_id)))

    async def state(self, user_id: str, room_id: str) -> list[Event]:
        """The current state (what it was at the end, for a user who left), by type and state key."""
        return [bridge.event(item) for item in await bridge.call(self._inner.state(user_id, room_id))]

    async def state_event(self, user_id: str, room_id: str, type: str, state_key: str = "") -> Event | None:
        """One event of the current state; None if there is no such state."""
        found = await bridge.call(self._inner.state_event(user_id, room_id, type, state_key))
        return bridge.event(found) if found is not None else None

    async def members(self, user_id: str, room_id: str, membership: str | None = None) -> list[Member]:
        """The members, all or with one membership (`join`, `invite`, `leave`, `ban`, `knock`), by user id."""
        return bridge.members(await bridge.call(self._inner.members(user_id, room_id, membership)))

    async def rooms(self, user_id: str) -> list[RoomSummary]:
        """The user's rooms and invites, by room id."""
        return bridge.rooms(await bridge.call(self._inner.rooms(user_id)))

    async def invite_preview(self, user_id: str, room_id: str) -> list[dict[str, Any]]:
        """The stripped state that came with a pending invite: what the inviting server says, verified by nobody.

        Raises `Code.NOT_FOUND` without a pending invite.
        """
        preview: list[dict[str, Any]] = json.loads(await bridge.call(self._inner.invite_preview(user_id, room_id)))
        return preview

    async def next_updates(self, since: int, *, limit: int = 100) -> list[Update]:
        """1 to `limit` updates (1,000 at most) after position `since`; waits until there is one.

        Raises `Code.BAD_PARAM` for a position beyond the newest update: one of another store, or of a store that went back
        to a backup.
        """
        return [bridge.update(entry) for entry in await bridge.call(self._inner.updates(since, limit))]

    async def updates(self, since: int = 0, *, batch: int = 100) -> AsyncIterator[Update]:
        """Every update after position `since` (0: from the beginning), as it comes; ends when the homeserver closes.

        Store the `pos` of what you have handled: after a crash, resume there.
        """
        while True:
            try:
                entries = await self.next_updates(since, limit=batch)
            except RoomletError as error:
                if error.code == Code.CLOSED:
                    return
                raise
            for entry in entries:
                yield entry
                since = entry.pos

    async def last_update(self) -> int:
        """The position of the newest update."""
        return await bridge.call(self._inner.last_update())

    async def trim_updates(self, up_to: int) -> None:
        """Forgets the updates up to and with `up_to`, which every reader has handled. Without this they pile up.

        A position beyond the newest update is `Code.BAD_PARAM`.
        """
        await bridge.call(self._inner.trim_updates(up_to))


class Opening:
    """What `Homeserver.open` gives: await it, or enter it with `async with`."""

    def __init__(self, config: native.Config, transport: Transport, policy: Policy | None) -> None:
        self._config = config
        self._transport = transport
        self._policy = policy
        self._opened: Homeserver | None = None

    def __await__(self) -> Generator[Any, None, Homeserver]:
        return self._open().__await__()

    async def __aenter__(self) -> Homeserver:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _open(self) -> Homeserver:
        opening = asyncio.ensure_future(self._open_to_the_end())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Nobody would close what opens all the same, and its file would stay locked.
            await asyncio.shield(asyncio.ensure_future(_closed(opening)))
            raise

    async def _open_to_the_end(self) -> Homeserver:
        # Entered before the library can call back; the homeserver enters again for its own life.
        loop = bridge.Loop.enter()
        try:
            inner = await bridge.call(
                native.Homeserver.open(
                    self._config,
                    bridge.HostTransport(self._transport),
                    bridge.HostPolicy(self._policy) if self._policy is not None else None,
                    bridge.HostLogger(),
                )
            )
            return Homeserver(inner)
        finally:
            bridge.Loop.leave(loop)


async def _closed(opening: asyncio.Future[Homeserver]) -> None:
    """Waits for an opening that nobody wants any more, and closes what it opened."""
    try:
        homeserver = await opening
    except Exception:
        return
    await homeserver.close()


def _ids(ids: Iterable[str]) -> list[str]:
    if isinstance(ids, str):
        raise TypeError(f"a list of ids is wanted, not one: {ids!r}")
    return list(ids)


def _text(content: JsonObject | str) -> str:
    if isinstance(content, str):
        return content
    return json.dumps(content, allow_nan=False, separators=(",", ":"))
