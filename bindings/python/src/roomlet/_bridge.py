"""Between the generated module and the package: records, errors, callbacks, the event loop.

The only place that knows how the generated module looks.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from ._native import bindings as native
from .errors import RoomletError, TransportError
from .types import (
    Event,
    EventUpdate,
    Member,
    MembershipChanged,
    Page,
    Policy,
    Redacted,
    Request,
    Response,
    RoomSummary,
    StateChanged,
    Transport,
    Update,
)

T = TypeVar("T")

_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What ends the program or the coroutine: that is not for the library."""

log = logging.getLogger("roomlet")

# The generated error classes are assembled at run time, where a type checker does not see their variants.
_Failed: type[Exception] = getattr(native.RoomletError, "Failed")
_Unreachable: Callable[[str], Exception] = getattr(native.TransportError, "Unreachable")
host_failed: Callable[[str], Exception] = getattr(native.HostError, "Failed")
"""The error of a callback that fails."""


def raised(error: Any) -> RoomletError:
    """The package's form of a generated error."""
    return RoomletError(error.code, error.errcode, error.about)


async def call(awaitable: Awaitable[T]) -> T:
    """Awaits an operation, with its errors as `RoomletError`."""
    try:
        return await awaitable
    except _Failed as error:
        raise raised(error) from None


def call_now(operation: Callable[[], T]) -> T:
    """Calls an operation that does not wait, with its errors as `RoomletError`."""
    try:
        return operation()
    except _Failed as error:
        raise raised(error) from None


class Loop:
    """Callbacks come on roomlet's threads and run on one event loop of the process: that of the open homeservers."""

    _current: asyncio.AbstractEventLoop | None = None
    _users = 0

    @classmethod
    def enter(cls) -> asyncio.AbstractEventLoop:
        """Makes the running loop the one of all callbacks, unless an open homeserver uses another."""
        loop = asyncio.get_running_loop()
        if cls._current is not loop:
            if cls._users and cls._current is not None and not cls._current.is_closed():
                raise RuntimeError("homeservers of one process are opened on one event loop")
            cls._current, cls._users = loop, 0
            native.uniffi_set_event_loop(loop)  # type: ignore[arg-type]
        cls._users += 1
        return loop

    @classmethod
    def leave(cls, loop: asyncio.AbstractEventLoop) -> None:
        """Ends one use that `enter` began."""
        if cls._current is loop:
            cls._users -= 1

    @classmethod
    def drop(cls) -> None:
        """Ends one use, by whoever is on this loop."""
        cls._users = max(0, cls._users - 1)

    @classmethod
    def forked(cls) -> None:
        """Forgets the loop of the process that this one was forked from."""
        cls._current, cls._users = None, 0
        native.uniffi_set_event_loop(None)  # type: ignore[arg-type]


class Open:
    """The homeservers that are not closed. A thread of theirs that calls Python while the interpreter ends would take the
    process down with it, so all are closed before.
    """

    _all: dict[int, native.Homeserver] = {}

    @classmethod
    def add(cls, owner: object, inner: native.Homeserver) -> None:
        """Keeps `inner` until it is closed; that happens too when `owner` is let go."""
        cls._all[id(inner)] = inner
        weakref.finalize(owner, cls._let_go, id(inner)).atexit = False

    @classmethod
    def remove(cls, inner: native.Homeserver) -> None:
        """Says that it is closed."""
        cls._all.pop(id(inner), None)

    @classmethod
    def _let_go(cls, key: int) -> None:
        inner = cls._all.pop(key, None)
        if inner is None:
            return
        # On a thread of its own: the garbage collector stops its thread anywhere, also where it holds what others wait for.
        threading.Thread(target=cls._close, args=(inner,), name="roomlet-close").start()
        Loop.drop()
        warnings.warn("a homeserver was let go without being closed", ResourceWarning, stacklevel=2)

    @classmethod
    def close_all(cls) -> None:
        """Closes all that are left."""
        while cls._all:
            cls._close(cls._all.popitem()[1])

    @staticmethod
    def _close(inner: native.Homeserver) -> None:
        try:
            inner.close_blocking()
        except Exception:
            log.exception("a homeserver could not be closed")

    @classmethod
    def forked(cls) -> None:
        """In a child that `fork` made: it has none of the threads, so what is open belongs to the parent."""
        # Never freed: freeing would end what is the parent's.
        _inherited.extend(cls._all.values())
        cls._all.clear()
        Loop.forked()


_inherited: list[native.Homeserver] = []

atexit.register(Open.close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Open.forked)


class HostTransport(native.Transport):
    """A transport as the library wants it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, request: native.Request) -> native.Response:
        try:
            response = await self._transport.send(
                Request(
                    request.destination, request.method, request.target, tuple(request.authorization), request.body
                )
            )
            if response.status not in range(100, 600):
                raise ValueError(f"the status is {response.status!r}, not 100 to 599")
            return native.Response(status=response.status, body=bytes(response.body))
        except TransportError as error:
            raise _Unreachable(str(error)) from None
        except _ENDS:
            raise
        # No other BaseException may get past: the library would wait for ever.
        except asyncio.CancelledError:
            raise _Unreachable("the request was cancelled") from None
        except BaseException as error:
            log.exception("the transport failed")
            raise _Unreachable(f"the transport failed: {error!r}") from None


class HostPolicy(native.HostPolicy):
    """A policy as the library wants it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def accept_invite(self, room_id: str, sender: str, invitee: str) -> bool:
        return await self._answer(self._policy.accept_invite(room_id, sender, invitee))

    async def accept_join(self, room_id: str, user_id: str) -> bool:
        return await self._answer(self._policy.accept_join(room_id, user_id))

    async def accept_request(self, origin: str, method: str, target: str) -> bool:
        return await self._answer(self._policy.accept_request(origin, method, target))

    async def accept_event(self, room_id: str, event_id: str, sender: str, kind: str) -> bool:
        return await self._answer(self._policy.accept_event(room_id, event_id, sender, kind))

    async def _answer(self, question: Awaitable[bool]) -> bool:
        try:
            return bool(await question)
        except _ENDS:
            raise
        except asyncio.CancelledError:
            raise host_failed("the question was cancelled") from None
        except BaseException as error:
            raise host_failed(repr(error)) from None


class HostLogger(native.Logger):
    """Puts the library's lines into the log `roomlet`."""

    def log(self, level: native.LogLevel, message: str) -> None:
        log.log(_LEVELS.get(level, logging.INFO), "%s", message)


_LEVELS = {native.LogLevel.ERROR: logging.ERROR, native.LogLevel.WARN: logging.WARNING}


def event(record: native.RoomEvent) -> Event:
    """The package's form of an event."""
    return Event(
        event_id=record.event_id,
        room_id=record.room_id,
        sender=record.sender,
        type=record.kind,
        state_key=record.state_key,
        origin_server_ts=record.origin_server_ts,
        content=json.loads(record.content),
        redacts=record.redacts,
        redacted_by=record.redacted_by,
    )


def page(record: native.Page) -> Page:
    """The package's form of a page."""
    return Page([event(item) for item in record.events], record.next)


def members(records: Iterable[native.Member]) -> list[Member]:
    """The package's form of members."""
    return [Member(record.user_id, record.membership) for record in records]


def rooms(records: Iterable[native.RoomSummary]) -> list[RoomSummary]:
    """The package's form of rooms."""
    return [RoomSummary(record.room_id, record.membership) for record in records]


def update(entry: native.UpdateEntry) -> Update:
    """The package's form of an update."""
    what: Any = entry.update
    if what.is_EVENT():
        return EventUpdate(entry.pos, event(what.event))
    if what.is_STATE_CHANGED():
        now = event(what.event) if what.event is not None else None
        return StateChanged(entry.pos, what.room_id, what.kind, what.state_key, now)
    if what.is_MEMBERSHIP():
        return MembershipChanged(entry.pos, what.room_id, what.user_id, what.membership, what.sender)
    return Redacted(entry.pos, what.room_id, what.event_id, what.redacted_by)
