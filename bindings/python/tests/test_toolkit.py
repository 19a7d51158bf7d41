"""The toolkit: functions without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from roomlet import Code, RoomletError, toolkit

SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
CREATE = {
    "type": "m.room.create", "state_key": "", "sender": "@a:domain", "room_id": "!x:domain", "content": {},
    "prev_events": [], "auth_events": [], "depth": 1, "origin_server_ts": 1,
}
PUBLIC = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"


def test_example() -> None:
    event = toolkit.sign_event(CREATE, "11", "domain", "ed25519:1", SEED)
    event_id = toolkit.event_id(event, "11")
    verdict = toolkit.check_auth_events(event, [], "11")
    assert len(event_id) == 44
    assert verdict.is_allowed


def event_of(kind: str, key: str, content: dict[str, Any], cites: list[str], time: int) -> dict[str, Any]:
    """An event of a room of version 11, signed."""
    event = CREATE | {"type": kind, "state_key": key, "content": content, "auth_events": cites, "origin_server_ts": time}
    return toolkit.sign_event(event, "11", "domain", "ed25519:1", SEED)


def code_of(error: pytest.ExceptionInfo[RoomletError]) -> int:
    return error.value.code


def test_json_is_signed_and_verified() -> None:
    assert toolkit.canonical_json({"b": 1, "a": ["é"]}) == '{"a":["é"],"b":1}'
    assert toolkit.public_key(SEED) == PUBLIC
    signed = toolkit.sign_json({"two": "Two", "one": 1}, "domain", "ed25519:1", SEED)
    assert signed == json.loads(
        '''{"one":1,"signatures":{"domain":{"ed25519:1":"KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"}},'''
        '''"two":"Two"}'''
    )
    toolkit.verify_json(signed, "domain", "ed25519:1", PUBLIC)
    with pytest.raises(RoomletError) as error:
        toolkit.verify_json(signed | {"one": 2}, "domain", "ed25519:1", PUBLIC)
    assert code_of(error) == Code.BAD_SIGNATURE


def test_half_of_a_surrogate_pair_is_refused() -> None:
    """`json.loads` takes it, so that it can be in what another server sent."""
    event = json.loads(r'{"type":"\ud800"}')
    for call in (toolkit.check_event, toolkit.event_id, toolkit.redact):
        with pytest.raises(RoomletError) as error:
            call(event, "11")
        assert code_of(error) == Code.BAD_JSON
    with pytest.raises(RoomletError) as error:
        toolkit.canonical_json(event)
    assert code_of(error) == Code.BAD_JSON


def test_events_are_checked() -> None:
    event = event_of("m.room.name", "", {"name": "x"}, [], 1)
    toolkit.check_event(event, "11")
    with pytest.raises(RoomletError) as error:
        toolkit.check_event({}, "11")
    assert code_of(error) == Code.BAD_EVENT
    assert toolkit.verify_event(event, "11", {"domain": {"ed25519:1": PUBLIC}}) == event
    assert toolkit.required_signers(event, "11") == ["domain"]
    assert toolkit.content_hash(event) == event["hashes"]["sha256"]
    redacted = toolkit.redact(event, "11")
    assert redacted["content"] == {}
    assert toolkit.event_id(redacted, "11") == toolkit.event_id(event, "11")


def test_events_are_judged_and_states_resolved() -> None:
    create = event_of("m.room.create", "", {}, [], 1)
    ids = [toolkit.event_id(create, "11")]
    join = event_of("m.room.member", "@a:domain", {"membership": "join"}, ids, 2)
    ids.append(toolkit.event_id(join, "11"))
    topics = [event_of("m.room.topic", "", {"topic": str(time)}, ids, time) for time in (3, 4)]
    topic_ids = [toolkit.event_id(topic, "11") for topic in topics]
    assert toolkit.check_auth_events(topics[0], [create, join], "11").is_allowed
    verdict = toolkit.check_auth(topics[0], [create], "11")
    assert (verdict.is_allowed, verdict.rule) == (False, "AUTH-17")
    assert ("m.room.member", "@a:domain") in toolkit.auth_types(topics[0], "11")
    assert toolkit.select_auth_events(topics[0], [create, join], "11") == ids

    states = [[*ids, topic] for topic in topic_ids]
    events = [create, join, *topics]
    resolved = toolkit.resolve_state("11", states, events)
    assert sorted(resolved) == sorted([*ids, topic_ids[1]])
    by_id = {toolkit.event_id(event, "11"): event for event in events}
    assert toolkit.resolve_state_from("11", states, lambda wanted: [by_id[event] for event in wanted]) == resolved
    with pytest.raises(KeyError):
        toolkit.resolve_state_from("11", states, lambda wanted: [{}[event] for event in wanted])
    with pytest.raises(RoomletError) as error:
        toolkit.resolve_state_from("11", states, lambda wanted: [])
    assert code_of(error) == Code.UNKNOWN_EVENT


def test_identifiers_and_versions() -> None:
    parsed = toolkit.parse_id(toolkit.IdKind.USER, "@a:b:80")
    assert (parsed.local, parsed.server, parsed.host, parsed.port) == ("a", "b:80", "b", 80)
    with pytest.raises(RoomletError, match="room id"):
        toolkit.parse_id(toolkit.IdKind.ROOM, "@a:b")
    assert len(toolkit.room_versions()) == 14
    assert toolkit.room_version("12").state_resolution == "2.1"
