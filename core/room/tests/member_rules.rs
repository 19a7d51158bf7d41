//! AUTH-7 … AUTH-16 as tables: who may become what.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{
    Denied, Power,
    auth::{self, Action},
};
use roomlet_wire::{
    KeyId, ServerName, json,
    sign::{self, KeyPair},
};
use support::{Branch, EXACT, Spec, World, key, member, message, state_event};

const USERS: &str = r#"{"@creator:a":100,"@mod:a":50,"@mod2:b":50}"#;

/// A room with a user in every membership.
fn room(version: &str, join_rule: &str) -> (World, Branch) {
    let (mut world, mut at) = World::room(version, USERS, "public");
    for user in ["@mod:a", "@mod2:b", "@alice:b", "@bob:b", "@left:b"] {
        world.send(&mut at, member(user, user, "join"));
    }
    world.send(&mut at, member("@left:b", "@left:b", "leave"));
    world.send(&mut at, member("@mod:a", "@invited:b", "invite"));
    world.send(&mut at, member("@mod:a", "@banned:b", "ban"));
    world.send(
        &mut at,
        state_event("@creator:a", "m.room.join_rules", "", r#"{"join_rule":"knock"}"#),
    );
    world.send(&mut at, member("@knocked:b", "@knocked:b", "knock"));
    let rule = format!(r#"{{"join_rule":"{join_rule}"}}"#);
    world.send(&mut at, state_event("@creator:a", "m.room.join_rules", "", &rule));
    (world, at)
}

fn check(versions: &[&str], cases: &[(&str, &str, &str, &str, &str)]) {
    for version in versions {
        for (rule, sender, target, membership, verdict) in cases {
            let (mut world, at) = room(version, rule);
            let found = world.verdict(&at, member(sender, target, membership));
            assert_eq!(
                found, *verdict,
                "{version}, {rule}: {sender} sets {target} to {membership}"
            );
        }
    }
}

#[test]
fn joins_follow_the_join_rule() {
    check(
        &EXACT,
        &[
            ("public", "@new:c", "@new:c", "join", "allow"),
            ("public", "@left:b", "@left:b", "join", "allow"),
            ("public", "@alice:b", "@alice:b", "join", "allow"),
            ("public", "@banned:b", "@banned:b", "join", "AUTH-8c"),
            ("public", "@mod:a", "@new:c", "join", "AUTH-8b"),
            ("invite", "@new:c", "@new:c", "join", "AUTH-8d"),
            ("invite", "@knocked:b", "@knocked:b", "join", "AUTH-8d"),
            ("invite", "@invited:b", "@invited:b", "join", "allow"),
            ("invite", "@alice:b", "@alice:b", "join", "allow"),
            ("knock", "@new:c", "@new:c", "join", "AUTH-8d"),
            ("knock", "@invited:b", "@invited:b", "join", "allow"),
            ("restricted", "@new:c", "@new:c", "join", "AUTH-8e"),
            ("restricted", "@invited:b", "@invited:b", "join", "allow"),
            ("knock_restricted", "@new:c", "@new:c", "join", "AUTH-8e"),
            ("knock_restricted", "@alice:b", "@alice:b", "join", "allow"),
            ("private", "@invited:b", "@invited:b", "join", "AUTH-8g"),
            ("org.example.rule", "@alice:b", "@alice:b", "join", "AUTH-8g"),
        ],
    );
}

#[test]
fn join_rules_that_a_version_does_not_know_let_nobody_in() {
    check(
        &["7", "9"],
        &[("knock_restricted", "@invited:b", "@invited:b", "join", "AUTH-8g")],
    );
    check(
        &["7"],
        &[("restricted", "@invited:b", "@invited:b", "join", "AUTH-8g")],
    );
    check(
        &["8", "9"],
        &[("restricted", "@invited:b", "@invited:b", "join", "allow")],
    );
}

#[test]
fn a_restricted_join_needs_a_joined_user_with_the_power_to_invite() {
    let cases = [
        ("@alice:b", "AUTH-8e"),
        ("@mod:a", "allow"),
        ("@banned:b", "AUTH-8e"),
        ("@nobody:b", "AUTH-8e"),
    ];
    for version in ["8", "10", "11", "I.1"] {
        for (by, verdict) in cases {
            let (mut world, mut at) = room(version, "restricted");
            let levels = format!(r#"{{"users":{USERS},"invite":50}}"#);
            world.send(
                &mut at,
                state_event("@creator:a", "m.room.power_levels", "", &levels),
            );
            let content = format!(r#"{{"membership":"join","join_authorised_via_users_server":"{by}"}}"#);
            let join = state_event("@new:c", "m.room.member", "@new:c", &content);
            assert_eq!(world.verdict(&at, join), verdict, "{version}: authorised by {by}");
        }
    }
}

#[test]
fn who_authorises_a_restricted_join_has_to_be_in_the_room_whatever_inviting_needs() {
    for version in ["8", "10", "11", "I.1"] {
        for (by, verdict) in [
            ("@alice:b", "allow"),
            ("@left:b", "AUTH-8e"),
            ("@invited:b", "AUTH-8e"),
        ] {
            let (mut world, at) = room(version, "restricted");
            let content = format!(r#"{{"membership":"join","join_authorised_via_users_server":"{by}"}}"#);
            let join = state_event("@new:c", "m.room.member", "@new:c", &content);
            assert_eq!(world.verdict(&at, join), verdict, "{version}: authorised by {by}");
        }
    }
}

#[test]
fn inviting_needs_the_power_to_invite() {
    for version in EXACT {
        let (mut world, mut at) = room(version, "invite");
        let levels = format!(r#"{{"users":{USERS},"invite":50}}"#);
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.power_levels", "", &levels),
        );
        assert_eq!(
            world.verdict(&at, member("@alice:b", "@new:c", "invite")),
            "AUTH-10",
            "{version}"
        );
        assert_eq!(
            world.verdict(&at, member("@mod:a", "@new:c", "invite")),
            "allow",
            "{version}"
        );
    }
}

#[test]
fn before_version_7_nobody_leaves_after_a_knock() {
    for (version, verdict) in [("6", "AUTH-12"), ("7", "allow")] {
        let (mut world, at) = room(version, "invite");
        let leave = member("@knocked:b", "@knocked:b", "leave");
        assert_eq!(world.verdict(&at, leave), verdict, "{version}");
    }
}

#[test]
fn the_denial_of_a_restricted_join_says_what_power_was_needed() {
    let (mut world, mut at) = room("11", "restricted");
    let levels = format!(r#"{{"users":{USERS},"invite":50}}"#);
    world.send(
        &mut at,
        state_event("@creator:a", "m.room.power_levels", "", &levels),
    );
    let content = r#"{"membership":"join","join_authorised_via_users_server":"@alice:b"}"#;
    let node = world.draft(&at, state_event("@new:c", "m.room.member", "@new:c", content));
    let state = auth::load(&node, &at.state, &world, &world.slots).unwrap();
    let denied = Denied::PowerTooLow {
        action: Action::AuthoriseJoin,
        need: 50,
        has: Power::Level(0),
    };
    assert_eq!(auth::check(&node, &state), Err(denied.clone()));
    assert_eq!(
        denied.to_string(),
        "AUTH-8e: power level 50 needed to let a user join, has 0"
    );
}

#[test]
fn invites_need_a_joined_sender_and_a_target_outside() {
    check(
        &EXACT,
        &[
            ("invite", "@alice:b", "@new:c", "invite", "allow"),
            ("invite", "@alice:b", "@left:b", "invite", "allow"),
            ("invite", "@alice:b", "@knocked:b", "invite", "allow"),
            ("invite", "@alice:b", "@invited:b", "invite", "allow"),
            ("invite", "@alice:b", "@bob:b", "invite", "AUTH-10"),
            ("invite", "@alice:b", "@banned:b", "invite", "AUTH-10"),
            ("invite", "@left:b", "@new:c", "invite", "AUTH-10"),
            ("invite", "@invited:b", "@new:c", "invite", "AUTH-10"),
        ],
    );
}

#[test]
fn leaving_needs_a_membership_to_leave() {
    check(
        &EXACT,
        &[
            ("public", "@alice:b", "@alice:b", "leave", "allow"),
            ("public", "@invited:b", "@invited:b", "leave", "allow"),
            ("public", "@knocked:b", "@knocked:b", "leave", "allow"),
            ("public", "@left:b", "@left:b", "leave", "AUTH-12"),
            ("public", "@banned:b", "@banned:b", "leave", "AUTH-12"),
            ("public", "@new:c", "@new:c", "leave", "AUTH-12"),
        ],
    );
}

#[test]
fn kicks_and_bans_need_power_above_the_target() {
    check(
        &EXACT,
        &[
            ("public", "@mod:a", "@alice:b", "leave", "allow"),
            ("public", "@mod:a", "@invited:b", "leave", "allow"),
            ("public", "@mod:a", "@banned:b", "leave", "allow"),
            ("public", "@mod:a", "@mod2:b", "leave", "AUTH-13"),
            ("public", "@mod:a", "@creator:a", "leave", "AUTH-13"),
            ("public", "@alice:b", "@bob:b", "leave", "AUTH-13"),
            ("public", "@left:b", "@bob:b", "leave", "AUTH-13"),
            ("public", "@mod:a", "@alice:b", "ban", "allow"),
            ("public", "@mod:a", "@new:c", "ban", "allow"),
            ("public", "@mod:a", "@mod:a", "ban", "AUTH-14"),
            ("public", "@mod:a", "@mod2:b", "ban", "AUTH-14"),
            ("public", "@alice:b", "@bob:b", "ban", "AUTH-14"),
            ("public", "@left:b", "@bob:b", "ban", "AUTH-14"),
        ],
    );
}

#[test]
fn lifting_a_ban_needs_the_power_to_ban_and_to_kick() {
    let cases = [(50, 60, "AUTH-13"), (60, 50, "AUTH-13"), (50, 50, "allow")];
    for (ban, kick, verdict) in cases {
        let (mut world, mut at) = room("10", "public");
        let levels = format!(r#"{{"users":{USERS},"ban":{ban},"kick":{kick}}}"#);
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.power_levels", "", &levels),
        );
        assert_eq!(
            world.verdict(&at, member("@mod:a", "@banned:b", "leave")),
            verdict,
            "{ban} {kick}"
        );
    }
}

#[test]
fn knocks_need_a_rule_that_allows_them_and_a_user_outside() {
    check(
        &EXACT,
        &[
            ("knock", "@new:c", "@new:c", "knock", "allow"),
            ("knock", "@left:b", "@left:b", "knock", "allow"),
            ("knock", "@knocked:b", "@knocked:b", "knock", "allow"),
            ("knock_restricted", "@new:c", "@new:c", "knock", "allow"),
            ("knock", "@mod:a", "@new:c", "knock", "AUTH-15"),
            ("knock", "@alice:b", "@alice:b", "knock", "AUTH-15"),
            ("knock", "@invited:b", "@invited:b", "knock", "AUTH-15"),
            ("knock", "@banned:b", "@banned:b", "knock", "AUTH-15"),
            ("public", "@new:c", "@new:c", "knock", "AUTH-15"),
            ("restricted", "@new:c", "@new:c", "knock", "AUTH-15"),
        ],
    );
    check(
        &["7", "9"],
        &[("knock_restricted", "@new:c", "@new:c", "knock", "AUTH-15")],
    );
}

#[test]
fn unknown_memberships_are_refused() {
    check(&EXACT, &[("public", "@alice:b", "@alice:b", "dance", "AUTH-16")]);
    let (mut world, at) = World::room("6", USERS, "knock");
    assert_eq!(world.verdict(&at, member("@new:c", "@new:c", "knock")), "AUTH-16");
}

#[test]
fn a_member_event_needs_a_state_key_and_a_membership() {
    let cases: [(Spec, &str); 3] = [
        (
            message("@alice:b", "m.room.member", r#"{"membership":"join"}"#),
            "AUTH-7",
        ),
        (
            state_event("@alice:b", "m.room.member", "@alice:b", "{}"),
            "AUTH-7",
        ),
        (
            state_event("@alice:b", "m.room.member", "@alice:b", r#"{"membership":1}"#),
            "AUTH-16",
        ),
    ];
    for (spec, verdict) in cases {
        let (mut world, at) = room("10", "public");
        assert_eq!(world.verdict(&at, spec.clone()), verdict, "{}", spec.content);
    }
}

#[test]
fn the_creator_joins_right_after_the_create_and_nowhere_else() {
    for version in ["10", "11", "12", "I.1"] {
        let mut world = World::new(version);
        let mut at = Branch::default();
        let create = state_event("@creator:a", "m.room.create", "", r#"{"creator":"@creator:a"}"#);
        let create = world.send(&mut at, create);
        assert_eq!(
            world.verdict(&at, member("@creator:a", "@creator:a", "join")),
            "allow",
            "{version}"
        );
        assert_eq!(
            world.verdict(&at, member("@other:a", "@other:a", "join")),
            "AUTH-8d",
            "{version}"
        );
        let other = world.add(&at, message("@creator:a", "m.x", "{}"));
        let late = member("@creator:a", "@creator:a", "join").after(&[create, other]);
        assert_eq!(world.verdict(&at, late), "AUTH-8d", "{version}");
    }
}

#[test]
fn the_creator_is_the_one_in_content_until_version_10_and_the_sender_from_11_on() {
    for (version, user, verdict) in [
        ("10", "@other:a", "allow"),
        ("10", "@creator:a", "AUTH-8d"),
        ("11", "@other:a", "AUTH-8d"),
        ("11", "@creator:a", "allow"),
    ] {
        let mut world = World::new(version);
        let mut at = Branch::default();
        world.send(
            &mut at,
            state_event("@creator:a", "m.room.create", "", r#"{"creator":"@other:a"}"#),
        );
        assert_eq!(
            world.verdict(&at, member(user, user, "join")),
            verdict,
            "{version} {user}"
        );
    }
}

/// What an identity server says of `mxid` and `token`, signed with the key of the tests.
fn signed(mxid: &str, token: &str) -> String {
    let text = format!(r#"{{"mxid":"{mxid}","token":"{token}"}}"#);
    let mut object = json::parse_object(text.as_bytes()).unwrap();
    sign::sign_json(&mut object, &ServerName::parse("id.example").unwrap(), &key());
    json::map_to_canonical(&object)
}

#[test]
fn a_third_party_invite_needs_a_signature_by_a_key_of_the_same_senders_offer() {
    let ours = key().public().to_base64();
    let good = signed("@new:c", "tok");
    let forged = good.replace("\"tok\"", "\"tok2\"");
    let cases = [
        ("its key", "@alice:b", "@new:c", good.clone(), "allow"),
        ("another sender", "@bob:b", "@new:c", good.clone(), "AUTH-9"),
        ("another target", "@alice:b", "@other:c", good.clone(), "AUTH-9"),
        (
            "another token, signature of the first",
            "@alice:b",
            "@new:c",
            forged,
            "AUTH-9",
        ),
        (
            "an unknown token",
            "@alice:b",
            "@new:c",
            signed("@new:c", "gone"),
            "AUTH-9",
        ),
        (
            "a banned target",
            "@alice:b",
            "@banned:b",
            signed("@banned:b", "tok"),
            "AUTH-9",
        ),
        (
            "no signature",
            "@alice:b",
            "@new:c",
            r#"{"mxid":"@new:c","token":"tok"}"#.into(),
            "AUTH-9",
        ),
        (
            "no mxid",
            "@alice:b",
            "@new:c",
            r#"{"token":"tok"}"#.into(),
            "AUTH-9",
        ),
        (
            "a key of the list",
            "@alice:b",
            "@new:c",
            signed("@new:c", "list"),
            "allow",
        ),
        (
            "a key that is not there",
            "@alice:b",
            "@new:c",
            signed("@new:c", "none"),
            "AUTH-9",
        ),
    ];
    for (name, sender, target, signed, verdict) in cases {
        let (mut world, mut at) = room("10", "invite");
        for (token, content) in [
            ("tok", format!(r#"{{"public_key":"{ours}"}}"#)),
            ("tok2", format!(r#"{{"public_key":"{ours}"}}"#)),
            (
                "list",
                format!(r#"{{"public_key":"bad","public_keys":[{{"public_key":"{ours}"}}]}}"#),
            ),
            ("none", r#"{"public_key":"bad"}"#.into()),
        ] {
            world.send(
                &mut at,
                state_event("@alice:b", "m.room.third_party_invite", token, &content),
            );
        }
        let content = format!(r#"{{"membership":"invite","third_party_invite":{{"signed":{signed}}}}}"#);
        let invite = state_event(sender, "m.room.member", target, &content);
        assert_eq!(world.verdict(&at, invite), verdict, "{name}");
    }
}

#[test]
fn the_keys_of_a_third_party_invite_come_in_either_alphabet_of_base64() {
    // A key that the two alphabets write differently.
    let pair = (0..=255)
        .map(|seed| KeyPair::from_seed(KeyId::parse("ed25519:0").unwrap(), &[seed; 32]))
        .find(|pair| {
            let text = pair.public().to_base64();
            text.contains('+') && text.contains('/')
        })
        .unwrap();
    let standard = pair.public().to_base64();
    let url_safe = standard.replace('+', "-").replace('/', "_");
    let mut signed = json::parse_object(br#"{"mxid":"@new:c","token":"tok"}"#).unwrap();
    sign::sign_json(&mut signed, &ServerName::parse("id.example").unwrap(), &pair);
    let signed = json::map_to_canonical(&signed);
    for (key, verdict) in [
        (standard.clone(), "allow"),
        (url_safe.clone(), "allow"),
        (format!("{url_safe}="), "allow"),
        // Both at once are neither.
        (standard.replace('+', "-"), "AUTH-9"),
    ] {
        for offer in [
            format!(r#"{{"public_key":"{key}"}}"#),
            format!(r#"{{"public_keys":[{{"public_key":"{key}"}}]}}"#),
        ] {
            let (mut world, mut at) = room("10", "invite");
            world.send(
                &mut at,
                state_event("@alice:b", "m.room.third_party_invite", "tok", &offer),
            );
            let content = format!(r#"{{"membership":"invite","third_party_invite":{{"signed":{signed}}}}}"#);
            let invite = state_event("@alice:b", "m.room.member", "@new:c", &content);
            assert_eq!(world.verdict(&at, invite), verdict, "{offer}");
        }
    }
}

#[test]
fn a_third_party_invite_is_searched_for_its_signature_only_so_far() {
    let others = (1..4_u8).map(|seed| {
        let id = KeyId::parse("ed25519:x").unwrap();
        KeyPair::from_seed(id, &[seed; 32]).public().to_base64()
    });
    let keys: Vec<String> = others.chain([key().public().to_base64()]).collect();
    let keys: Vec<String> = keys
        .iter()
        .map(|key| format!(r#"{{"public_key":"{key}"}}"#))
        .collect();
    let offer = format!(r#"{{"public_key":"bad","public_keys":[{}]}}"#, keys.join(","));
    for (wrong, verdict) in [(3, "allow"), (4, "AUTH-9")] {
        let (mut world, mut at) = room("10", "invite");
        world.send(
            &mut at,
            state_event("@alice:b", "m.room.third_party_invite", "tok", &offer),
        );
        let before: String = (0..wrong)
            .map(|n| format!(r#""a{n}":{{"ed25519:0":"{}"}},"#, "A".repeat(86)))
            .collect();
        let signed =
            signed("@new:c", "tok").replace(r#""signatures":{"#, &format!(r#""signatures":{{{before}"#));
        let content = format!(r#"{{"membership":"invite","third_party_invite":{{"signed":{signed}}}}}"#);
        let invite = state_event("@alice:b", "m.room.member", "@new:c", &content);
        assert_eq!(
            world.verdict(&at, invite),
            verdict,
            "{wrong} wrong signatures before the right one"
        );
    }
}

#[test]
fn the_sender_of_a_third_party_invite_may_have_left() {
    let (mut world, mut at) = room("10", "invite");
    let offer = format!(r#"{{"public_key":"{}"}}"#, key().public().to_base64());
    world.send(
        &mut at,
        state_event("@alice:b", "m.room.third_party_invite", "tok", &offer),
    );
    world.send(&mut at, member("@alice:b", "@alice:b", "leave"));
    let content = format!(
        r#"{{"membership":"invite","third_party_invite":{{"signed":{}}}}}"#,
        signed("@new:c", "tok")
    );
    assert_eq!(
        world.verdict(&at, state_event("@alice:b", "m.room.member", "@new:c", &content)),
        "allow"
    );
}

#[test]
fn creators_of_version_12_rank_above_all_and_not_above_each_other() {
    let mut world = World::new("12");
    let mut at = Branch::default();
    let create = r#"{"additional_creators":["@second:b"]}"#;
    world.send(&mut at, state_event("@creator:a", "m.room.create", "", create));
    world.send(&mut at, member("@creator:a", "@creator:a", "join"));
    let levels = r#"{"users":{"@mod:a":9007199254740991},"ban":9007199254740991}"#;
    world.send(
        &mut at,
        state_event("@creator:a", "m.room.power_levels", "", levels),
    );
    world.send(
        &mut at,
        state_event("@creator:a", "m.room.join_rules", "", r#"{"join_rule":"public"}"#),
    );
    for user in ["@second:b", "@mod:a"] {
        world.send(&mut at, member(user, user, "join"));
    }
    let cases = [
        ("@second:b", "@mod:a", "ban", "allow"),
        ("@mod:a", "@second:b", "ban", "AUTH-14"),
        ("@creator:a", "@second:b", "ban", "AUTH-14"),
        ("@second:b", "@creator:a", "leave", "AUTH-13"),
        ("@creator:a", "@mod:a", "leave", "allow"),
    ];
    for (sender, target, membership, verdict) in cases {
        let found = world.verdict(&at, member(sender, target, membership));
        assert_eq!(found, verdict, "{sender} sets {target} to {membership}");
    }
}
