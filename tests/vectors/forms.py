"""Makes `forms.json`: events with one member that is odd, and what Synapse makes of each by its form.

`read`: it is judged by the rules; `rejected`: it is held as refused (its identifiers are too long); `dropped`: it is not
held at all. A case has a member's name and its JSON text in pieces, of which a pair is repeated; `base` has the other
members.
"""

import json
import re
from pathlib import Path

from synapse.api.errors import AuthError, EventSizeError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.event_auth import validate_event_for_room_version
from synapse.federation.federation_base import event_from_pdu_json
from synapse.handlers.federation_event import FederationEventHandler
from synapse.crypto.event_signing import check_event_content_hash

VERSIONS = ["1", "2", "3", "4", "5", "6", "9", "10", "11", "12"]
BASE = {
    "auth_events": "[]",
    "content": "{}",
    "depth": "1",
    "hashes": '{"sha256":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}',
    "origin_server_ts": "1",
    "prev_events": "[]",
    "room_id": '"!r:one"',
    "sender": '"@a:one"',
    "signatures": "{%s}" % ",".join('"%s":{"ed25519:1":"AA"}' % name for name in ["one", "one:8448", "[::1]", "one:x", "o_e"]),
    "type": '"m.x"',
}
HASH = "A" * 43
ODD = ["null", "true", "5", "1.5", '"x"', "[]", "{}", "-1"]
INTEGERS = [
    "0", "-0", "-0.0", "1.0", "1e3", "1E400", "-1", "9007199254740991", "9007199254740992", "-9007199254740991",
    "-9007199254740992", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "1" + "0" * 400, '"5"', "null", "true", "[]",
]  # fmt: skip
NUMBERS = INTEGERS[:16] + ["0.1", "1.7976931348623157e308", "5e-324", "1e-400", "9" * 4300, "9" * 4301]


def text(string):
    return json.dumps(string, ensure_ascii=False)


def nested(levels):
    return "[" * levels + "]" * levels


def id_of_bytes(sigil, length, letter="x"):
    """An id with so many bytes."""
    size = len(letter.encode())
    return text(sigil + letter * ((length - 5) // size) + "y" * ((length - 5) % size) + ":one")


def cases():
    for member in BASE:
        yield member, None
        for value in ODD:
            yield member, value
    for member in ["depth", "origin_server_ts"]:
        for value in INTEGERS:
            yield member, value
    for value in NUMBERS:
        yield "content", '{"x":%s}' % value
        yield "x.more", value
    for member in ["event_id", "state_key", "redacts", "origin", "prev_state", "membership"]:
        for value in ODD:
            yield member, value
    for levels in [99, 100, 125, 126, 127, 300]:
        yield "content", '{"x":%s}' % nested(levels)
        yield "x.more", nested(levels)
    for length in [254, 255, 256, 300]:
        for letter in ["x", "\u00e9", "\U0001f600"]:
            yield "sender", id_of_bytes("@", length, letter)
            yield "state_key", id_of_bytes("@", length, letter)
            yield "type", id_of_bytes("m", length, letter)
            yield "room_id", id_of_bytes("!", length, letter)
            yield "event_id", id_of_bytes("$", length, letter)
    for length in [65_000, 65_200, 65_600, 70_000]:
        yield "content", '{"x":"%s"}' % ("x" * length)
    for value in [
        '{"sha256":5}', '{"sha256":"A","x":"A"}', '{"sha256":"A","x":5}', '{"sha256":null}', '{"sha512":"A"}', '{"sha256":""}',
    ]:  # fmt: skip
        yield "hashes", value
    for value in [
        '{"one":{"ed25519:1":5}}', '{"one":"x"}', '{"one":null}', '{"one":{"ed25519:1":null}}',
    ]:  # fmt: skip
        yield "signatures", value
    for other in ["null", "5", '"x"', "[]", "{}", '{"x":"y"}', '{"x":5}', '{"x":{}}', '{"ed25519:1":null}']:
        yield "signatures", '{"one":{"ed25519:1":"AA"},"other":%s}' % other
    for member in ["prev_events", "auth_events"]:
        for entry in [
            "5", "null", '"$%s"' % HASH, '"$x:one"', "[]", '["$x:one"]', '["$x:one",{}]', '["$x:one",{"sha256":"A"}]',
            '["$x:one",{"sha256":5}]', '["$x:one",{"sha256":"A","x":"A"}]', '["$x:one",{"x":5}]', '["$x:one",null]',
            '["$x:one",{},{}]', '[5,{}]', "{}",
        ]:  # fmt: skip
            yield member, "[%s]" % entry
            yield member, "[%s,%s]" % (entry, entry)
        for count in [10, 11, 20, 21]:
            yield member, "[%s]" % ",".join('"$%s%02d"' % ("A" * 41, i) for i in range(count))
            yield member, "[%s]" % ",".join('["$%d:one",{"sha256":"A"}]' % i for i in range(count))
    for user in ["@:one", "@A b\u00e9:one", "@\u0001:one", "@a:one:8448", "@a:[::1]", "@a:one:x", "@a:", "@a:o_e", "@a", "a:one"]:
        yield "sender", text(user)
    for key in ["", "\u0000", "@", "@a", "\U00010000"]:
        yield "state_key", text(key)
    yield "state_key", '"\\ud800"'
    yield "content", '{"\\udc00":1}'
    yield "content", '{"a":1,"a":2}'
    yield "content", '{"a":NaN}'
    yield "content", '{"a":Infinity}'
    yield "content", '{"a":01}'
    yield "content", '{"a":"\u0001"}'
    yield "content", '{"a":1,}'


def event(version, member, value):
    members = dict(BASE)
    if version in ("1", "2"):
        members["event_id"] = '"$e:one"'
    if version == "12":
        members["room_id"] = '"!%s"' % HASH
    members.pop(member, None)
    if value is not None:
        members[member] = value
    return "{%s}" % ",".join("%s:%s" % (text(key), item) for key, item in members.items())


def fate(version, member, value):
    try:
        rules = KNOWN_ROOM_VERSIONS[version]

        def no_constant(name):
            raise ValueError(name)

        made = event_from_pdu_json(json.loads(event(version, member, value), parse_constant=no_constant), rules)
        FederationEventHandler._sanity_check_event(None, made)
        validate_event_for_room_version(made)
        check_event_content_hash(made)
    except EventSizeError as error:
        return "dropped" if error.unpersistable else "rejected"
    # Here is no server to have signed.
    except AuthError as error:
        return "read" if "signed" in str(error) and (member, value) != ("signatures", None) else "dropped"
    # What is no refusal is caught around the event, too.
    except Exception:
        return "dropped"
    return "read"


def pieces(value):
    """The text in pieces, of which those that are pairs are repeated."""
    runs = re.finditer(r"(.)\1{39,}", value, re.DOTALL)
    made, at = [], 0
    for run in runs:
        made += [value[at : run.start()], [run[1], len(run[0])]]
        at = run.end()
    return [piece for piece in [*made, value[at:]] if piece]


def main():
    made = []
    for member, value in dict.fromkeys(cases()):
        fates = {}
        for version in VERSIONS:
            fates.setdefault(fate(version, member, value), []).append(version)
        made.append({"member": member, "value": value and pieces(value), "is": fates})
    source = "Synapse 1.163.2: what becomes of events by their form. Made by forms.py."
    Path(__file__).with_suffix(".json").write_text(
        json.dumps({"source": source, "base": BASE, "cases": made}, indent=None, ensure_ascii=True).replace('{"member"', '\n{"member"')
        + "\n"
    )
    print(len(made), "cases")


main()
