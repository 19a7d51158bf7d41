//! Where roomlet's verdict is not Synapse's: the entries of `docs/differences.md`, pinned.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{Denied, auth};
use roomlet_wire::{KeyId, Map, ServerName, Value, hash, json, sign, sign::KeyPair};
use support::{Branch, EXACT, World, member, state_event};

fn room(version: &str, create: &str) -> (World, Branch) {
    let mut world = World::new(version);
    let mut at = Branch::default();
    world.send(&mut at, state_event("@creator:a", "m.room.create", "", create));
    world.send(&mut at, member("@creator:a", "@creator:a", "join"));
    (world, at)
}

#[test]
fn d1_a_closed_room_judges_the_server_of_the_sender_alone() {
    for version in EXACT {
        let (mut world, at) = room(version, r#"{"creator":"@creator:a","m.federate":false}"#);
        let invite = member("@creator:a", "@x:b", "invite");
        assert_eq!(world.verdict(&at, invite), "allow", "{version}");
    }
}

#[test]
fn d1_only_false_closes_a_room() {
    for version in EXACT {
        for odd in [r#""false""#, "null", "0"] {
            let create = format!(r#"{{"creator":"@creator:a","m.federate":{odd}}}"#);
            let (mut world, mut at) = room(version, &create);
            let public = r#"{"join_rule":"public"}"#;
            world.send(
                &mut at,
                state_event("@creator:a", "m.room.join_rules", "", public),
            );
            let join = member("@x:b", "@x:b", "join");
            assert_eq!(world.verdict(&at, join), "allow", "{version} {odd}");
        }
    }
}

#[test]
fn d2_power_levels_with_a_state_key_are_compared_with_those_in_force() {
    for version in EXACT {
        let (mut world, mut at) = World::room(version, r#"{"@creator:a":100,"@mod:a":50}"#, "public");
        world.send(&mut at, member("@mod:a", "@mod:a", "join"));
        let raised = r#"{"users":{"@creator:a":100,"@mod:a":100}}"#;
        let levels = state_event("@mod:a", "m.room.power_levels", "x", raised);
        assert_eq!(world.verdict(&at, levels), "AUTH-23", "{version}");
    }
}

#[test]
fn d3_power_levels_name_users_with_a_server() {
    for version in EXACT {
        let (mut world, at) = room(version, r#"{"creator":"@creator:a"}"#);
        let mut verdict = |user: &str| {
            let content = format!(r#"{{"users":{{"{user}":0}}}}"#);
            world.verdict(
                &at,
                state_event("@creator:a", "m.room.power_levels", "", &content),
            )
        };
        assert_eq!(verdict("@:"), "AUTH-23", "{version}");
        assert_eq!(verdict("@:b"), "allow", "{version}");
    }
}

#[test]
fn d4_a_create_event_of_version_12_may_have_a_state_key() {
    let mut world = World::new("12");
    let create = state_event("@creator:a", "m.room.create", "x", r#"{"room_version":"12"}"#);
    assert_eq!(world.verdict(&Branch::default(), create), "allow");
}

#[test]
fn d5_true_is_no_power_level() {
    for version in ["3", "6", "9"] {
        let (mut world, at) = room(version, r#"{"creator":"@creator:a"}"#);
        let levels = r#"{"users":{"@creator:a":100,"@x:b":true}}"#;
        let levels = state_event("@creator:a", "m.room.power_levels", "", levels);
        assert_eq!(world.verdict(&at, levels), "AUTH-23", "{version}");
    }
}

#[test]
fn d6_one_right_signature_of_several_makes_a_third_party_invite() {
    let identity = |seed: u8| KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[seed; 32]);
    for version in EXACT {
        let (mut world, mut at) = room(version, r#"{"creator":"@creator:a"}"#);
        let offer = format!(r#"{{"public_key":"{}"}}"#, identity(1).public().to_base64());
        let offer = state_event("@creator:a", "m.room.third_party_invite", "t", &offer);
        world.send(&mut at, offer);
        let mut signed = Map::from([("mxid".into(), "@x:b".into()), ("token".into(), "t".into())]);
        let mut verdict = |server: &str, seed: u8| {
            sign::sign_json(&mut signed, &ServerName::parse(server).unwrap(), &identity(seed));
            let invite = Map::from([("signed".into(), Value::from(signed.clone()))]);
            let content = Map::from([
                ("membership".into(), "invite".into()),
                ("third_party_invite".into(), invite.into()),
            ]);
            let content = json::map_to_canonical(&content);
            let node = world.draft(&at, state_event("@creator:a", "m.room.member", "@x:b", &content));
            let state = auth::load(&node, &at.state, &world, &world.slots).unwrap();
            auth::check(&node, &state).map_err(|denied| matches!(denied, Denied::ThirdPartyInvite(_)))
        };
        assert_eq!(verdict("another.id", 2), Err(true), "{version}");
        assert_eq!(verdict("id.one", 1), Ok(()), "{version}");
    }
}

#[test]
fn d7_the_content_hash_is_of_all_keys_but_three() {
    let hash = |text: &str| hash::content_hash(&json::parse_object(text.as_bytes()).unwrap());
    for key in ["age_ts", "outlier", "destinations"] {
        assert_ne!(
            hash(&format!(r#"{{"{key}":1,"type":"m.x"}}"#)),
            hash(r#"{"type":"m.x"}"#)
        );
    }
    for key in ["unsigned", "signatures", "hashes"] {
        assert_eq!(
            hash(&format!(r#"{{"{key}":1,"type":"m.x"}}"#)),
            hash(r#"{"type":"m.x"}"#)
        );
    }
}
