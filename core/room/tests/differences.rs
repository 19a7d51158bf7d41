//! Where roomlet's verdict is not Synapse's or ruma's: the entries of `docs/differences.md`, pinned.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{Denied, auth};
use roomlet_wire::{EventNum, KeyId, Map, Parsed, Pdu, ServerName, Value, hash, json, sign, sign::KeyPair};
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
fn d8_a_third_party_invite_has_16_pairs_of_signature_and_key() {
    let key = |id: &str, seed: u8| KeyPair::from_seed(KeyId::parse(id).unwrap(), &[seed; 32]);
    let server = ServerName::parse("id.one").unwrap();
    // Of two signatures the second is right, by the eighth of the keys: the 16th pair of 8 keys, the 17th of 9.
    let mut signed = Map::from([("mxid".into(), "@x:b".into()), ("token".into(), "t".into())]);
    sign::sign_json(&mut signed, &server, &key("ed25519:0", 2));
    sign::sign_json(&mut signed, &server, &key("ed25519:1", 1));
    let invite = Map::from([("signed".into(), Value::from(signed))]);
    let content = Map::from([
        ("membership".into(), "invite".into()),
        ("third_party_invite".into(), invite.into()),
    ]);
    let content = json::map_to_canonical(&content);
    for (keys, is_found) in [(8, true), (9, false)] {
        let (mut world, mut at) = room("10", r#"{"creator":"@creator:a"}"#);
        let entry = |seed: u8| {
            format!(
                r#"{{"public_key":"{}"}}"#,
                key("ed25519:0", seed).public().to_base64()
            )
        };
        let mut entries = vec![entry(3); keys];
        entries[7] = entry(1);
        let offer = format!(r#"{{"public_keys":[{}]}}"#, entries.join(","));
        let offer = state_event("@creator:a", "m.room.third_party_invite", "t", &offer);
        world.send(&mut at, offer);
        let node = world.draft(&at, state_event("@creator:a", "m.room.member", "@x:b", &content));
        let state = auth::load(&node, &at.state, &world, &world.slots).unwrap();
        assert_eq!(auth::check(&node, &state).is_ok(), is_found, "{keys} keys");
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

#[test]
fn d9_a_redaction_of_nothing_needs_the_power_to_redact() {
    for version in ["1", "2"] {
        let (mut world, mut at) = World::room(version, r#"{"@creator:a":100}"#, "public");
        world.send(&mut at, member("@x:a", "@x:a", "join"));
        let redaction = |sender| support::message(sender, "m.room.redaction", "{}");
        assert_eq!(world.verdict(&at, redaction("@x:a")), "AUTH-11", "{version}");
        assert_eq!(world.verdict(&at, redaction("@creator:a")), "allow", "{version}");
    }
}

#[test]
fn d10_a_depth_has_63_bits_until_version_5() {
    for (version, is_read) in [("1", true), ("3", true), ("5", true), ("6", false), ("12", false)] {
        let (mut world, at) = room(version, r#"{"creator":"@creator:a"}"#);
        let (pdu, _) = world.sign(&at, &state_event("@creator:a", "x.state", "", "{}"));
        let deep = pdu
            .json()
            .replace(r#""depth":1,"#, r#""depth":9223372036854775807,"#);
        let read = Pdu::<Parsed>::parse(deep.as_bytes(), world.version);
        assert_eq!(read.is_ok(), is_read, "{version}");
    }
}

#[test]
fn d11_levels_beyond_64_bits_are_all_the_same() {
    for version in ["1", "5", "9"] {
        let (mut world, mut at) = room(version, r#"{"creator":"@creator:a"}"#);
        let nines = "9".repeat(30);
        let levels = format!(r#"{{"ban":"-{nines}","users":{{"@creator:a":"{nines}","@x:a":"1{nines}"}}}}"#);
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.power_levels", "", &levels),
        );
        let ban = |target: &str| member("@creator:a", target, "ban");
        assert_eq!(world.verdict(&at, ban("@x:a")), "AUTH-14", "{version}");
        assert_eq!(world.verdict(&at, ban("@y:a")), "allow", "{version}");
    }
}

#[test]
fn d12_hashes_and_signatures_have_the_standard_alphabet() {
    let (mut world, at) = room("10", r#"{"creator":"@creator:a"}"#);
    // One whose hash is written differently in the two alphabets.
    let (pdu, hash) = (0..)
        .find_map(|n| {
            let content = format!(r#"{{"n":{n}}}"#);
            let (pdu, _) = world.sign(&at, &state_event("@creator:a", "x.state", "", &content));
            let hash = pdu.object().get("hashes")?.get("sha256")?.as_str()?.into_owned();
            hash.contains(['+', '/']).then_some((pdu, hash))
        })
        .unwrap();
    let url_safe = |text: &str| text.replace('+', "-").replace('/', "_");
    for (other, fits) in [
        (hash.clone(), true),
        (format!("{hash}="), true),
        (url_safe(&hash), false),
        (format!("{hash}*"), false),
        ("*".into(), false),
        (String::new(), false),
    ] {
        let text = pdu.json().replace(&hash, &other);
        let read = Pdu::<Parsed>::parse(text.as_bytes(), world.version).unwrap();
        let read = read.trust_signatures();
        assert_eq!(
            (read.hash_mismatch, read.content().is_empty()),
            (!fits, !fits),
            "{other}"
        );
    }
    let signature = (0..)
        .map(|n: i32| support::key().sign(n.to_string().as_bytes()))
        .enumerate()
        .find(|(_, signature)| signature.contains(['+', '/']));
    let (n, signature) = signature.unwrap();
    let verifies = |text: &str| {
        support::key()
            .public()
            .verifies_base64(n.to_string().as_bytes(), text)
    };
    assert!(verifies(&signature));
    assert!(!verifies(&url_safe(&signature)));
    assert!(!verifies(&format!("{signature}*")));
}

#[test]
fn d13_members_need_not_be_users() {
    for version in EXACT {
        let (mut world, at) = room(version, r#"{"creator":"@creator:a"}"#);
        for target in ["", "x", "@x", "x:a"] {
            for membership in ["invite", "ban"] {
                let event = member("@creator:a", target, membership);
                assert_eq!(
                    world.verdict(&at, event),
                    "allow",
                    "{version} {target} {membership}"
                );
            }
            let event = member("@creator:a", target, "join");
            assert_eq!(world.verdict(&at, event), "AUTH-8b", "{version} {target}");
        }
    }
}

#[test]
fn d14_power_levels_meet_their_rule_by_their_type() {
    for version in EXACT {
        let (mut world, mut at) = World::room(version, r#"{"@creator:a":100,"@x:a":50}"#, "public");
        world.send(&mut at, member("@x:a", "@x:a", "join"));
        let levels = |level: i64| {
            let content = format!(r#"{{"users":{{"@creator:a":100,"@x:a":{level}}}}}"#);
            support::message("@x:a", "m.room.power_levels", &content)
        };
        assert_eq!(world.verdict(&at, levels(50)), "allow", "{version}");
        assert_eq!(world.verdict(&at, levels(51)), "AUTH-23", "{version}");
    }
}

#[test]
fn d15_a_key_that_is_none_does_not_stand_before_one_that_is() {
    let identity = KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[1; 32]);
    let mut signed = Map::from([("mxid".into(), "@x:b".into()), ("token".into(), "t".into())]);
    sign::sign_json(&mut signed, &ServerName::parse("id.one").unwrap(), &identity);
    let signed = json::map_to_canonical(&signed);
    for version in EXACT {
        for odd in [r#""""#, r#""AAAA""#, "5", "null"] {
            let (mut world, mut at) = room(version, r#"{"creator":"@creator:a"}"#);
            let key = identity.public().to_base64();
            let offer = format!(r#"{{"public_key":{odd},"public_keys":[{{}},1,{{"public_key":"{key}"}}]}}"#);
            let offer = state_event("@creator:a", "m.room.third_party_invite", "t", &offer);
            world.send(&mut at, offer);
            let content = format!(r#"{{"membership":"invite","third_party_invite":{{"signed":{signed}}}}}"#);
            let invite = state_event("@creator:a", "m.room.member", "@x:b", &content);
            assert_eq!(world.verdict(&at, invite), "allow", "{version} {odd}");
        }
    }
}

#[test]
fn r1_without_join_rules_only_the_invited_may_join() {
    for version in EXACT {
        let (mut world, mut at) = room(version, r#"{"creator":"@creator:a"}"#);
        let join = || member("@x:b", "@x:b", "join");
        assert_eq!(world.verdict(&at, join()), "AUTH-8d", "{version}");
        world.send(&mut at, member("@creator:a", "@x:b", "invite"));
        assert_eq!(world.verdict(&at, join()), "allow", "{version}");
    }
}

#[test]
fn r2_a_value_of_a_wrong_type_is_none() {
    for version in EXACT {
        let (mut world, mut at) = room(version, r#"{"creator":"@creator:a"}"#);
        world.send(&mut at, member("@creator:a", "@x:b", "invite"));
        for (rules, verdict) in [
            ("{}", "allow"),
            // A rule that is none lets nobody in.
            (r#"{"join_rule":1}"#, "AUTH-8g"),
            (r#"{"join_rule":null}"#, "AUTH-8g"),
        ] {
            let mut at = at.clone();
            world.send(&mut at, state_event("@creator:a", "m.room.join_rules", "", rules));
            let join = member("@x:b", "@x:b", "join");
            assert_eq!(world.verdict(&at, join), verdict, "{version} {rules}");
        }
        for (content, verdict) in [
            ("{}", "AUTH-7"),
            (r#"{"membership":1}"#, "AUTH-16"),
            (r#"{"membership":null}"#, "AUTH-16"),
        ] {
            let odd = state_event("@creator:a", "m.room.member", "@creator:a", content);
            assert_eq!(world.verdict(&at, odd), verdict, "{version} {content}");
        }
    }
}

#[test]
fn r3_an_identifier_of_too_many_bytes_is_held_as_rejected() {
    for version in roomlet_wire::RoomVersion::supported() {
        let (mut world, at) = room(version, r#"{"creator":"@creator:a"}"#);
        let (pdu, auth) = world.sign(&at, &state_event("@creator:a", "x.state", "", "{}"));
        let mut event = pdu.to_map();
        event.insert("state_key".into(), "\u{e9}".repeat(200).into());
        let read = Pdu::<Parsed>::from_object(event, world.version);
        if world.version.drops_long_ids {
            assert_eq!(
                read.unwrap_err().code(),
                roomlet_wire::Code::TooLarge,
                "{version}"
            );
            continue;
        }
        let node = world.node_of(read.unwrap().trust_signatures(), auth, false);
        let verdict = roomlet_room::ingest::judge_outlier(&node, &world).unwrap();
        assert_eq!(
            verdict,
            roomlet_room::Verdict::Rejected(Denied::OversizedId),
            "{version}"
        );
    }
}

#[test]
fn r4_a_room_of_a_version_that_is_not_known_is_refused() {
    for version in EXACT {
        let mut world = World::new(version);
        let content = r#"{"creator":"@creator:a","room_version":"unheard of"}"#;
        let create = state_event("@creator:a", "m.room.create", "", content);
        assert_eq!(world.verdict(&Branch::default(), create), "AUTH-1", "{version}");
    }
}

fn redacted(text: &str, version: &str) -> String {
    let version = roomlet_wire::RoomVersion::get(version).unwrap();
    let event = json::parse_object(text.as_bytes()).unwrap();
    json::map_to_canonical(&roomlet_wire::redact::redact(&event, version))
}

#[test]
fn r5_a_create_event_of_version_12_loses_its_room_id() {
    let with_room_id = |kind: &str| format!(r#"{{"content":{{}},"room_id":"!x:a","type":"{kind}"}}"#);
    let create = with_room_id("m.room.create");
    assert_eq!(
        redacted(&create, "12"),
        r#"{"content":{},"type":"m.room.create"}"#
    );
    assert_eq!(redacted(&create, "11"), create);
    let other = with_room_id("m.room.topic");
    assert_eq!(redacted(&other, "12"), other);
}

#[test]
fn r6_of_a_third_party_invite_only_what_was_signed_stays() {
    for version in ["11", "12"] {
        for (invite, stays) in [
            (r#"{"display_name":"x"}"#, r#""third_party_invite":{}"#),
            (r#""x""#, ""),
            (
                r#"{"display_name":"x","signed":{"token":"t"}}"#,
                r#""third_party_invite":{"signed":{"token":"t"}}"#,
            ),
        ] {
            let event = format!(r#"{{"content":{{"third_party_invite":{invite}}},"type":"m.room.member"}}"#);
            let wanted = format!(r#"{{"content":{{{stays}}},"type":"m.room.member"}}"#);
            assert_eq!(redacted(&event, version), wanted, "{version}");
        }
    }
}

#[test]
fn r7_a_create_event_among_auth_events_is_refused_by_a_rule() {
    let (mut world, at) = room("12", "{}");
    let topic = state_event("@creator:a", "m.room.topic", "", "{}");
    let node = world.draft(&at, topic.citing(&[EventNum(0), EventNum(1)]));
    let verdict = roomlet_room::ingest::judge_outlier(&node, &world).unwrap();
    assert_eq!(
        verdict,
        roomlet_room::Verdict::Rejected(Denied::CreateAsAuthEvent)
    );
}

#[test]
fn r8_a_level_that_was_not_there_counts_with_no_default() {
    for version in EXACT {
        let (mut world, mut at) = room(version, r#"{"creator":"@creator:a"}"#);
        let mut send = |kind: &str, content: &str| {
            world.send(&mut at, state_event("@creator:a", kind, "", content));
        };
        send("m.room.join_rules", r#"{"join_rule":"public"}"#);
        send(
            "m.room.power_levels",
            r#"{"events":{"m.room.power_levels":0},"users":{}}"#,
        );
        world.send(&mut at, member("@x:b", "@x:b", "join"));
        for (scalar, verdict) in [(r#""kick":0"#, "allow"), (r#""kick":1"#, "AUTH-23")] {
            let content = format!(r#"{{"events":{{"m.room.power_levels":0}},{scalar},"users":{{}}}}"#);
            let levels = state_event("@x:b", "m.room.power_levels", "", &content);
            assert_eq!(world.verdict(&at, levels), verdict, "{version} {scalar}");
        }
    }
}

#[test]
fn r9_levels_may_have_fractions_until_version_5_and_any_size_until_version_9() {
    for (version, fraction, great, text) in [
        ("1", true, true, true),
        ("5", true, true, true),
        ("6", false, false, true),
        ("9", false, false, true),
        ("10", false, false, false),
    ] {
        for (level, is_read) in [
            ("50.9", fraction),
            ("9007199254740993", great),
            (r#""9007199254740993""#, text),
        ] {
            let (mut world, at) = room(version, r#"{"creator":"@creator:a"}"#);
            let levels = r#"{"users":{"@creator:a":100,"@x:b":51}}"#;
            let (pdu, auth) = world.sign(&at, &state_event("@creator:a", "m.room.power_levels", "", levels));
            let text = pdu.json().replace(r#""@x:b":51"#, &format!(r#""@x:b":{level}"#));
            let verdict = Pdu::<Parsed>::parse(text.as_bytes(), world.version).map(|pdu| {
                let node = world.node_of(pdu.unchecked(), auth, false);
                world.verdict_on(&node, &at)
            });
            let is_allowed = verdict.is_ok_and(|verdict| verdict == "allow");
            assert_eq!(is_allowed, is_read, "{version} {level}");
        }
    }
}
