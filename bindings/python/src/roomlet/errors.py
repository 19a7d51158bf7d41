"""What operations and transports raise."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """What went wrong, as a number that never changes its meaning."""

    BAD_JSON = 100
    """Not JSON, or JSON that breaks a limit of the parser."""
    NOT_CANONICAL = 101
    """JSON with a float or an integer out of range."""
    BAD_ID = 102
    """An identifier that breaks its grammar or length."""
    TOO_LARGE = 103
    """An event, request or field beyond its size limit."""
    BAD_EVENT = 104
    """An event without a required field, or with one of the wrong type."""
    UNKNOWN_ROOM_VERSION = 105
    """A room version that this server does not know."""
    BAD_PARAM = 106
    """A parameter that is missing or makes no sense."""
    BAD_SIGNATURE = 200
    """A signature that does not verify."""
    MISSING_SIGNATURE = 201
    """A signature that has to be there and is not."""
    UNKNOWN_KEY = 202
    """A signing key that could not be had."""
    EXPIRED_KEY = 203
    """A signing key that was not valid at the time of the event."""
    UNAUTHORIZED = 204
    """A federation request without valid authentication."""
    DENIED = 300
    """The rules refuse it, those of the room or of the command; the message names the rule."""
    NOT_JOINED = 301
    """The user is not in the room."""
    FORBIDDEN = 302
    """The host's policy, a server ACL or a membership refuses this."""
    UNKNOWN_ROOM = 400
    """A room that this server does not hold."""
    UNKNOWN_EVENT = 401
    """An event that this server does not hold."""
    UNKNOWN_USER = 402
    """A user that is not an account of this server."""
    NOT_FOUND = 403
    """Something else that is not there."""
    UNKNOWN_ENDPOINT = 404
    """A federation endpoint that this server does not have."""
    UNKNOWN_METHOD = 405
    """A federation endpoint that does not know this method."""
    EXISTS = 406
    """The thing exists already."""
    UNREACHABLE = 500
    """The other server could not be reached."""
    REMOTE = 501
    """The other server answered with an error."""
    BAD_REPLY = 502
    """The other server's answer breaks the protocol."""
    BUSY = 503
    """Too much is under way; try again later."""
    STORE = 600
    """The store could not be read or written."""
    STORE_FULL = 601
    """The store has no room left on its disk."""
    STORE_LOCKED = 602
    """Another owner has the store open, in this process or another."""
    STORE_DAMAGED = 603
    """The store's file is damaged or is no store."""
    STORE_NEWER = 604
    """The store was written by a newer version of roomlet."""
    CLOSED = 700
    """The server was closed."""
    CANCELLED = 701
    """The operation was cancelled."""
    POISONED = 702
    """An earlier panic made this server unusable."""
    PANIC = 703
    """A bug in roomlet, stopped at the boundary."""
    BAD_ARGUMENT = 704
    """A wrong pointer, length or handle; not seen from Python."""
    WRONG_THREAD = 705
    """The call is not allowed on this thread."""
    HOST = 706
    """A callback of the host failed."""
    FREED_HANDLE = 707
    """The handle was freed already; not seen from Python."""
    TIMED_OUT = 708
    """A blocking call did not end in time; not seen from Python."""


class RoomletError(Exception):
    """An operation did not succeed."""

    code: int
    """What went wrong: one of `Code`, or a newer number."""
    errcode: str
    """The Matrix errcode of it, as `M_FORBIDDEN`."""
    message: str
    """What was wrong with which thing, for people."""

    def __init__(self, code: int, errcode: str, message: str) -> None:
        super().__init__(f"{message} ({errcode}, {code})")
        self.code = Code(code) if code in Code.__members__.values() else code
        self.errcode = errcode
        self.message = message


class TransportError(Exception):
    """A transport has no response to a request: the destination could not be reached."""
