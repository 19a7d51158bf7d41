//! AUTH-1 … AUTH-5 and AUTH-17 … AUTH-28 as tables.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{AuthState, Denied, Levels, Power, auth};
use roomlet_wire::{EventNum, Pdu, RoomId};
use support::{Branch, EXACT, World, member, message, state_event, version};

const USERS: &str = r#"{"@creator:a":100,"@mod:a":50,"@mod2:b":50}"#;

fn room(version: &str) -> (World, Branch) {
    let (mut world, mut at) = World::room(version, USERS, "public");
    for user in ["@mod:a", "@mod2:b", "@alice:b"] {
        world.send(&mut at, member(user, user, "join"));
    }
    (world, at)
}

#[test]
fn a_create_event_is_judged_by_itself() {
    let cases = [
        ("10", r#"{"creator":"@creator:a"}"#, "allow"),
        ("10", r#"{"creator":"@creator:a","room_version":"10"}"#, "allow"),
        ("I.1", r#"{"creator":"@creator:a","room_version":"I.1"}"#, "allow"),
        (
            "10",
            r#"{"creator":"@creator:a","room_version":"unheard.of"}"#,
            "AUTH-1",
        ),
        ("10", r#"{"creator":"@creator:a","room_version":10}"#, "AUTH-1"),
        ("10", "{}", "AUTH-1"),
        ("I.1", "{}", "AUTH-1"),
        ("org.matrix.msc1767.10", "{}", "AUTH-1"),
        ("11", "{}", "allow"),
        ("12", "{}", "allow"),
        ("12", r#"{"additional_creators":["@x:b"]}"#, "allow"),
        ("12", r#"{"additional_creators":["x"]}"#, "AUTH-1"),
        ("12", r#"{"additional_creators":"@x:b"}"#, "AUTH-1"),
        ("11", r#"{"additional_creators":"@x:b"}"#, "allow"),
    ];
    for (version, content, verdict) in cases {
        let mut world = World::new(version);
        let create = state_event("@creator:a", "m.room.create", "", content);
        assert_eq!(
            world.verdict(&Branch::default(), create),
            verdict,
            "{version}: {content}"
        );
    }
}

#[test]
fn a_create_event_follows_nothing_and_is_of_its_rooms_server() {
    let (mut world, at) = room("10");
    let late = state_event("@creator:a", "m.room.create", "", r#"{"creator":"@creator:a"}"#);
    assert_eq!(world.verdict(&at, late), "AUTH-1");
    let foreign = state_event("@x:b", "m.room.create", "", r#"{"creator":"@x:b"}"#).after(&[]);
    let node = world.draft(&at, foreign);
    assert_eq!(
        auth::check(&node, &AuthState::empty()),
        Err(Denied::CreateForeignRoomId)
    );
}

#[test]
fn nothing_is_allowed_without_a_create_event() {
    let (mut world, at) = room("10");
    let node = world.draft(&at, message("@alice:b", "m.x", "{}"));
    assert_eq!(auth::check(&node, &AuthState::empty()), Err(Denied::NoCreate));
}

#[test]
fn a_room_id_of_version_12_is_that_of_its_create_event() {
    let (mut world, at) = room("12");
    assert_eq!(world.verdict(&at, message("@alice:b", "m.x", "{}")), "allow");
    let mut spec = message("@alice:b", "m.x", "{}");
    spec.room = Some(RoomId::parse(&format!("!{}", "A".repeat(43))).unwrap());
    assert_eq!(world.verdict(&at, spec), "AUTH-2");
}

#[test]
fn a_room_that_is_not_federated_is_closed_to_other_servers() {
    for version in EXACT {
        let mut world = World::new(version);
        let mut at = Branch::default();
        let content = r#"{"creator":"@creator:a","m.federate":false}"#;
        world.send(&mut at, state_event("@creator:a", "m.room.create", "", content));
        world.send(&mut at, member("@creator:a", "@creator:a", "join"));
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.join_rules", "", r#"{"join_rule":"public"}"#),
        );
        assert_eq!(world.verdict(&at, member("@x:a", "@x:a", "join")), "allow");
        assert_eq!(world.verdict(&at, member("@x:b", "@x:b", "join")), "AUTH-4");
        assert_eq!(world.verdict(&at, member("@x:a:1", "@x:a:1", "join")), "AUTH-4");
    }
}

#[test]
fn aliases_have_a_rule_of_their_own_until_version_5() {
    for (version, key, verdict) in [
        ("5", "b", "allow"),
        ("5", "a", "AUTH-5"),
        ("6", "b", "AUTH-17"),
        ("10", "b", "AUTH-17"),
    ] {
        let (mut world, at) = room(version);
        let aliases = state_event("@stranger:b", "m.room.aliases", key, "{}");
        assert_eq!(world.verdict(&at, aliases), verdict, "{version} {key}");
    }
}

#[test]
fn sending_needs_membership_and_the_level_of_the_type() {
    let levels = format!(
        r#"{{"users":{USERS},"events":{{"m.quiet":50,"m.free":0}},"events_default":0,"state_default":50,"invite":50}}"#
    );
    let cases = [
        (message("@alice:b", "m.x", "{}"), "allow"),
        (message("@stranger:b", "m.x", "{}"), "AUTH-17"),
        (message("@alice:b", "m.quiet", "{}"), "AUTH-19"),
        (message("@mod:a", "m.quiet", "{}"), "allow"),
        (state_event("@alice:b", "m.x", "", "{}"), "AUTH-19"),
        (state_event("@alice:b", "m.free", "", "{}"), "allow"),
        (state_event("@alice:b", "m.free", "@alice:b", "{}"), "allow"),
        (state_event("@alice:b", "m.free", "@mod:a", "{}"), "AUTH-19"),
        (state_event("@creator:a", "m.free", "@mod:a", "{}"), "AUTH-19"),
        (state_event("@mod:a", "m.x", "", "{}"), "allow"),
        (
            state_event("@alice:b", "m.room.third_party_invite", "t", "{}"),
            "AUTH-18",
        ),
        (
            state_event("@mod:a", "m.room.third_party_invite", "t", "{}"),
            "allow",
        ),
        (message("@alice:b", "m.room.redaction", "{}"), "allow"),
    ];
    for version in EXACT {
        let (mut world, mut at) = room(version);
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.power_levels", "", &levels),
        );
        for (spec, verdict) in &cases {
            let found = world.verdict(&at, spec.clone());
            assert_eq!(
                found, *verdict,
                "{version}: {} sends {} {:?}",
                spec.sender, spec.kind, spec.key
            );
        }
    }
}

#[test]
fn without_power_levels_the_creator_has_100_and_others_0() {
    for version in EXACT {
        let mut world = World::new(version);
        let mut at = Branch::default();
        let create = state_event("@creator:a", "m.room.create", "", r#"{"creator":"@creator:a"}"#);
        world.send(&mut at, create);
        world.send(&mut at, member("@creator:a", "@creator:a", "join"));
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.join_rules", "", r#"{"join_rule":"public"}"#),
        );
        world.send(&mut at, member("@alice:b", "@alice:b", "join"));
        assert_eq!(
            world.verdict(&at, state_event("@creator:a", "m.x", "", "{}")),
            "allow"
        );
        assert_eq!(
            world.verdict(&at, state_event("@alice:b", "m.x", "", "{}")),
            "AUTH-19"
        );
        assert_eq!(world.verdict(&at, message("@alice:b", "m.x", "{}")), "allow");
        assert_eq!(
            world.verdict(&at, member("@creator:a", "@alice:b", "ban")),
            "allow"
        );
    }
}

/// New power levels, sent by a user of level 50 over those of the fixture.
fn change(version: &str, old: &str, new: &str) -> &'static str {
    let (mut world, mut at) = room(version);
    world.send(&mut at, state_event("@creator:a", "m.room.power_levels", "", old));
    world.verdict(&at, state_event("@mod:a", "m.room.power_levels", "", new))
}

#[test]
fn power_levels_change_only_up_to_the_senders_own() {
    let old = r#"{"users":{"@creator:a":100,"@mod:a":50,"@mod2:b":50,"@low:b":10},"ban":50,"kick":60,"events":{"m.a":50,"m.b":60},"notifications":{"room":60}}"#;
    let cases = [
        ("no change", old.to_owned(), "allow"),
        (
            "a level up to the own",
            old.replace(r#""ban":50"#, r#""ban":40"#),
            "allow",
        ),
        (
            "a level above the own, down",
            old.replace(r#""kick":60"#, r#""kick":50"#),
            "AUTH-23",
        ),
        (
            "a level to above the own",
            old.replace(r#""ban":50"#, r#""ban":51"#),
            "AUTH-23",
        ),
        (
            "a level removed, the own",
            old.replace(r#""ban":50,"#, ""),
            "allow",
        ),
        (
            "a level removed, above the own",
            old.replace(r#""kick":60,"#, ""),
            "AUTH-23",
        ),
        (
            "a level added",
            old.replace(r#""ban":50"#, r#""ban":50,"invite":50"#),
            "allow",
        ),
        (
            "a level added, above the own",
            old.replace(r#""ban":50"#, r#""ban":50,"invite":51"#),
            "AUTH-23",
        ),
        (
            "a default of users added, above the own",
            old.replace(r#""ban":50"#, r#""ban":50,"users_default":51"#),
            "AUTH-23",
        ),
        (
            "an event type, the own",
            old.replace(r#""m.a":50"#, r#""m.a":0"#),
            "allow",
        ),
        (
            "an event type, above the own",
            old.replace(r#""m.b":60"#, r#""m.b":50"#),
            "AUTH-23",
        ),
        (
            "an event type removed, above the own",
            old.replace(r#","m.b":60"#, ""),
            "AUTH-23",
        ),
        (
            "an event type added, above the own",
            old.replace(r#""m.a":50"#, r#""m.a":50,"m.c":60"#),
            "AUTH-23",
        ),
        (
            "a notification above the own",
            old.replace(r#""room":60"#, r#""room":50"#),
            "AUTH-23",
        ),
        (
            "a user below",
            old.replace(r#""@low:b":10"#, r#""@low:b":50"#),
            "allow",
        ),
        (
            "a user below to above the own",
            old.replace(r#""@low:b":10"#, r#""@low:b":51"#),
            "AUTH-23",
        ),
        (
            "a user below removed",
            old.replace(r#","@low:b":10"#, ""),
            "allow",
        ),
        (
            "an equal user",
            old.replace(r#""@mod2:b":50"#, r#""@mod2:b":0"#),
            "AUTH-23",
        ),
        (
            "an equal user removed",
            old.replace(r#""@mod2:b":50,"#, ""),
            "AUTH-23",
        ),
        (
            "a user above removed",
            old.replace(r#""@creator:a":100,"#, ""),
            "AUTH-23",
        ),
        (
            "a user added",
            old.replace(r#""@low:b":10"#, r#""@low:b":10,"@x:b":50"#),
            "allow",
        ),
        (
            "a user added above the own",
            old.replace(r#""@low:b":10"#, r#""@low:b":10,"@x:b":51"#),
            "AUTH-23",
        ),
        (
            "oneself down",
            old.replace(r#""@mod:a":50"#, r#""@mod:a":0"#),
            "allow",
        ),
        (
            "oneself up",
            old.replace(r#""@mod:a":50"#, r#""@mod:a":51"#),
            "AUTH-23",
        ),
        ("oneself removed", old.replace(r#""@mod:a":50,"#, ""), "allow"),
    ];
    for version in EXACT {
        for (name, new, verdict) in &cases {
            assert_eq!(change(version, old, new), *verdict, "{version}: {name}");
        }
    }
}

#[test]
fn notification_levels_are_guarded_from_version_6_on() {
    let old = format!(r#"{{"users":{USERS},"notifications":{{"room":60}}}}"#);
    let new = old.replace("60", "0");
    assert_eq!(change("5", &old, &new), "allow");
    assert_eq!(change("6", &old, &new), "AUTH-23");
}

#[test]
fn a_denied_change_says_what_was_to_change() {
    let (mut world, at) = room("10");
    let node = world.draft(
        &at,
        state_event(
            "@mod:a",
            "m.room.power_levels",
            "",
            r#"{"users":{"@creator:a":100,"@mod:a":50}}"#,
        ),
    );
    let state = auth::load(&node, &at.state, &world, &world.slots).unwrap();
    let denied = Denied::PowerChange {
        path: "users.@mod2:b".into(),
        old: Some(50),
        new: None,
        has: Power::Level(50),
    };
    assert_eq!(auth::check(&node, &state), Err(denied.clone()));
    assert_eq!(
        denied.to_string(),
        "AUTH-23: cannot change users.@mod2:b from 50 to unset with power level 50"
    );
}

#[test]
fn the_form_of_power_levels_depends_on_the_version() {
    // Verdicts of versions 9 and 10; 10's hold in 11 and I.1 too.
    let cases = [
        (r#"{"ban":50}"#, "allow", "allow"),
        (r#"{"ban":"50"}"#, "allow", "AUTH-23"),
        (r#"{"ban":null}"#, "allow", "AUTH-23"),
        (r#"{"ban":true}"#, "allow", "AUTH-23"),
        (r#"{"events":[]}"#, "allow", "AUTH-23"),
        (r#"{"events":{"m.x":"1"}}"#, "allow", "AUTH-23"),
        (r#"{"notifications":{"room":"1"}}"#, "allow", "AUTH-23"),
        (r#"{"notifications":7}"#, "allow", "AUTH-23"),
        (r#"{"users":{"@x:b":" +07 "}}"#, "allow", "AUTH-23"),
        (r#"{"users":{"@x:b":"1_0"}}"#, "AUTH-23", "AUTH-23"),
        (r#"{"users":{"@x:b":true}}"#, "AUTH-23", "AUTH-23"),
        (r#"{"users":{"x":1}}"#, "AUTH-23", "AUTH-23"),
        (r#"{"users":{"@x":1}}"#, "AUTH-23", "AUTH-23"),
        (r#"{"users":[]}"#, "AUTH-23", "AUTH-23"),
        (r#"{"other":"50"}"#, "allow", "allow"),
    ];
    for (content, in_9, in_10) in cases {
        for (version, verdict) in [("9", in_9), ("10", in_10), ("11", in_10), ("I.1", in_10)] {
            let mut world = World::new(version);
            let mut at = Branch::default();
            let create = state_event("@creator:a", "m.room.create", "", r#"{"creator":"@creator:a"}"#);
            world.send(&mut at, create);
            world.send(&mut at, member("@creator:a", "@creator:a", "join"));
            let levels = state_event("@creator:a", "m.room.power_levels", "", content);
            assert_eq!(world.verdict(&at, levels), verdict, "{version}: {content}");
        }
    }
}

#[test]
fn levels_written_as_text_count_until_version_9() {
    let (mut world, mut at) = room("9");
    let levels = r#"{"users":{"@creator:a":"100","@mod:a":"50"},"ban":"60"}"#;
    world.send(
        &mut at,
        state_event("@creator:a", "m.room.power_levels", "", levels),
    );
    assert_eq!(world.verdict(&at, member("@mod:a", "@alice:b", "ban")), "AUTH-14");
    assert_eq!(world.verdict(&at, member("@mod:a", "@alice:b", "leave")), "allow");
}

#[test]
fn power_levels_of_version_12_name_no_creator() {
    let (mut world, at) = {
        let mut world = World::new("12");
        let mut at = Branch::default();
        world.send(
            &mut at,
            state_event(
                "@creator:a",
                "m.room.create",
                "",
                r#"{"additional_creators":["@two:b"]}"#,
            ),
        );
        world.send(&mut at, member("@creator:a", "@creator:a", "join"));
        (world, at)
    };
    for (users, verdict) in [
        (r#"{"@x:b":100}"#, "allow"),
        (r#"{"@creator:a":100}"#, "AUTH-23"),
        (r#"{"@two:b":100}"#, "AUTH-23"),
    ] {
        let levels = format!(r#"{{"users":{users}}}"#);
        let levels = state_event("@creator:a", "m.room.power_levels", "", &levels);
        assert_eq!(world.verdict(&at, levels), verdict, "{users}");
    }
}

#[test]
fn power_levels_with_another_key_meet_the_same_rule() {
    let (mut world, at) = room("10");
    let raised = r#"{"users":{"@creator:a":100,"@mod:a":100,"@mod2:b":50}}"#;
    assert_eq!(
        world.verdict(&at, state_event("@mod:a", "m.room.power_levels", "x", raised)),
        "AUTH-23"
    );
    assert_eq!(
        world.verdict(
            &at,
            state_event("@creator:a", "m.room.power_levels", "x", r#"{"ban":"1"}"#)
        ),
        "AUTH-23"
    );
}

#[test]
fn a_redaction_of_versions_1_and_2_needs_the_level_or_the_same_server() {
    let (mut world, at) = room("3");
    for (sender, redacts, verdict) in [
        ("@alice:b", "$x:b", "allow"),
        ("@alice:b", "$x:a", "AUTH-11"),
        ("@mod:a", "$x:b", "allow"),
    ] {
        let json = format!(
            r#"{{"event_id":"$r:b","room_id":"!room:a","sender":"{sender}","type":"m.room.redaction","redacts":"{redacts}",
                "content":{{}},"prev_events":[],"auth_events":[],"depth":1,"origin_server_ts":1,
                "hashes":{{"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},"signatures":{{}}}}"#
        );
        let pdu = Pdu::from_store(json.as_bytes(), version("1")).unwrap();
        let node = world.node_of(pdu, vec![], false);
        assert_eq!(
            world.verdict_on(&node, &at),
            verdict,
            "{sender} redacts {redacts}"
        );
    }
}

#[test]
fn a_redaction_of_versions_1_and_2_that_was_let_in_is_applied() {
    let (world, at) = room("3");
    let held = |kind| {
        let num = world.held(&at.state, kind, "").unwrap();
        world.nodes[num.0 as usize].clone()
    };
    let (create, power_levels) = (held("m.room.create"), held("m.room.power_levels"));
    let levels = Levels::new(Some(&create), Some(&power_levels));
    for version in ["1", "2"] {
        // The ids are of one server, the senders of two: what AUTH-11 looks at is the ids.
        let event = |id: &str, sender: &str, more: &str| {
            let json = format!(
                r#"{{"event_id":"{id}","room_id":"!room:a","sender":"{sender}",{more}
                "content":{{}},"prev_events":[],"auth_events":[],"depth":1,"origin_server_ts":1,
                "hashes":{{"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},"signatures":{{}}}}"#
            );
            Pdu::from_store(json.as_bytes(), crate::version(version)).unwrap()
        };
        let target = event("$x:a", "@creator:a", r#""type":"m.x","#);
        let redaction = event(
            "$r:a",
            "@alice:b",
            r#""type":"m.room.redaction","redacts":"$x:a","#,
        );
        assert!(auth::may_redact(&redaction, &target, levels), "{version}");
        let elsewhere = target.json().replace("!room:a", "!other:a");
        let elsewhere = Pdu::from_store(elsewhere.as_bytes(), crate::version(version)).unwrap();
        assert!(!auth::may_redact(&redaction, &elsewhere, levels), "{version}");
    }
}

#[test]
fn a_redaction_is_applied_with_the_level_or_for_the_same_server() {
    let (mut world, at) = room("11");
    let of = |world: &mut World, sender: &str| world.draft(&at, message(sender, "m.x", "{}"));
    let held = |kind| {
        let num = world.held(&at.state, kind, "").unwrap();
        world.nodes[num.0 as usize].clone()
    };
    let (create, power_levels) = (held("m.room.create"), held("m.room.power_levels"));
    let levels = Levels::new(Some(&create), Some(&power_levels));
    let (alice, creator, moderator, second) = (
        of(&mut world, "@alice:b"),
        of(&mut world, "@creator:a"),
        of(&mut world, "@mod:a"),
        of(&mut world, "@mod2:b"),
    );
    assert!(auth::may_redact(&alice.pdu, &alice.pdu, levels));
    assert!(auth::may_redact(&alice.pdu, &second.pdu, levels));
    assert!(!auth::may_redact(&alice.pdu, &creator.pdu, levels));
    assert!(auth::may_redact(&moderator.pdu, &alice.pdu, levels));
    assert_eq!(alice.num, EventNum(world.nodes.len() as u32));
}
