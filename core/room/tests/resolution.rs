//! State resolution: what each conflict comes out as (SR-1 … SR-15).

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{StateMap, resolve::resolve};
use roomlet_wire::{Code, EventNum};
use support::{Branch, EXACT, World, member, state_event};

const USERS: &str = r#"{"@creator:a":100,"@admin:b":100,"@mod:a":50,"@alice:b":50}"#;

fn room(version: &str) -> (World, Branch) {
    let (mut world, mut at) = World::room(version, USERS, "public");
    for user in ["@admin:b", "@mod:a", "@alice:b"] {
        world.send(&mut at, member(user, user, "join"));
    }
    world.send(
        &mut at,
        state_event("@creator:a", "m.room.topic", "", r#"{"topic":"first"}"#),
    );
    (world, at)
}

fn merge(world: &World, branches: &[&Branch]) -> StateMap {
    let mut sets: Vec<StateMap> = branches.iter().map(|branch| branch.state.clone()).collect();
    let merged = resolve(world.version, &sets, world, &world.slots).unwrap();
    sets.reverse();
    sets.push(sets[0].clone());
    assert_eq!(
        resolve(world.version, &sets, world, &world.slots).unwrap(),
        merged,
        "depends on the order"
    );
    merged
}

fn topic(text: &str) -> String {
    format!(r#"{{"topic":"{text}"}}"#)
}

fn levels(users: &str) -> String {
    format!(r#"{{"users":{users}}}"#)
}

#[test]
fn one_state_resolves_to_itself_and_none_to_nothing() {
    let (world, at) = room("10");
    assert_eq!(merge(&world, &[&at]), at.state);
    assert_eq!(merge(&world, &[&at, &at, &at]), at.state);
    assert_eq!(
        resolve(world.version, &[], &world, &world.slots).unwrap(),
        StateMap::new()
    );
}

#[test]
fn an_older_state_loses_to_the_one_made_from_it() {
    for version in EXACT {
        let (mut world, a) = room(version);
        let mut b = a.clone();
        world.send(
            &mut b,
            state_event("@creator:a", "m.room.topic", "", &topic("second")),
        );
        world.send(&mut b, member("@new:c", "@new:c", "join"));
        world.send(
            &mut b,
            state_event(
                "@creator:a",
                "m.room.power_levels",
                "",
                &levels(r#"{"@creator:a":100,"@admin:b":100}"#),
            ),
        );
        assert_eq!(merge(&world, &[&a, &b]), b.state, "{version}");
    }
}

#[test]
fn separate_changes_are_both_kept() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base);
        let name = world.send(&mut a, state_event("@mod:a", "m.room.name", "", "{}"));
        let new = world.send(&mut b, member("@new:c", "@new:c", "join"));
        let merged = merge(&world, &[&a, &b]);
        assert_eq!(world.held(&merged, "m.room.name", ""), Some(name));
        assert_eq!(world.held(&merged, "m.room.member", "@new:c"), Some(new));
        assert_eq!(merged.len(), a.state.len() + 1);
    }
}

#[test]
fn a_ban_undoes_the_topic_that_was_set_beside_it() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base.clone());
        let ban = world.send(&mut a, member("@mod:a", "@new:c", "ban"));
        world.send(
            &mut a,
            state_event(
                "@creator:a",
                "m.room.power_levels",
                "",
                &levels(r#"{"@creator:a":100,"@admin:b":100,"@mod:a":50}"#),
            ),
        );
        let ban_alice = world.send(&mut a, member("@creator:a", "@alice:b", "ban"));
        world.send(
            &mut b,
            state_event("@alice:b", "m.room.topic", "", &topic("second")),
        );
        let merged = merge(&world, &[&a, &b]);
        let first = world.held(&base.state, "m.room.topic", "");
        assert_eq!(world.held(&merged, "m.room.topic", ""), first, "{version}");
        assert_eq!(world.held(&merged, "m.room.member", "@alice:b"), Some(ban_alice));
        assert_eq!(world.held(&merged, "m.room.member", "@new:c"), Some(ban));
    }
}

#[test]
fn a_kick_undoes_the_topic_that_was_set_before_it_on_another_branch() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base.clone());
        let kick = world.send(&mut a, member("@creator:a", "@alice:b", "leave").at(2_000_000));
        let second = state_event("@alice:b", "m.room.topic", "", &topic("second"));
        world.send(&mut b, second.at(1_000_000));
        let merged = merge(&world, &[&a, &b]);
        // The kick is a power event, and so comes first, whatever its time.
        let first = world.held(&base.state, "m.room.topic", "");
        assert_eq!(world.held(&merged, "m.room.topic", ""), first, "{version}");
        assert_eq!(
            world.held(&merged, "m.room.member", "@alice:b"),
            Some(kick),
            "{version}"
        );
    }
}

#[test]
fn who_leaves_keeps_the_topic_that_was_set_before_on_another_branch() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base);
        let leave = world.send(&mut a, member("@alice:b", "@alice:b", "leave").at(2_000_000));
        let second = state_event("@alice:b", "m.room.topic", "", &topic("second"));
        let second = world.send(&mut b, second.at(1_000_000));
        let merged = merge(&world, &[&a, &b]);
        // Leaving is no power event: the earlier comes first.
        assert_eq!(world.held(&merged, "m.room.topic", ""), Some(second), "{version}");
        assert_eq!(
            world.held(&merged, "m.room.member", "@alice:b"),
            Some(leave),
            "{version}"
        );
    }
}

#[test]
fn what_lies_between_conflicted_events_is_replayed_in_version_12() {
    let (mut world, mut base) = World::room("12", "{}", "public");
    world.send(&mut base, member("@mod:a", "@mod:a", "join"));
    let first = world.held(&base.state, "m.room.power_levels", "").unwrap();
    let power = |sender: &str, users: &str| {
        let content = format!(r#"{{"users":{users}}}"#);
        state_event(sender, "m.room.power_levels", "", &content)
    };
    world.send(&mut base, power("@creator:a", r#"{"@mod:a":100}"#));
    // All states have it, so that the second power levels are in all auth chains, and in no difference.
    world.send(
        &mut base,
        state_event("@mod:a", "m.room.topic", "", &topic("second")),
    );
    let mut a = base.clone();
    let third = world.send(&mut a, power("@mod:a", r#"{"@mod:a":100,"@x:b":50}"#));
    let mut b = base;
    let slot = world.slots.get("m.room.power_levels", "").unwrap();
    b.state.insert(slot, first);
    let merged = merge(&world, &[&a, &b]);
    assert_eq!(world.held(&merged, "m.room.power_levels", ""), Some(third));
}

#[test]
fn a_rejected_auth_event_stands_for_nothing() {
    for (version, rejected) in EXACT
        .into_iter()
        .flat_map(|version| [(version, true), (version, false)])
    {
        let users = r#"{"@creator:a":100,"@new:c":50}"#;
        let (mut world, mut base) = World::room(version, users, "invite");
        let first = state_event("@creator:a", "m.room.topic", "", &topic("first"));
        let first = world.send(&mut base, first);
        let (pdu, auth) = world.sign(&base, &member("@new:c", "@new:c", "join"));
        let join = world.node_of(pdu, auth, rejected);
        let join_num = join.num;
        world.nodes.push(std::sync::Arc::new(join));
        let held = |kind| world.held(&base.state, kind, "").unwrap();
        let cited = [held("m.room.create"), held("m.room.power_levels"), join_num];
        let mut a = base.clone();
        let second = state_event("@new:c", "m.room.topic", "", &topic("second"));
        let second = world.send(&mut a, second.citing(&cited).at(2_000_000));
        let merged = merge(&world, &[&a, &base]);
        let winner = if rejected { first } else { second };
        let held = world.held(&merged, "m.room.topic", "");
        assert_eq!(held, Some(winner), "{version}, rejected: {rejected}");
    }
}

#[test]
fn a_ban_wins_over_a_join_beside_it() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base);
        let ban = world.send(&mut a, member("@mod:a", "@new:c", "ban"));
        world.send(&mut b, member("@new:c", "@new:c", "join").at(1_000_000));
        let merged = merge(&world, &[&a, &b]);
        assert_eq!(
            world.held(&merged, "m.room.member", "@new:c"),
            Some(ban),
            "{version}"
        );
    }
}

#[test]
fn a_join_beside_the_closing_of_the_room_is_undone() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base);
        let rule = state_event("@creator:a", "m.room.join_rules", "", r#"{"join_rule":"invite"}"#);
        let rule = world.send(&mut a, rule);
        world.send(&mut b, member("@new:c", "@new:c", "join"));
        let merged = merge(&world, &[&a, &b]);
        assert_eq!(
            world.held(&merged, "m.room.join_rules", ""),
            Some(rule),
            "{version}"
        );
        assert_eq!(world.held(&merged, "m.room.member", "@new:c"), None, "{version}");
    }
}

#[test]
fn a_demotion_undoes_the_power_levels_that_the_demoted_sent_beside_it() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base);
        let demoted = USERS.replace(r#""@mod:a":50"#, r#""@mod:a":0"#);
        let raised = USERS.replace('}', r#","@friend:c":50}"#);
        let demotion = state_event("@creator:a", "m.room.power_levels", "", &levels(&demoted)).at(2_000_000);
        let demotion = world.send(&mut a, demotion);
        world.send(
            &mut b,
            state_event("@mod:a", "m.room.power_levels", "", &levels(&raised)),
        );
        let merged = merge(&world, &[&a, &b]);
        assert_eq!(
            world.held(&merged, "m.room.power_levels", ""),
            Some(demotion),
            "{version}"
        );
    }
}

/// Two events for one slot, sent beside each other with these timestamps; which of them holds it then.
fn fight(
    version: &str,
    kind: &str,
    senders: [&str; 2],
    contents: [&str; 2],
    ts: [i64; 2],
) -> (World, [EventNum; 2], Option<EventNum>) {
    let (mut world, base) = room(version);
    let (mut a, mut b) = (base.clone(), base);
    let first = world.send(&mut a, state_event(senders[0], kind, "", contents[0]).at(ts[0]));
    let second = world.send(&mut b, state_event(senders[1], kind, "", contents[1]).at(ts[1]));
    let merged = merge(&world, &[&a, &b]);
    let winner = world.held(&merged, kind, "");
    (world, [first, second], winner)
}

#[test]
fn of_equals_the_later_timestamp_wins_then_the_greater_id() {
    let more = |ban: u8| format!(r#"{{"users":{USERS},"ban":{ban}}}"#);
    let contents = [more(60), more(70)];
    let contents = [contents[0].as_str(), contents[1].as_str()];
    for version in EXACT {
        for kind in ["m.room.power_levels", "m.room.topic"] {
            let admins = ["@creator:a", "@admin:b"];
            let (_, events, winner) = fight(version, kind, admins, contents, [5000, 6000]);
            assert_eq!(winner, Some(events[1]), "{version} {kind}");
            let (_, events, winner) = fight(version, kind, admins, contents, [6000, 5000]);
            assert_eq!(winner, Some(events[0]), "{version} {kind}");
            let (world, events, winner) = fight(version, kind, admins, contents, [5000, 5000]);
            let greater = events.into_iter().max_by_key(|num| world.id(*num));
            assert_eq!(winner, greater, "{version} {kind}");
        }
    }
}

#[test]
fn among_power_events_the_weaker_sender_comes_last_whatever_the_clock_says() {
    // Both are allowed after each other, so the last one stays.
    let contents = [
        format!(r#"{{"users":{USERS},"events":{{"m.x":40}}}}"#),
        format!(r#"{{"users":{USERS},"events":{{"m.y":40}}}}"#),
    ];
    let contents = [contents[0].as_str(), contents[1].as_str()];
    for ts in [[5000, 6000], [6000, 5000]] {
        let (_, events, winner) = fight(
            "10",
            "m.room.power_levels",
            ["@creator:a", "@mod:a"],
            contents,
            ts,
        );
        assert_eq!(winner, Some(events[1]), "{ts:?}");
    }
}

#[test]
fn an_event_under_newer_power_levels_wins_over_a_later_one_under_older() {
    for version in EXACT {
        let (mut world, base) = room(version);
        let (mut a, mut b) = (base.clone(), base);
        world.send(
            &mut a,
            state_event("@creator:a", "m.room.power_levels", "", &levels(USERS)),
        );
        let newer = world.send(
            &mut a,
            state_event("@mod:a", "m.room.topic", "", &topic("a")).at(5000),
        );
        world.send(
            &mut b,
            state_event("@mod:a", "m.room.topic", "", &topic("b")).at(9000),
        );
        let merged = merge(&world, &[&a, &b]);
        assert_eq!(world.held(&merged, "m.room.topic", ""), Some(newer), "{version}");
    }
}

#[test]
fn events_under_shared_power_levels_are_sorted_by_time_in_version_12() {
    // SR-5: as the power levels are in both states, they are in no auth difference; nothing is on a mainline.
    let (mut world, base) = room("12");
    let old = base.clone();
    let mut at = base;
    let levels = levels(r#"{"@admin:b":100,"@mod:a":50,"@alice:b":50}"#);
    let levels = world.send(
        &mut at,
        state_event("@creator:a", "m.room.power_levels", "", &levels),
    );
    let (mut a, mut b) = (at.clone(), at);
    world.send(
        &mut a,
        state_event("@mod:a", "m.room.topic", "", &topic("a")).at(5000),
    );
    let later = world.add(
        &old,
        state_event("@mod:a", "m.room.topic", "", &topic("b")).at(9000),
    );
    let slot = world.slots.get("m.room.topic", "").unwrap();
    b.state.insert(slot, later);
    let merged = merge(&world, &[&a, &b]);
    assert_eq!(world.held(&merged, "m.room.topic", ""), Some(later));
    assert_eq!(world.held(&merged, "m.room.power_levels", ""), Some(levels));
}

#[test]
fn power_levels_missing_from_one_state_are_replayed_in_version_12() {
    let (mut world, base) = room("12");
    let (mut a, mut b) = (base.clone(), base);
    let users = r#"{"@admin:b":100,"@mod:a":0}"#;
    let demotion = world.send(
        &mut a,
        state_event("@creator:a", "m.room.power_levels", "", &levels(users)),
    );
    let name = world.send(&mut b, state_event("@mod:a", "m.room.name", "", "{}"));
    let merged = merge(&world, &[&a, &b]);
    assert_eq!(world.held(&merged, "m.room.power_levels", ""), Some(demotion));
    assert_ne!(world.held(&merged, "m.room.name", ""), Some(name));
}

#[test]
fn a_rejected_event_helps_nobody_as_an_auth_event() {
    let (mut world, base) = room("10");
    let (a, mut b) = (base.clone(), base.clone());
    // Mod's rejected power levels would let Bob set the name.
    let mut raised = world.draft(
        &base,
        state_event("@mod:a", "m.room.power_levels", "", &levels(r#"{"@bob:b":100}"#)),
    );
    raised.rejected = true;
    let raised = world.hold(raised);
    let joined = world.send(&mut b, member("@bob:b", "@bob:b", "join"));
    let create = world.held(&base.state, "m.room.create", "").unwrap();
    let name = state_event("@bob:b", "m.room.name", "", "{}").citing(&[create, raised, joined]);
    world.send(&mut b, name);
    let merged = merge(&world, &[&a, &b]);
    assert_eq!(world.held(&merged, "m.room.name", ""), None);
    assert_eq!(world.held(&merged, "m.room.member", "@bob:b"), Some(joined));
}

#[test]
fn a_missing_auth_event_is_an_error() {
    let (mut world, a) = room("10");
    let mut b = a.clone();
    let num = world.send(&mut b, state_event("@mod:a", "m.room.topic", "", "{}"));
    let mut b = b.state;
    b.insert(world.slots.get("m.room.topic", "").unwrap(), EventNum(num.0 + 7));
    let missing = resolve(world.version, &[a.state, b], &world, &world.slots).unwrap_err();
    assert_eq!(missing.code(), Code::UnknownEvent);
}
