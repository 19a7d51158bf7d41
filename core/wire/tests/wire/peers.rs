//! The same answers as another implementation gave (`tests/vectors/ruma.json`).

use crate::common::{map, vectors, version};
use roomlet_wire::{
    hash,
    sign::{Batch, PublicKey},
};

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

/// Checked one by one, and all together.
#[test]
fn verdicts_on_odd_signatures_are_those_of_ruma() {
    let vectors = vectors("ruma");
    let cases = vectors["signatures"].as_array().unwrap();
    let mut batch = Batch::default();
    for case in cases {
        let signature = case["signature"].as_str().unwrap();
        let ours = match PublicKey::parse(case["key"].as_str().unwrap()) {
            Ok(key) => {
                batch.push(&key, b"{}", signature);
                key.verifies_base64(b"{}", signature)
            }
            Err(_) => false,
        };
        assert_eq!(ours, case["verifies"].as_bool().unwrap(), "{}", case["name"]);
    }
    let expected: Vec<bool> = cases
        .iter()
        .map(|case| case["verifies"].as_bool().unwrap())
        .collect();
    assert_eq!(batch.verdicts(), expected);
}
