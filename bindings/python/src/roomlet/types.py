"""What operations take and give. Ids are strings, times are milliseconds since 1970."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable


class Preset(enum.StrEnum):
    """Who can join a new room, and who may do what in it."""

    PRIVATE = "private"
    """By invite; history shared with members."""
    TRUSTED_PRIVATE = "trusted_private"
    """As private, and everyone invited at creation has the creator's power."""
    PUBLIC = "public"
    """Anyone can join."""


class Direction(enum.StrEnum):
    """Which way a page of a timeline goes."""

    BACKWARD = "b"
    """To the past."""
    FORWARD = "f"
    """To the present."""


@dataclass(frozen=True, slots=True)
class Request:
    """One federation request."""

    destination: str
    """The name of the server it is for, before any discovery."""
    method: str
    """`GET`, `PUT` or `POST`."""
    target: str
    """Path and query exactly as on the wire, from `/_matrix`."""
    authorization: tuple[str, ...] = ()
    """The value of each `Authorization` header."""
    body: bytes = b""
    """JSON; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request."""

    status: int
    """The HTTP status."""
    body: bytes
    """JSON."""


class Transport(Protocol):
    """Carries requests to other servers."""

    async def send(self, request: Request, /) -> Response:
        """Delivers `request` and gives the response, whatever its status; raises `TransportError` without one."""


@runtime_checkable
class Policy(Protocol):
    """What the host decides where a server may make its own checks. False refuses, and so does an exception.

    What asks waits for the answer, without a limit of time.
    """

    async def accept_invite(self, room_id: str, sender: str, invitee: str, /) -> bool:
        """May `sender` invite the local user `invitee` to the room?"""

    async def accept_join(self, room_id: str, user_id: str, /) -> bool:
        """May a user of another server join the room through this server?"""

    async def accept_request(self, origin: str, method: str, target: str, /) -> bool:
        """May the server `origin` make this federation request?"""

    async def accept_event(self, room_id: str, event_id: str, sender: str, type: str, /) -> bool:
        """May this event of another server reach the users? Refused, it stays in the room's history, out of their sight.

        May be asked again about an event that comes again.
        """


@dataclass(frozen=True, slots=True)
class Event:
    """An event as users see it."""

    event_id: str
    room_id: str
    sender: str
    """The user who sent it."""
    type: str
    """As `m.room.message`."""
    state_key: str | None
    """Present for state events."""
    origin_server_ts: int
    """When the sender's server says it was sent."""
    content: dict[str, Any]
    redacts: str | None = None
    """The event that this one redacts."""
    redacted_by: str | None = None
    """The redaction that took this one's content."""

    def to_dict(self) -> dict[str, Any]:
        """The event as a JSON object, without what is absent."""
        fields: dict[str, Any] = {
            "event_id": self.event_id,
            "room_id": self.room_id,
            "sender": self.sender,
            "type": self.type,
            "state_key": self.state_key,
            "origin_server_ts": self.origin_server_ts,
            "content": self.content,
            "redacts": self.redacts,
            "redacted_by": self.redacted_by,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a timeline."""

    events: list[Event]
    """In the direction of the page."""
    next: str | None
    """Where the next page begins; None where there is nothing more in this direction now."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a room's current state."""

    user_id: str
    membership: str
    """`join`, `invite`, `leave`, `ban` or `knock`."""


@dataclass(frozen=True, slots=True)
class RoomSummary:
    """A room of a local user."""

    room_id: str
    membership: str
    """The user's."""


@dataclass(frozen=True, slots=True)
class EventUpdate:
    """A new event that users may see, as it is now (redacted, if it was since)."""

    pos: int
    """The token to resume after this update."""
    event: Event


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Merging histories changed a room's current state without a new event."""

    pos: int
    room_id: str
    type: str
    state_key: str
    event: Event | None
    """What it is now; None where there is no such state any more."""


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """A local user's membership changed."""

    pos: int
    room_id: str
    user_id: str
    membership: str
    sender: str
    """Who caused it."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """An event lost its content to a redaction."""

    pos: int
    room_id: str
    event_id: str
    redacted_by: str


Update: TypeAlias = EventUpdate | StateChanged | MembershipChanged | Redacted
"""What happened."""
