"""The primitives of Matrix rooms without a homeserver.

Canonical JSON, signatures, events, authorization, state resolution, identifiers, room versions: functions without state,
for any thread. An event is a mapping, or JSON text, in federation form. What is wrong raises `RoomletError`; a function that
takes a room version raises `Code.UNKNOWN_ROOM_VERSION` for one that is not known, one that takes an event what `check_event`
raises. Functions that judge do not look at hashes and signatures: call `verify_event` first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import _bridge as bridge
from ._native import bindings as native
from .errors import RoomletError

Json = Mapping[str, Any] | str
"""A JSON object, parsed or as text."""

Verdict = native.Verdict
"""What the authorization rules say of an event: `is_allowed`, and if it is not `rule` and `about`."""

IdKind = native.IdKind
"""What an identifier names: `USER`, `ROOM`, `ROOM_ALIAS`, `EVENT`, `SERVER` or `KEY`."""

ParsedId = native.ParsedId
"""An identifier in its parts: `local`, `server`, `host`, `port`."""

RoomVersionInfo = native.RoomVersionInfo
"""What a room version can do."""

EventSource = Callable[[list[str]], Iterable[Json]]
"""Gives the events of these ids, in any order."""


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _object(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value


def canonical_json(value: Any) -> str:
    """The canonical form of a JSON value; a string is taken for JSON text.

    Raises `Code.BAD_JSON`; `NOT_CANONICAL` for a number that is no integer of at most 53 bits.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return bridge.call_now(lambda: native.canonical_json(text))


def public_key(seed: str) -> str:
    """The public key of a signing key, both in unpadded base64; `seed` is its 32 bytes."""
    return bridge.call_now(lambda: native.public_key(seed))


def sign_json(value: Json, server: str, key_id: str, seed: str) -> dict[str, Any]:
    """The object with the signature of `server` beside those that it has.

    `key_id` is `ed25519:` and a name, `seed` as for `public_key`. Raises `Code.BAD_PARAM` for other ones.
    """
    return _object(bridge.call_now(lambda: native.sign_json(_text(value), server, key_id, seed)))


def verify_json(value: Json, server: str, key_id: str, public_key: str) -> None:
    """Checks that there is a signature of `server` with the key `key_id`, and that it is right.

    Raises `Code.MISSING_SIGNATURE`, `BAD_SIGNATURE`.
    """
    bridge.call_now(lambda: native.verify_json(_text(value), server, key_id, public_key))


def content_hash(event: Json) -> str:
    """The content hash of an event, as `hashes.sha256` has it."""
    return bridge.call_now(lambda: native.content_hash(_text(event)))


def event_id(event: Json, version: str) -> str:
    """The id of an event: from version 3 on computed from its content, before that its `event_id`."""
    return bridge.call_now(lambda: native.event_id(_text(event), version))


def redact(event: Json, version: str) -> dict[str, Any]:
    """What is left of an event after a redaction."""
    return _object(bridge.call_now(lambda: native.redact(_text(event), version)))


def required_signers(event: Json, version: str) -> list[str]:
    """The servers whose signatures an event needs."""
    return bridge.call_now(lambda: native.required_signers(_text(event), version))


def check_event(event: Json, version: str) -> None:
    """Checks the form of an event: fields, identifiers, sizes, canonical JSON; neither hash nor signatures.

    Raises `Code.BAD_EVENT`, `BAD_JSON`, `NOT_CANONICAL`, `TOO_LARGE`, `BAD_ID`, naming field and rule.
    """
    bridge.call_now(lambda: native.check_event(_text(event), version))


def sign_event(event: Json, version: str, server: str, key_id: str, seed: str) -> dict[str, Any]:
    """The event with its content hash and the signature of `server`.

    Signatures that it has stay; they no longer hold if the hash was another one.
    """
    return _object(bridge.call_now(lambda: native.sign_event(_text(event), version, server, key_id, seed)))


def verify_event(event: Json, version: str, keys: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Checks the signatures that an event needs, and its content hash.

    Gives the event, or its redacted form if the hash does not fit. `keys` has public keys in base64 by server and key id;
    whether they were valid at the time of the event is for the caller to know.

    Raises `Code.MISSING_SIGNATURE`, `BAD_SIGNATURE`, `UNKNOWN_KEY`.
    """
    return _object(bridge.call_now(lambda: native.verify_event(_text(event), version, json.dumps(keys))))


def check_auth_events(event: Json, auth_events: Iterable[Json], version: str) -> Verdict:
    """Whether an event is allowed by its own auth events, which are given, in version 12 with the create event.

    Raises `Code.UNKNOWN_EVENT` for an auth event that is not given.
    """
    events = [_text(auth_event) for auth_event in auth_events]
    return bridge.call_now(lambda: native.check_auth_events(_text(event), events, version))


def check_auth(event: Json, state: Iterable[Json], version: str) -> Verdict:
    """Whether an event is allowed in the state of these events; else as `check_auth_events`."""
    events = [_text(state_event) for state_event in state]
    return bridge.call_now(lambda: native.check_auth(_text(event), events, version))


def auth_types(event: Json, version: str) -> list[tuple[str, str]]:
    """Type and state key of the state events that an event has to cite; it need not be finished."""
    types = bridge.call_now(lambda: native.auth_types(_text(event), version))
    return [(entry.kind, entry.state_key) for entry in types]


def select_auth_events(event: Json, state: Iterable[Json], version: str) -> list[str]:
    """The ids of those events of a state that an event has to cite."""
    events = [_text(state_event) for state_event in state]
    return bridge.call_now(lambda: native.select_auth_events(_text(event), events, version))


def resolve_state(version: str, states: Iterable[Iterable[str]], events: Iterable[Json]) -> list[str]:
    """The ids of the events of the state that several states resolve to.

    Each state is given by the ids of its events; `events` has these and their auth chains, and may have more.

    Raises `Code.UNKNOWN_EVENT` for an event that is needed and not given, `BAD_EVENT` for two events of a state with the same
    type and state key.
    """
    sets, texts = [list(ids) for ids in states], [_text(event) for event in events]
    return bridge.call_now(lambda: native.resolve_state(version, sets, texts))


def resolve_state_from(version: str, states: Iterable[Iterable[str]], source: EventSource) -> list[str]:
    """As `resolve_state`; `source` is called when events are needed. What it raises comes out again."""
    adapter = _Source(source)
    try:
        return bridge.call_now(lambda: native.resolve_state_from(version, [list(ids) for ids in states], adapter))
    except RoomletError:
        if adapter.raised is not None:
            raise adapter.raised from None
        raise


class _Source(native.EventSource):
    def __init__(self, source: EventSource) -> None:
        self._source = source
        self.raised: Exception | None = None

    def events(self, ids: list[str]) -> list[str]:
        try:
            return [_text(event) for event in self._source(ids)]
        except Exception as error:
            self.raised = error
            raise bridge.host_failed(repr(error)) from None


def parse_id(kind: IdKind, text: str) -> ParsedId:
    """Checks an identifier by the grammar of its kind and takes it apart. Raises `Code.BAD_ID`, with the rule."""
    return bridge.call_now(lambda: native.parse_id(kind, text))


def room_versions() -> list[str]:
    """The names of all room versions."""
    return bridge.call_now(native.room_versions)


def room_version(id: str) -> RoomVersionInfo:
    """What a room version can do."""
    return bridge.call_now(lambda: native.room_version(id))
