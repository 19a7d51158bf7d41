//! The steps of receipt (EV-21), the form of `auth_events` (AUTH-3), selection (AUTH-20).

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{
    Denied, Node, StateMap, Verdict,
    auth::{self, Action},
    graph,
    ingest::{judge, judge_backfilled, judge_outlier},
    node::Membership,
};
use roomlet_wire::{Code, EventNum, Pdu, RoomId, json};
use std::sync::Arc;
use support::{Branch, EXACT, World, member, message, state_event, version};

const USERS: &str = r#"{"@creator:a":100}"#;

/// A room with Alice in it, and the same room after she was banned.
fn before_and_after_a_ban(version: &str) -> (World, Branch, Branch) {
    let (mut world, mut before) = World::room(version, USERS, "public");
    world.send(&mut before, member("@alice:b", "@alice:b", "join"));
    let mut after = before.clone();
    world.send(&mut after, member("@creator:a", "@alice:b", "ban"));
    (world, before, after)
}

fn judged(world: &World, node: &Node, before: &StateMap, current: &StateMap) -> Verdict {
    judge(node, before, current, world, &world.slots).unwrap()
}

const NOT_JOINED: Denied = Denied::SenderNotJoined { action: Action::Send };

#[test]
fn an_event_allowed_everywhere_is_accepted() {
    for version in EXACT {
        let (mut world, before, _) = before_and_after_a_ban(version);
        let node = world.draft(&before, message("@alice:b", "m.x", "{}"));
        assert_eq!(
            judged(&world, &node, &before.state, &before.state),
            Verdict::Accepted
        );
    }
}

#[test]
fn an_event_sent_beside_a_ban_soft_fails() {
    let (mut world, before, after) = before_and_after_a_ban("10");
    let node = world.draft(&before, message("@alice:b", "m.x", "{}"));
    assert_eq!(
        judged(&world, &node, &before.state, &after.state),
        Verdict::SoftFailed(NOT_JOINED)
    );
    let backfilled = judge_backfilled(&node, &before.state, &world, &world.slots).unwrap();
    assert_eq!(backfilled, Verdict::Accepted);
}

#[test]
fn an_event_sent_after_a_ban_is_rejected_whatever_it_cites() {
    let (mut world, before, after) = before_and_after_a_ban("10");
    let cited: Vec<EventNum> = [
        ("m.room.create", ""),
        ("m.room.power_levels", ""),
        ("m.room.member", "@alice:b"),
    ]
    .iter()
    .map(|(kind, key)| world.held(&before.state, kind, key).unwrap())
    .collect();
    let node = world.draft(&after, message("@alice:b", "m.x", "{}").citing(&cited));
    assert_eq!(judge_outlier(&node, &world).unwrap(), Verdict::Accepted);
    assert_eq!(
        judged(&world, &node, &after.state, &after.state),
        Verdict::Rejected(NOT_JOINED)
    );
    let honest = world.draft(&after, message("@alice:b", "m.x", "{}"));
    assert_eq!(
        judge_outlier(&honest, &world).unwrap(),
        Verdict::Rejected(NOT_JOINED)
    );
}

#[test]
fn omitted_power_levels_pass_step_4_and_fail_step_5() {
    let (mut world, at) = World::room("10", r#"{"@creator:a":0}"#, "public");
    let create = world.held(&at.state, "m.room.create", "").unwrap();
    let joined = world.held(&at.state, "m.room.member", "@creator:a").unwrap();
    let topic = state_event("@creator:a", "m.room.topic", "", "{}").citing(&[create, joined]);
    let node = world.draft(&at, topic);
    assert_eq!(judge_outlier(&node, &world).unwrap(), Verdict::Accepted);
    let Verdict::Rejected(denied) = judged(&world, &node, &at.state, &at.state) else {
        panic!("not rejected")
    };
    assert_eq!(denied.rule(), "AUTH-19");
}

#[test]
fn a_missing_auth_event_is_an_error_and_no_verdict() {
    let (mut world, before, _) = before_and_after_a_ban("10");
    let mut node = world.draft(&before, message("@alice:b", "m.x", "{}"));
    node.auth.push(EventNum(9999));
    assert_eq!(
        judge_outlier(&node, &world).unwrap_err().code(),
        Code::UnknownEvent
    );
}

#[test]
fn an_event_with_an_identifier_beyond_255_bytes_is_rejected() {
    let (mut world, before, _) = before_and_after_a_ban("10");
    let node = world.draft(&before, message("@alice:b", "m.x", "{}"));
    let mut object = node.pdu.to_map();
    object.insert("type".into(), "é".repeat(200).into());
    let pdu = Pdu::from_store(json::map_to_canonical(&object).as_bytes(), version("10")).unwrap();
    let long = world.node_of(pdu, node.auth.to_vec(), false);
    assert_eq!(
        judged(&world, &long, &before.state, &before.state),
        Verdict::Rejected(Denied::OversizedId)
    );
}

#[test]
fn a_node_cites_only_events_held_before_it() {
    let (mut world, before, _) = before_and_after_a_ban("10");
    let node = world.draft(&before, message("@alice:b", "m.x", "{}"));
    let late = Node::new(node.num, node.pdu.clone(), &world.slots, vec![node.num], false);
    assert_eq!(late.unwrap_err().code(), Code::StoreDamaged);
    let unheld = world.draft(&before, member("@creator:a", "@nobody:c", "invite"));
    let slots = &roomlet_room::Slots::new();
    assert_eq!(
        Node::new(unheld.num, unheld.pdu, slots, vec![], false)
            .unwrap_err()
            .code(),
        Code::StoreDamaged
    );
}

/// What AUTH-3 says of a message by Alice that cites these events.
fn auth_events(world: &mut World, at: &Branch, cited: &[EventNum]) -> Result<(), Denied> {
    let node = world.draft(at, message("@alice:b", "m.x", "{}").citing(cited));
    let auth: Vec<Arc<Node>> = node
        .auth
        .iter()
        .map(|num| world.nodes[num.0 as usize].clone())
        .collect();
    auth::check_auth_events(&node, &auth)
}

#[test]
fn auth_events_name_what_is_needed_once_and_nothing_else() {
    let (mut world, before, _) = before_and_after_a_ban("10");
    let held = |world: &World, kind, key| world.held(&before.state, kind, key).unwrap();
    let create = held(&world, "m.room.create", "");
    let levels = held(&world, "m.room.power_levels", "");
    let alice = held(&world, "m.room.member", "@alice:b");
    let rules = held(&world, "m.room.join_rules", "");
    let id = |world: &World, num| world.id(num);

    assert_eq!(auth_events(&mut world, &before, &[create, levels, alice]), Ok(()));
    assert_eq!(auth_events(&mut world, &before, &[alice, create]), Ok(()));
    assert_eq!(
        auth_events(&mut world, &before, &[levels, alice]),
        Err(Denied::NoCreate)
    );
    let unneeded = Denied::UnneededAuthEvent {
        id: id(&world, rules),
    };
    assert_eq!(
        auth_events(&mut world, &before, &[create, rules, alice]),
        Err(unneeded)
    );
    let twice = Denied::DuplicateAuthEvent {
        id: id(&world, alice),
    };
    assert_eq!(
        auth_events(&mut world, &before, &[create, alice, alice]),
        Err(twice)
    );

    let second = world.add(&before, member("@alice:b", "@alice:b", "join"));
    let two = Denied::DuplicateAuthEvent {
        id: id(&world, second),
    };
    assert_eq!(
        auth_events(&mut world, &before, &[create, alice, second]),
        Err(two)
    );
    let text = world.add(&before, message("@alice:b", "m.x", "{}"));
    let no_state = Denied::UnneededAuthEvent { id: id(&world, text) };
    assert_eq!(
        auth_events(&mut world, &before, &[create, alice, text]),
        Err(no_state)
    );

    let mut refused = world.draft(&before, member("@alice:b", "@alice:b", "join").at(7));
    refused.rejected = true;
    let refused = world.hold(refused);
    let rejected = Denied::RejectedAuthEvent {
        id: id(&world, refused),
    };
    assert_eq!(
        auth_events(&mut world, &before, &[create, refused]),
        Err(rejected)
    );

    let mut elsewhere = member("@alice:b", "@alice:b", "join");
    elsewhere.room = Some(RoomId::parse("!other:a").unwrap());
    let elsewhere = world.add(&before, elsewhere);
    let foreign = Denied::ForeignAuthEvent {
        id: id(&world, elsewhere),
    };
    assert_eq!(
        auth_events(&mut world, &before, &[create, elsewhere]),
        Err(foreign)
    );
}

#[test]
fn an_auth_chain_holds_ancestors_and_not_the_events_themselves() {
    let (world, before, after) = before_and_after_a_ban("10");
    let held = |at: &Branch, kind, key| world.held(&at.state, kind, key).unwrap();
    let create = held(&before, "m.room.create", "");
    let creator = held(&before, "m.room.member", "@creator:a");
    let levels = held(&before, "m.room.power_levels", "");
    let rules = held(&before, "m.room.join_rules", "");
    let (joined, banned) = (
        held(&before, "m.room.member", "@alice:b"),
        held(&after, "m.room.member", "@alice:b"),
    );
    let chain = |roots: &[EventNum]| graph::auth_chain(roots.iter().copied(), &world).unwrap();
    assert_eq!(chain(&[create]), []);
    assert_eq!(chain(&[rules]), [create, creator, levels]);
    assert_eq!(chain(&[banned]), [create, creator, levels, rules, joined]);
    assert_eq!(chain(&[rules, levels]), [create, creator, levels]);
}

#[test]
fn auth_events_of_version_12_do_not_name_the_create_event() {
    let (mut world, before, _) = before_and_after_a_ban("12");
    let alice = world.held(&before.state, "m.room.member", "@alice:b").unwrap();
    assert_eq!(auth_events(&mut world, &before, &[alice]), Ok(()));
    let node = world.draft(
        &before,
        message("@alice:b", "m.x", "{}").citing(&[EventNum(0), alice]),
    );
    let auth = [EventNum(0), alice].map(|num| world.nodes[num.0 as usize].clone());
    assert_eq!(
        auth::check_auth_events(&node, &auth),
        Err(Denied::CreateAsAuthEvent)
    );
}

/// Version, type, state key, content; what is selected, without `m.room.`.
type Case = (
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static [&'static str],
);

#[test]
fn selection_follows_the_type_and_the_membership() {
    let third_party = r#"{"membership":"invite","third_party_invite":{"signed":{"token":"tok"}}}"#;
    let authorised = r#"{"membership":"join","join_authorised_via_users_server":"@mod:a"}"#;
    let cases: &[Case] = &[
        ("10", "m.room.create", Some(""), "{}", &[]),
        (
            "10",
            "m.x",
            None,
            "{}",
            &["create|", "power_levels|", "member|@a:b"],
        ),
        ("12", "m.x", None, "{}", &["power_levels|", "member|@a:b"]),
        (
            "10",
            "m.room.member",
            Some("@a:b"),
            r#"{"membership":"join"}"#,
            &["create|", "power_levels|", "member|@a:b", "join_rules|"],
        ),
        (
            "10",
            "m.room.member",
            Some("@c:d"),
            r#"{"membership":"ban"}"#,
            &["create|", "power_levels|", "member|@a:b", "member|@c:d"],
        ),
        (
            "10",
            "m.room.member",
            Some("@c:d"),
            r#"{"membership":"leave"}"#,
            &["create|", "power_levels|", "member|@a:b", "member|@c:d"],
        ),
        (
            "10",
            "m.room.member",
            Some("@a:b"),
            r#"{"membership":"knock"}"#,
            &["create|", "power_levels|", "member|@a:b", "join_rules|"],
        ),
        (
            "10",
            "m.room.member",
            Some("@c:d"),
            third_party,
            &[
                "create|",
                "power_levels|",
                "member|@a:b",
                "member|@c:d",
                "join_rules|",
                "third_party_invite|tok",
            ],
        ),
        (
            "8",
            "m.room.member",
            Some("@a:b"),
            authorised,
            &[
                "create|",
                "power_levels|",
                "member|@a:b",
                "join_rules|",
                "member|@mod:a",
            ],
        ),
        (
            "7",
            "m.room.member",
            Some("@a:b"),
            authorised,
            &["create|", "power_levels|", "member|@a:b", "join_rules|"],
        ),
    ];
    for (id, kind, key, content, expected) in cases {
        let content = json::parse_object(content.as_bytes()).unwrap();
        let found: Vec<String> = auth::select(version(id), kind, "@a:b", *key, &content)
            .into_iter()
            .map(|(kind, key)| format!("{}|{key}", kind.strip_prefix("m.room.").unwrap()))
            .collect();
        assert_eq!(found, *expected, "{id} {kind} {key:?} {content:?}");
    }
}

#[test]
fn the_message_of_a_denial_begins_with_its_rule() {
    let denied = Denied::CannotInvite {
        membership: Membership::Ban,
    };
    assert_eq!(denied.to_string(), "AUTH-10: cannot invite with membership ban");
    assert_eq!(roomlet_wire::Error::from(denied).code(), Code::Denied);
}
