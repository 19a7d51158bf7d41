//! What the states disagree about: conflicted slots, auth difference, conflicted subgraph.

use crate::{node::Source, state::StateMap};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};
use roomlet_wire::{EventNum, Result, SlotNum};

/// The states of which none equals another, in the order of their first appearance (SR-1).
pub(super) fn distinct(sets: &[StateMap]) -> Vec<&StateMap> {
    let mut kept: Vec<&StateMap> = Vec::new();
    for set in sets {
        if !kept.contains(&set) {
            kept.push(set);
        }
    }
    kept
}

/// States, split into what all of them say and what not (SR-4: absence conflicts).
pub(super) struct Split {
    /// What all states have.
    pub(super) unconflicted: StateMap,
    /// For each state, its events in the conflicted slots.
    conflicted: Vec<Vec<EventNum>>,
}

impl Split {
    /// The events in conflicted slots, of all states.
    pub(super) fn conflicted_events(&self) -> BTreeSet<EventNum> {
        self.conflicted.iter().flatten().copied().collect()
    }
}

/// Splits states; costs what differs.
pub(super) fn split(first: &StateMap, others: &[&StateMap]) -> Split {
    let slots: BTreeSet<SlotNum> = others
        .iter()
        .flat_map(|set| first.diff(set))
        .map(|(slot, _, _)| slot)
        .collect();
    let mut unconflicted = first.clone();
    for slot in &slots {
        unconflicted.remove(*slot);
    }
    let events_of = |set: &StateMap| slots.iter().filter_map(|slot| set.get(*slot)).collect();
    let conflicted = [first].iter().chain(others).map(|set| events_of(set)).collect();
    Split {
        unconflicted,
        conflicted,
    }
}

/// SR-5: the events in the auth chains of some, but not of all states; a state's own events count into its
/// chains, as in Synapse.
///
/// Auth events have smaller numbers than those that cite them, so a walk from the greatest number down sees
/// each event after all that lead to it.
pub(super) fn auth_difference(split: &Split, source: &dyn Source) -> Result<BTreeSet<EventNum>> {
    let mut difference = reached_by_some(&split.conflicted, source)?;
    if let Some(least) = difference.first().copied() {
        let roots = split
            .unconflicted
            .iter()
            .map(|(_, event)| event)
            .filter(|event| *event >= least);
        remove_reached(&mut difference, roots.collect(), source)?;
    }
    Ok(difference)
}

/// The events that are reached from some, but not from all of the lists. Ends where all that is left to look
/// at is reached from all.
fn reached_by_some(lists: &[Vec<EventNum>], source: &dyn Source) -> Result<BTreeSet<EventNum>> {
    let all = Marks::all(lists.len());
    let mut ahead: BTreeMap<EventNum, Marks> = BTreeMap::new();
    let mut partly = BTreeSet::new();
    for (i, list) in lists.iter().enumerate() {
        for event in list {
            ahead
                .entry(*event)
                .or_insert_with(|| Marks::none(lists.len()))
                .add(i);
        }
    }
    // How many of `ahead` are not marked by all lists.
    let mut open = ahead.values().filter(|marks| **marks != all).count();
    while open > 0
        && let Some((event, marks)) = ahead.pop_last()
    {
        if marks != all {
            open -= 1;
            partly.insert(event);
        }
        for parent in &source.node(event)?.auth {
            let known = ahead.get(parent).is_some_and(|held| *held != all);
            let held = ahead.entry(*parent).or_insert_with(|| Marks::none(lists.len()));
            held.join(&marks);
            match (known, *held != all) {
                (false, true) => open += 1,
                (true, false) => open -= 1,
                _ => {}
            }
        }
    }
    Ok(partly)
}

/// Removes from `events` what is reached from `roots`, looking at no event below the least that is left.
fn remove_reached(
    events: &mut BTreeSet<EventNum>,
    roots: BTreeSet<EventNum>,
    source: &dyn Source,
) -> Result<()> {
    let mut ahead = roots;
    while let Some(least) = events.first().copied()
        && let Some(event) = ahead.pop_last()
        && event >= least
    {
        events.remove(&event);
        ahead.extend(source.node(event)?.auth.iter().filter(|parent| **parent >= least));
    }
    Ok(())
}

/// SR-13: all events on auth paths between conflicted events, both ends included.
pub(super) fn subgraph(split: &Split, source: &dyn Source) -> Result<BTreeSet<EventNum>> {
    let conflicted = split.conflicted_events();
    let Some(least) = conflicted.first().copied() else {
        return Ok(conflicted);
    };
    let mut parents: BTreeMap<EventNum, Vec<EventNum>> = BTreeMap::new();
    let mut ahead = conflicted.clone();
    while let Some(event) = ahead.pop_last() {
        let above = source
            .node(event)?
            .auth
            .iter()
            .copied()
            .filter(|parent| *parent >= least)
            .collect::<Vec<_>>();
        ahead.extend(&above);
        parents.insert(event, above);
    }
    // Ascending: each event's parents are decided before it.
    let mut on_paths = conflicted;
    for (event, parents) in &parents {
        if parents.iter().any(|parent| on_paths.contains(parent)) {
            on_paths.insert(*event);
        }
    }
    Ok(on_paths)
}

/// A set of small numbers: which states reach an event.
#[derive(Clone, PartialEq, Eq)]
struct Marks(Vec<u64>);

impl Marks {
    fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn all(len: usize) -> Self {
        let mut marks = Self::none(len);
        (0..len).for_each(|i| marks.add(i));
        marks
    }

    fn add(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    fn join(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use alloc::sync::Arc;
    use roomlet_wire::{Pdu, Verified, version::TABLE};

    /// Events of which only the auth edges matter.
    struct Graph(Vec<Arc<Node>>);

    impl Source for Graph {
        fn node(&self, num: EventNum) -> Result<Arc<Node>> {
            Ok(self.0[num.0 as usize].clone())
        }
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as u32 % limit
        }
    }

    fn any_event() -> Pdu<Verified> {
        let json = r#"{"room_id":"!r:a","sender":"@a:a","type":"m.x","content":{},"prev_events":[],"auth_events":[],
            "depth":1,"origin_server_ts":1,"signatures":{},
            "hashes":{"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}"#;
        let version = TABLE.iter().find(|version| version.id == "10").unwrap();
        Pdu::from_store(json.as_bytes(), version).unwrap()
    }

    /// 40 events, each citing up to 3 of the 12 before it, and 2 to 4 states of 12 slots that share some events.
    fn random_graph(seed: u64) -> (Graph, Vec<StateMap>) {
        let mut random = Random(seed);
        let pdu = any_event();
        let mut graph = Graph(Vec::new());
        for num in 0..40u32 {
            let cited: BTreeSet<_> = (0..random.below(4).min(num))
                .map(|_| EventNum(num - 1 - random.below(num.min(12))))
                .collect();
            let node = Node::new(
                EventNum(num),
                pdu.clone(),
                None,
                cited.into_iter().collect(),
                false,
            );
            graph.0.push(Arc::new(node.unwrap()));
        }
        let base: StateMap = (0..12)
            .map(|slot| (SlotNum(slot), EventNum(random.below(40))))
            .collect();
        let mut sets = Vec::new();
        for _ in 0..2 + random.below(3) {
            let mut set = base.clone();
            for _ in 0..random.below(5) {
                let slot = SlotNum(random.below(12));
                if random.below(4) == 0 {
                    set.remove(slot);
                } else {
                    set.insert(slot, EventNum(random.below(40)));
                }
            }
            sets.push(set);
        }
        (graph, sets)
    }

    /// What is reached from `roots` against the edges, roots included.
    fn chain(graph: &Graph, roots: impl IntoIterator<Item = EventNum>) -> BTreeSet<EventNum> {
        let mut found = BTreeSet::new();
        let mut ahead: Vec<EventNum> = roots.into_iter().collect();
        while let Some(event) = ahead.pop() {
            if found.insert(event) {
                ahead.extend(&graph.0[event.0 as usize].auth);
            }
        }
        found
    }

    #[test]
    fn the_auth_difference_is_the_union_of_the_chains_without_their_intersection() {
        let mut found_some = 0;
        for seed in 0..500 {
            let (graph, sets) = random_graph(seed);
            let chains: Vec<_> = sets
                .iter()
                .map(|set| chain(&graph, set.iter().map(|(_, event)| event)))
                .collect();
            let in_all = |event: &EventNum| chains.iter().all(|chain| chain.contains(event));
            let expected: BTreeSet<EventNum> = chains
                .iter()
                .flatten()
                .copied()
                .filter(|event| !in_all(event))
                .collect();

            let others: Vec<&StateMap> = sets[1..].iter().collect();
            let split = split(&sets[0], &others);
            assert_eq!(auth_difference(&split, &graph).unwrap(), expected, "seed {seed}");
            found_some += usize::from(!expected.is_empty());
        }
        assert!(
            found_some > 250,
            "the graphs have too few conflicts: {found_some}"
        );
    }

    #[test]
    fn the_conflicted_subgraph_is_what_is_above_one_and_below_another_conflicted_event() {
        let mut longer = 0;
        for seed in 0..500 {
            let (graph, sets) = random_graph(seed);
            let others: Vec<&StateMap> = sets[1..].iter().collect();
            let split = split(&sets[0], &others);
            let conflicted = split.conflicted_events();
            let above = chain(&graph, conflicted.clone());
            let reaches = |event: &EventNum| chain(&graph, [*event]).iter().any(|e| conflicted.contains(e));
            let expected: BTreeSet<EventNum> = above.iter().copied().filter(reaches).collect();
            assert_eq!(subgraph(&split, &graph).unwrap(), expected, "seed {seed}");
            longer += usize::from(expected.len() > conflicted.len());
        }
        assert!(longer > 100, "too few subgraphs have inner events: {longer}");
    }

    #[test]
    fn a_slot_is_in_conflict_where_states_differ_or_lack_it() {
        let state = |entries: &[(u32, u32)]| -> StateMap {
            entries
                .iter()
                .map(|(slot, event)| (SlotNum(*slot), EventNum(*event)))
                .collect()
        };
        let (a, b, c) = (
            state(&[(1, 10), (2, 20), (3, 30)]),
            state(&[(1, 10), (2, 21)]),
            state(&[(1, 10), (2, 20)]),
        );
        let split = split(&a, &[&b, &c]);
        assert_eq!(split.unconflicted, state(&[(1, 10)]));
        assert_eq!(split.conflicted_events(), [20, 21, 30].map(EventNum).into());
        assert_eq!(distinct(&[a.clone(), b.clone(), a.clone(), b.clone()]), [&a, &b]);
    }
}
