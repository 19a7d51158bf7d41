"""What Synapse makes of rooms: one room a line of JSON on stdin, its answers a line of JSON on stdout.

A room is {"rules": version, "known": [versions], "public_key": base64, "events": [{"pdu", "rejected", "foreign",
"before": [event ids]}], "merges": [[[event ids], ...], ...]}. `rejected` and `before` are roomlet's, so that one
difference is reported where it is and not in all that follows from it; each was compared before it is built upon.

The answer is {"events": [{"id", "hash_fits", "redacted", "signed", "own", "before"}], "merges": [[event ids], ...]}.
An event that Synapse does not read has the verdicts `own` and `before` only; a merge at which it fails is null.
A verdict is "allow", "deny: why" (Synapse's own refusal) or "fail: why" (an exception that is none, which refuses the
event, too).
"""

import json
import sys

from canonicaljson import encode_canonical_json
from signedjson.key import decode_verify_key_bytes
from signedjson.sign import verify_signed_json
from synapse import event_auth
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, EventFormatVersions, StateResolutionVersions
from synapse.crypto.event_signing import check_event_content_hash, compute_event_reference_hash
from synapse.events import make_event_from_dict
from synapse.events.utils import prune_event
from synapse.state import v1 as state_v1
from synapse.state.v2 import resolve_events_with_store
from synapse.storage.databases.main.event_federation import StateDifference
from unpaddedbase64 import decode_base64, encode_base64


# The most events for which Synapse's own walk of the auth chains, which takes every path, is short.
IN_MEMORY = 24


def run(coroutine):
    """Runs what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the coroutine waits")


def verdict(check):
    try:
        check()
    except SynapseError as refusal:
        return f"deny: {refusal}"
    except Exception as failure:
        return f"fail: {type(failure).__name__}: {failure}"
    return "allow"


class Clock:
    async def sleep(self, duration):
        pass


class Store:
    """The events of one room, as Synapse's rules and resolution ask for them."""

    def __init__(self):
        self.events = {}
        self.chains = {}

    def hold(self, event):
        self.events[event.event_id] = event
        chain = {event.event_id}
        for cited in event.auth_event_ids():
            chain |= self.chains.get(cited, set())
        self.chains[event.event_id] = chain

    async def get_events(self, event_ids, redact_behaviour=None, get_prev_content=False, allow_rejected=False):
        held = (self.events.get(event_id) for event_id in event_ids)
        return {event.event_id: event for event in held if event and (allow_rejected or not event.rejected_reason)}

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted_state, additional):
        """The contract of Synapse's database: a state's own events count into its chain."""
        chains = [set().union(*(self.chains[event_id] for event_id in state)) for state in state_sets]
        difference = set().union(*chains) - set.intersection(*chains)
        if conflicted_state is None:
            return StateDifference(difference, None)
        below = set().union(*(self.chains[event_id] for event_id in conflicted_state))
        return StateDifference(difference, {e for e in below if not conflicted_state.isdisjoint(self.chains[e])})


class EmptyStore:
    async def get_events(self, event_ids, allow_rejected=False):
        return {}

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted_state, additional):
        return StateDifference(set(), None if conflicted_state is None else set())


def own_auth(store, event):
    event_auth._check_size_limits(event)
    run(event_auth.check_state_independent_auth_rules(store, event))
    cited = [store.events[event_id] for event_id in event.auth_event_ids()]
    event_auth.check_state_dependent_auth_rules(event, cited)


def by_state(store, version, event, before):
    state = {(e.type, e.state_key): e for e in (store.events[event_id] for event_id in before)}
    needed = event_auth.auth_types_for_event(version, event)
    event_auth.check_state_dependent_auth_rules(event, [state[key] for key in needed if key in state])


def judge_event(store, version, public_key, entry):
    pdu = entry["pdu"]
    try:
        event = make_event_from_dict(pdu, version)
        # Fails if it names the create event, in version 12.
        event.auth_event_ids()
    except (SynapseError, RuntimeError) as refusal:
        why = str(refusal).partition("\n")[0]
        return {"own": f"deny: {why}", "before": f"deny: {why}"}
    hash_fits = check_event_content_hash(event)
    redacted = prune_event(event)
    form = redacted.get_pdu_json()
    form.pop("unsigned", None)
    if version.event_format == EventFormatVersions.ROOM_V1_V2:
        event_id = event.event_id
    else:
        event_id = "$" + encode_base64(compute_event_reference_hash(event)[1], urlsafe=version.identifier != "3")
    answer = {
        "id": event_id,
        "hash_fits": hash_fits,
        "redacted": encode_canonical_json(form).decode(),
    }
    server = event.sender.split(":", 1)[1]
    key = decode_verify_key_bytes("ed25519:1", decode_base64(public_key))
    answer["signed"] = verdict(lambda: verify_signed_json(form, server, key))
    if not hash_fits:
        pdu = form
        event = redacted
    answer["own"] = verdict(lambda: own_auth(store, event))
    answer["before"] = verdict(lambda: by_state(store, version, event, entry["before"]))
    if entry["rejected"]:
        event = make_event_from_dict(pdu, version, rejected_reason="rejected")
    store.hold(event)
    return answer


def merge(store, version, room_id, sets):
    """None where Synapse fails: at member events about what is no user, and at keys that are none."""
    try:
        return resolved(store, version, room_id, sets)
    except (SynapseError, ValueError):
        return None


def resolved(store, version, room_id, sets):
    states = []
    for ids in sets:
        states.append({(e.type, e.state_key): e.event_id for e in (store.events[event_id] for event_id in ids)})
    if version.state_res == StateResolutionVersions.V1:
        resolve = state_v1.resolve_events_with_store(room_id, version, states, None, store.get_events)
        return sorted(dict(run(resolve)).values())
    state = dict(run(resolve_events_with_store(Clock(), room_id, version, states, None, store)))
    in_room = {event_id: event for event_id, event in store.events.items() if event.room_id == room_id}
    if len(in_room) <= IN_MEMORY:
        # Of events that are in no database yet, Synapse finds the difference of the auth chains itself.
        again = dict(run(resolve_events_with_store(Clock(), room_id, version, states, in_room, EmptyStore())))
        if again != state:
            raise RuntimeError(f"the Store here is not as Synapse's database: {state}, {again}")
    return sorted(state.values())


def judge_room(room):
    version = KNOWN_ROOM_VERSIONS[room["rules"]]
    # Versions that roomlet knows and Synapse does not have the rules of one that it knows.
    event_auth.KNOWN_ROOM_VERSIONS = dict.fromkeys(room["known"], version)
    store = Store()
    events = []
    for entry in room["events"]:
        try:
            events.append(judge_event(store, version, room["public_key"], entry))
        except Exception as failure:
            return {"failure": f"event {len(events)}: {type(failure).__name__}: {failure}"}
    room_id = next(iter(store.events.values())).room_id
    return {"events": events, "merges": [merge(store, version, room_id, sets) for sets in room["merges"]]}


for line in sys.stdin:
    print(json.dumps(judge_room(json.loads(line))), flush=True)
