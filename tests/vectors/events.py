"""Makes `events.json`: `python events.py SPEC`, where SPEC holds `event-schemas/examples` and `api/server-server/examples`.

The examples are those of the Matrix specification (Apache License 2.0), with their `$ref` and `allOf` put in. What they
come to is Synapse's and canonicaljson's word: the canonical form, and for room events the content hash and, with `added`
beside what they have, the redacted form in each room version.
"""

import hashlib
import json
import sys
from pathlib import Path

from canonicaljson import encode_canonical_json
from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import compute_content_hash
from synapse.events import make_event_from_dict
from synapse.events.utils import prune_event
from unpaddedbase64 import encode_base64

# What the examples leave out of the federation form.
ADDED = {
    "auth_events": [],
    "depth": 1,
    "hashes": {"sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"},
    "prev_events": [],
    "signatures": {},
}
VERSIONS = [str(number) for number in range(1, 13)]


def whole(value, folder):
    """The value with all references in it put in."""
    if isinstance(value, list):
        return [whole(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    parts = [whole(part, folder) for part in value.get("allOf", [])]
    if "$ref" in value:
        path = folder / value["$ref"]
        named = whole(json.loads(path.read_text()), path.parent)
        if len(value) == 1:
            return named
        parts.insert(0, named)
    parts.append({key: whole(item, folder) for key, item in value.items() if key not in ("$ref", "allOf")})
    merged = {}
    for part in parts:
        for key, item in part.items():
            both = isinstance(item, dict) and isinstance(merged.get(key), dict)
            merged[key] = merged[key] | item if both else item
    return merged


def by_version(form):
    """What `form` gives for the versions that have such an event, equal ones together."""
    groups = {}
    for version in VERSIONS:
        try:
            groups.setdefault(form(version), []).append(version)
        except SynapseError:
            continue
    return [{"versions": versions, "is": text} for text, versions in groups.items()]


def redacted(event, version):
    # From version 3 on an event that is sent has no id.
    event = {key: item for key, item in event.items() if key != "event_id" or version in ("1", "2")}
    made = make_event_from_dict(json.loads(json.dumps(ADDED | event)), KNOWN_ROOM_VERSIONS[version])
    form = prune_event(made).get_pdu_json()
    form.pop("unsigned", None)
    return encode_canonical_json(form).decode()


def vector(path, event):
    made = {"name": path.stem, "event": event, "canonical": encode_canonical_json(event).decode()}
    if {"type", "content", "sender", "room_id"} <= event.keys():
        made["redacted"] = by_version(lambda version: redacted(event, version))
        made["content_hash"] = encode_base64(compute_content_hash(event, hashlib.sha256)[1])
    return made


def main():
    spec = Path(sys.argv[1])
    vectors = []
    for folder in ["event-schemas/examples", "api/server-server/examples"]:
        for path in sorted((spec / folder).iterdir()):
            if path.is_file():
                value = whole(json.loads(path.read_text()), path.parent)
                vectors.extend(vector(path, event) for event in (value if isinstance(value, list) else [value]))
    source = (
        "Matrix specification, examples of event schemas and of the server-server API (Apache License 2.0), with their "
        "references put in; canonical and redacted forms and content hashes by canonicaljson and Synapse. Made by events.py."
    )
    Path(__file__).with_suffix(".json").write_text(
        json.dumps({"source": source, "added": ADDED, "vectors": vectors}, indent=1, ensure_ascii=False) + "\n"
    )
    print(len(vectors), "vectors")


main()
