"""Comparing what two servers know of a room."""

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

Event = dict[str, Any]


def state_ids(events: Iterable[Event]) -> dict[tuple[str, str], str]:
    """State events as a map from (type, state key) to event id."""
    return {(event["type"], event["state_key"]): event["event_id"] for event in events}


def same_state(one: Iterable[Event], other: Iterable[Event]) -> None:
    """Asserts that both are the same state, event by event."""
    left, right = state_ids(one), state_ids(other)
    different = [
        f"{kind}|{key}: {left.get((kind, key))} != {right.get((kind, key))}"
        for kind, key in sorted(left.keys() | right.keys())
        if left.get((kind, key)) != right.get((kind, key))
    ]
    assert not different, "state differs:\n" + "\n".join(different)


def line(event: Event) -> str:
    """One event as one line, with everything in it that every server has to agree on."""
    key = f"|{event['state_key']}" if "state_key" in event else ""
    content = json.dumps(event["content"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    redacts = f" redacts {event['redacts']}" if event.get("redacts") else ""
    return f"{event['event_id']} {event['sender']} {event['type']}{key} {content}{redacts}"


def compare_lines(name_one: str, one: Sequence[str], name_other: str, other: Sequence[str]) -> list[str]:
    """The differences between two lists of lines, as a unified diff; empty if they are equal."""
    return list(difflib.unified_diff(one, other, name_one, name_other, lineterm="", n=1))
