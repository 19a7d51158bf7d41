//! Random histories: the state that branches resolve to does not depend on how they came here (SR-14, EC-7).

#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

mod support;

use roomlet_room::{
    Node, Slots, Source, StateMap,
    resolve::{Resolver, resolve},
};
use roomlet_wire::{EventId, EventNum, Result, RoomVersion};
use std::{cell::Cell, collections::BTreeMap, sync::Arc};
use support::{Branch, Spec, World, member, state_event};

/// The same numbers on each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

const USERS: [&str; 5] = ["@creator:a", "@admin:b", "@mod:a", "@alice:b", "@bob:c"];

/// Something that a user might do, allowed or not. Timestamps clash often.
fn deed(random: &mut Random) -> Spec {
    let (sender, target) = (random.pick(&USERS), random.pick(&USERS));
    let level = random.pick(&["0", "20", "50", "100"]);
    let spec = match random.below(10) {
        0 | 1 => member(sender, target, random.pick(&["ban", "leave", "invite"])),
        2 | 3 => member(sender, sender, random.pick(&["join", "join", "leave", "knock"])),
        4 | 5 => {
            let users = format!(
                r#"{{"users":{{"@creator:a":100,"@admin:b":100,"@mod:a":50,"{target}":{level}}},"kick":{}}}"#,
                random.pick(&["20", "50"])
            );
            state_event(sender, "m.room.power_levels", "", &users)
        }
        6 => {
            let rule = random.pick(&["public", "invite", "knock"]);
            state_event(
                sender,
                "m.room.join_rules",
                "",
                &format!(r#"{{"join_rule":"{rule}"}}"#),
            )
        }
        _ => state_event(sender, random.pick(&["m.room.topic", "m.room.name"]), "", "{}"),
    };
    spec.at(2000 + random.below(6) as i64)
}

/// A room that forks and merges at random; the ends of its branches.
fn history(version: &str, seed: u64) -> (World, Vec<Branch>) {
    let mut random = Random(seed);
    let (mut world, base) = World::room(
        version,
        r#"{"@creator:a":100,"@admin:b":100,"@mod:a":50}"#,
        "public",
    );
    let mut base = base;
    for user in &USERS[1..4] {
        world.send(&mut base, member(user, user, "join"));
    }
    let mut branches = vec![base.clone(), base.clone(), base];
    for _ in 0..45 {
        let i = random.below(branches.len());
        let mut branch = branches[i].clone();
        if random.below(12) == 0 {
            let other = &branches[random.below(3)];
            let sets = [branch.state.clone(), other.state.clone()];
            branch.state = resolve(world.version, &sets, &world, &world.slots).unwrap();
        }
        let spec = deed(&mut random);
        if world.verdict(&branch, spec.clone()) == "allow" {
            world.send(&mut branch, spec);
            branches[i] = branch;
        }
    }
    (world, branches)
}

/// The same events on another server: they came in another order, so that all numbers are others.
struct Elsewhere {
    slots: Slots,
    nodes: Vec<Arc<Node>>,
    nums: BTreeMap<EventId, EventNum>,
}

impl Source for Elsewhere {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        Ok(self.nodes[num.0 as usize].clone())
    }
}

impl Elsewhere {
    fn new(world: &World, random: &mut Random) -> Self {
        let mut there = Self {
            slots: Slots::new(),
            nodes: Vec::new(),
            nums: BTreeMap::new(),
        };
        let mut waiting: Vec<&Arc<Node>> = world.nodes.iter().collect();
        while !waiting.is_empty() {
            random.shuffle(&mut waiting);
            let known = |node: &Node| {
                node.auth
                    .iter()
                    .all(|num| there.nums.contains_key(&world.id(*num)))
            };
            let next = waiting.iter().position(|node| known(node)).unwrap();
            let node = waiting.remove(next);
            let num = EventNum(there.nodes.len() as u32);
            let auth = node
                .auth
                .iter()
                .map(|num| there.nums[&world.id(*num)])
                .collect::<Vec<_>>();
            if let Some(key) = node.pdu.state_key.as_deref() {
                there.slots.intern(&node.pdu.kind, key);
            }
            there.nums.insert(node.pdu.id.clone(), num);
            there.nodes.push(Arc::new(
                Node::new(num, node.pdu.clone(), &there.slots, auth, false).unwrap(),
            ));
        }
        there
    }

    fn state(&self, world: &World, state: &StateMap) -> StateMap {
        let here = |num: EventNum| self.nums[&world.id(num)];
        state
            .iter()
            .map(|(_, num)| (self.nodes[here(num).0 as usize].slot.unwrap(), here(num)))
            .collect()
    }
}

fn ids(version: &'static RoomVersion, sets: &[StateMap], source: &dyn Source, slots: &Slots) -> Vec<EventId> {
    let state = resolve(version, sets, source, slots).unwrap();
    let mut ids: Vec<EventId> = state
        .iter()
        .map(|(_, num)| source.node(num).unwrap().pdu.id.clone())
        .collect();
    ids.sort();
    ids
}

#[test]
fn the_resolved_state_depends_on_neither_arrival_nor_numbering() {
    let mut conflicts = 0;
    for version in ["10", "11", "12", "I.1"] {
        for seed in 0..40 {
            let (world, branches) = history(version, seed);
            let mut random = Random(seed ^ 0xABCD);
            let sets: Vec<StateMap> = branches.iter().map(|branch| branch.state.clone()).collect();
            let expected = ids(world.version, &sets, &world, &world.slots);
            for _ in 0..3 {
                let there = Elsewhere::new(&world, &mut random);
                let mut sets: Vec<StateMap> = sets.iter().map(|set| there.state(&world, set)).collect();
                random.shuffle(&mut sets);
                assert_eq!(
                    ids(world.version, &sets, &there, &there.slots),
                    expected,
                    "{version}, seed {seed}"
                );
            }
            conflicts += usize::from(sets[0] != sets[1] && sets[1] != sets[2]);
        }
    }
    assert!(conflicts > 120, "too few histories have conflicts: {conflicts}");
}

#[test]
fn what_all_branches_agree_on_stays() {
    for version in ["10", "12", "I.1"] {
        for seed in 100..130 {
            let (world, branches) = history(version, seed);
            let sets: Vec<StateMap> = branches.iter().map(|branch| branch.state.clone()).collect();
            let state = resolve(world.version, &sets, &world, &world.slots).unwrap();
            for (slot, event) in &sets[0] {
                if sets.iter().all(|set| set.get(slot) == Some(event)) {
                    assert_eq!(state.get(slot), Some(event), "{version}, seed {seed}");
                }
            }
            for (slot, event) in &state {
                assert_eq!(
                    world.nodes[event.0 as usize].slot,
                    Some(slot),
                    "{version}, seed {seed}"
                );
            }
        }
    }
}

/// A world that counts how often it is asked.
struct Counted<'a> {
    world: &'a World,
    asked: Cell<usize>,
}

impl Source for Counted<'_> {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        self.asked.set(self.asked.get() + 1);
        self.world.node(num)
    }
}

/// What mostly happens in a room that is split: settings, names, people who come and go; and now and then power.
fn small_deed(random: &mut Random) -> Spec {
    let sender = random.pick(&USERS);
    let at = 2000 + random.below(60) as i64;
    match random.below(8) {
        0 => deed(random),
        1 | 2 => member(sender, sender, random.pick(&["join", "join", "leave"])).at(at),
        3 => member(sender, random.pick(&["@new1:a", "@new2:b", "@bob:c"]), "invite").at(at),
        4 => {
            let new = random.pick(&["@new1:a", "@new2:b", "@new3:c"]);
            member(new, new, random.pick(&["join", "join", "leave"])).at(at)
        }
        _ => {
            let kind = random.pick(&["m.room.topic", "m.room.name", "x.setting"]);
            state_event(sender, kind, "", "{}").at(at)
        }
    }
}

#[test]
fn a_fork_that_grew_resolves_as_if_anew() {
    for version in ["3", "10", "11", "12", "I.1"] {
        let (mut grown, mut anew) = (0, 0);
        // The last two have what is rare: a power event that reads what all branches had, and a member event that does not
        // cite the one before it.
        for seed in (0..80).chain([231, 1065]) {
            let (mut world, mut branches) = history(version, seed);
            let mut random = Random(seed ^ 0x6789);
            let count = 2 + random.below(2);
            let mut resolver = Resolver::new(0);
            for step in 0..40 {
                let mut spec = small_deed(&mut random);
                let branch = random.below(count);
                if random.below(3) == 0 {
                    // What an event does not cite is no longer behind it.
                    let mut auth = world.draft(&branches[branch], spec.clone()).auth.to_vec();
                    auth.retain(|num| *num != EventNum(0) || !world.version.room_id_is_create_hash);
                    auth.swap_remove(random.below(auth.len()));
                    spec = spec.citing(&auth);
                }
                if world.verdict(&branches[branch], spec.clone()) != "allow" {
                    continue;
                }
                let mut at = branches[branch].clone();
                world.send(&mut at, spec);
                branches[branch] = at;
                let mut sets: Vec<StateMap> = branches[..count].iter().map(|it| it.state.clone()).collect();
                random.shuffle(&mut sets);
                let counted = Counted {
                    world: &world,
                    asked: Cell::new(0),
                };
                let state = resolver
                    .resolve(world.version, &sets, &counted, &world.slots)
                    .unwrap();
                let asked = counted.asked.replace(0);
                let expected = resolve(world.version, &sets, &counted, &world.slots).unwrap();
                assert_eq!(state, expected, "{version}, seed {seed}, step {step}");
                match asked < counted.asked.get() {
                    true => grown += 1,
                    false => anew += 1,
                }
            }
        }
        assert!(3 * grown > anew, "{version}: {grown} grown, {anew} anew");
    }
}
