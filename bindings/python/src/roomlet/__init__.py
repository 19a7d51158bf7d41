"""A Matrix homeserver core that lives inside your program."""

from . import toolkit
from .errors import Code, RoomletError, TransportError
from .homeserver import Homeserver, ImportReport, JsonObject, Limits, StoreReport
from .types import (
    Direction,
    Event,
    EventUpdate,
    Member,
    MembershipChanged,
    Page,
    Policy,
    Preset,
    Redacted,
    Request,
    Response,
    RoomSummary,
    StateChanged,
    Transport,
    Update,
)

__all__ = [
    "Code",
    "Direction",
    "Event",
    "EventUpdate",
    "Homeserver",
    "ImportReport",
    "JsonObject",
    "Limits",
    "Member",
    "MembershipChanged",
    "Page",
    "Policy",
    "Preset",
    "Redacted",
    "Request",
    "Response",
    "RoomSummary",
    "RoomletError",
    "StateChanged",
    "StoreReport",
    "Transport",
    "TransportError",
    "Update",
    "toolkit",
]
