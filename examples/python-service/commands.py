"""The verbs of the line protocol: each turns its arguments into one call of the homeserver."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from roomlet import Event, EventUpdate, Homeserver, MembershipChanged, Redacted, StateChanged, Update

Verb = Callable[[Homeserver, Sequence[str]], Awaitable[str]]


def to_json(value: object) -> str:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def update_to_dict(update: Update) -> dict[str, Any]:
    """An update as a JSON object."""
    match update:
        case EventUpdate(event=event):
            return {"kind": "event", "event": event.to_dict()}
        case StateChanged(room_id=room_id, type=kind, state_key=state_key, event=now):
            return {
                "kind": "state_changed",
                "room_id": room_id,
                "type": kind,
                "state_key": state_key,
                "event": now.to_dict() if now is not None else None,
            }
        case MembershipChanged(room_id=room_id, user_id=user_id, membership=membership, sender=sender):
            return {
                "kind": "membership",
                "room_id": room_id,
                "user_id": user_id,
                "membership": membership,
                "sender": sender,
            }
        case Redacted(room_id=room_id, event_id=event_id, redacted_by=redacted_by):
            return {"kind": "redacted", "room_id": room_id, "event_id": event_id, "redacted_by": redacted_by}


def _events(events: list[Event]) -> list[dict[str, Any]]:
    return [event.to_dict() for event in events]


def _at(args: Sequence[str], index: int) -> str | None:
    """An argument that may be missing or empty."""
    return args[index] if len(args) > index and args[index] else None


async def _timeline(server: Homeserver, args: Sequence[str]) -> str:
    page = await server.timeline(args[0], args[1], from_token=_at(args, 2), direction=args[3], limit=int(args[4]))
    return to_json({"events": _events(page.events), "next": page.next})


async def _leave(server: Homeserver, args: Sequence[str]) -> str:
    return await server.leave(args[0], args[1], reason=_at(args, 2)) or ""


async def _event(server: Homeserver, args: Sequence[str]) -> str:
    return to_json((await server.event(args[0], args[1], args[2])).to_dict())


async def _state(server: Homeserver, args: Sequence[str]) -> str:
    return to_json(_events(await server.state(args[0], args[1])))


async def _stateevent(server: Homeserver, args: Sequence[str]) -> str:
    event = await server.state_event(args[0], args[1], args[2], _at(args, 3) or "")
    return to_json(event.to_dict() if event is not None else None)


async def _members(server: Homeserver, args: Sequence[str]) -> str:
    members = await server.members(args[0], args[1], _at(args, 2))
    return to_json([{"user_id": member.user_id, "membership": member.membership} for member in members])


async def _rooms(server: Homeserver, args: Sequence[str]) -> str:
    rooms = await server.rooms(args[0])
    return to_json([{"room_id": room.room_id, "membership": room.membership} for room in rooms])


async def _preview(server: Homeserver, args: Sequence[str]) -> str:
    return to_json(await server.invite_preview(args[0], args[1]))


async def _wake(server: Homeserver, args: Sequence[str]) -> str:
    server.wake()
    return ""


VERBS: dict[str, Verb] = {
    # LOCALPART
    "account": lambda s, a: s.create_account(a[0]),
    # USER OPTIONS
    "create": lambda s, a: s.create_room(a[0], **json.loads(a[1])),
    # USER ROOM VERSION
    "upgrade": lambda s, a: s.upgrade_room(a[0], a[1], a[2]),
    # USER ROOM TARGET [REASON]
    "invite": lambda s, a: s.invite(a[0], a[1], a[2], reason=_at(a, 3)),
    "kick": lambda s, a: s.kick(a[0], a[1], a[2], reason=_at(a, 3)),
    "ban": lambda s, a: s.ban(a[0], a[1], a[2], reason=_at(a, 3)),
    "unban": lambda s, a: s.unban(a[0], a[1], a[2], reason=_at(a, 3)),
    # USER ROOM VIA,VIA… (may be empty)
    "join": lambda s, a: s.join(a[0], a[1], via=[name for name in a[2].split(",") if name]),
    # USER ROOM [REASON]
    "leave": _leave,
    # USER ROOM TYPE CONTENT [TXN]
    "send": lambda s, a: s.send(a[0], a[1], a[2], a[3], txn_id=_at(a, 4)),
    # USER ROOM TYPE KEY CONTENT [TXN]
    "setstate": lambda s, a: s.set_state(a[0], a[1], a[2], a[4], state_key=a[3], txn_id=_at(a, 5)),
    # USER ROOM EVENT [REASON] [TXN]
    "redact": lambda s, a: s.redact(a[0], a[1], a[2], reason=_at(a, 3), txn_id=_at(a, 4)),
    # USER ROOM FROM b|f LIMIT
    "timeline": _timeline,
    # USER ROOM EVENT
    "event": _event,
    # USER ROOM
    "state": _state,
    "preview": _preview,
    # USER ROOM TYPE KEY
    "stateevent": _stateevent,
    # USER ROOM [MEMBERSHIP]
    "members": _members,
    # USER
    "rooms": _rooms,
    "wake": _wake,
}
