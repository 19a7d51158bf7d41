//! The same answers as another implementation gave (`tests/vectors/ruma.json`).

use crate::common::{map, vectors, version};
use roomlet_wire::{base64, hash, sign::PublicKey};

#[test]
fn hashes_and_ids_are_those_of_ruma() {
    let vectors = vectors("ruma");
    let cases = vectors["events"].as_array().unwrap();
    assert_eq!(cases.len(), 48);
    for case in cases {
        let event = map(&case["event"]);
        assert_eq!(hash::content_hash(&event), case["sha256"].as_str().unwrap());
        for (id, expected) in case["ids"].as_object().unwrap() {
            let ours = hash::event_id(&event, version(id));
            assert_eq!(
                ours.as_str(),
                expected.as_str().unwrap(),
                "version {id}: {}",
                case["event"]
            );
        }
    }
}

#[test]
fn verdicts_on_odd_signatures_are_those_of_ruma() {
    for case in vectors("ruma")["signatures"].as_array().unwrap() {
        let signature = base64::decode(case["signature"].as_str().unwrap()).unwrap();
        let ours =
            PublicKey::parse(case["key"].as_str().unwrap()).is_ok_and(|key| key.verifies(b"{}", &signature));
        assert_eq!(ours, case["verifies"].as_bool().unwrap(), "{}", case["name"]);
    }
}
