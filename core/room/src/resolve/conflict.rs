//! What the states disagree about: conflicted slots, auth difference, conflicted subgraph.

use super::table::{Events, Local, LocalSet};
use crate::{node::Node, state::StateMap};
use alloc::{collections::BinaryHeap, vec, vec::Vec};
use core::cmp::Ordering;
use roomlet_wire::{EventNum, Result, SlotNum};

/// States, split into what all of them say and what not (SR-4: absence conflicts). Nothing here costs more than what
/// the states differ in.
pub(super) struct Split<'a> {
    first: &'a StateMap,
    /// The slots in conflict, ascending.
    pub(super) slots: Vec<SlotNum>,
    /// The events in those slots, of all states, ascending.
    pub(super) conflicted: Vec<EventNum>,
    /// For each of these the states that hold it.
    holders: Marks,
}

/// Sets of states, as bits: a peer can make any number of states.
struct Marks {
    states: usize,
    /// Words of 64 bits that one set takes.
    words: usize,
    /// The sets one after another.
    bits: Vec<u64>,
}

impl Marks {
    fn new(states: usize) -> Self {
        Self {
            states,
            words: states.div_ceil(64),
            bits: Vec::new(),
        }
    }

    /// The set of all states.
    fn all(&self) -> Vec<u64> {
        let mut all = vec![u64::MAX; self.words];
        if !self.states.is_multiple_of(64) {
            all[self.words - 1] = (1 << (self.states % 64)) - 1;
        }
        all
    }

    /// Makes sure that there are so many sets; new ones are empty.
    fn grow(&mut self, sets: usize) {
        self.bits.resize(self.bits.len().max(sets * self.words), 0);
    }

    fn get(&self, set: usize) -> &[u64] {
        &self.bits[set * self.words..][..self.words]
    }

    fn get_mut(&mut self, set: usize) -> &mut [u64] {
        &mut self.bits[set * self.words..][..self.words]
    }

    fn add(&mut self, set: usize, state: usize) {
        self.get_mut(set)[state / 64] |= 1 << (state % 64);
    }
}

/// Who holds an event at a conflicted slot.
enum Holders {
    One(usize),
    /// The first state, and those that do not differ from it at the slot of this place.
    First(usize),
}

impl<'a> Split<'a> {
    /// Splits states; of equal ones one counts (SR-1). `None` if no two differ.
    pub(super) fn of(first: &'a StateMap, others: &[StateMap]) -> Option<Self> {
        let mut differences: Vec<_> = others.iter().map(|other| first.diff(other)).collect();
        differences.retain(|difference| !difference.is_empty());
        differences.sort_unstable();
        differences.dedup();
        if differences.is_empty() {
            return None;
        }
        let mut slots: Vec<SlotNum> = differences.iter().flatten().map(|(slot, _, _)| *slot).collect();
        slots.sort_unstable();
        slots.dedup();

        let mut differing = Marks::new(1 + differences.len());
        differing.grow(slots.len());
        let mut held: Vec<(EventNum, Holders)> = Vec::new();
        for (state, difference) in (1..).zip(&differences) {
            let mut place = 0;
            for (slot, _, event) in difference {
                if slots[place] != *slot {
                    place += slots[place..].partition_point(|it| it < slot);
                }
                differing.add(place, state);
                held.extend(event.map(|event| (event, Holders::One(state))));
            }
        }
        for (place, slot) in slots.iter().enumerate() {
            held.extend(first.get(*slot).map(|event| (event, Holders::First(place))));
        }
        held.sort_unstable_by_key(|(event, _)| *event);

        let mut conflicted: Vec<EventNum> = Vec::with_capacity(held.len());
        let mut holders = Marks::new(differing.states);
        let all = holders.all();
        for (event, held_by) in held {
            if conflicted.last() != Some(&event) {
                conflicted.push(event);
                holders.grow(conflicted.len());
            }
            let set = conflicted.len() - 1;
            match held_by {
                Holders::One(state) => holders.add(set, state),
                Holders::First(place) => {
                    let others = differing.get(place).iter().zip(&all);
                    for (word, (differing, all)) in holders.get_mut(set).iter_mut().zip(others) {
                        *word |= all & !differing;
                    }
                }
            }
        }
        Some(Self {
            first,
            slots,
            conflicted,
            holders,
        })
    }

    /// What all states have at a slot.
    pub(super) fn unconflicted(&self, slot: SlotNum) -> Option<EventNum> {
        let event = self.first.get(slot)?;
        self.slots.binary_search(&slot).is_err().then_some(event)
    }

    /// The unconflicted events from a number on.
    fn unconflicted_from(&self, least: EventNum) -> impl Iterator<Item = EventNum> {
        let newer = self.first.iter_from(least);
        let newer = newer.filter(|(slot, _)| self.slots.binary_search(slot).is_err());
        newer.map(|(_, event)| event)
    }

    /// Whether all states hold an event.
    fn is_in_all(&self, node: &Node) -> bool {
        node.slot
            .is_some_and(|slot| self.unconflicted(slot) == Some(node.num))
    }

    /// The state that `first` becomes with `resolved` in the slots that were in conflict, and in those where it had
    /// nothing.
    pub(super) fn merged(&self, resolved: impl Iterator<Item = (u32, u32)>) -> StateMap {
        let mut values = vec![None; self.slots.len()];
        let mut state = self.first.clone();
        for (slot, event) in resolved.map(|(slot, event)| (SlotNum(slot), EventNum(event))) {
            match self.slots.binary_search(&slot) {
                Ok(place) => values[place] = Some(event),
                Err(_) if state.get(slot).is_none() => _ = state.insert(slot, event),
                Err(_) => {}
            }
        }
        for (slot, value) in self.slots.iter().zip(values) {
            match value {
                Some(event) if state.get(*slot) != value => _ = state.insert(*slot, event),
                Some(_) => {}
                None => _ = state.remove(*slot),
            }
        }
        state
    }
}

/// SR-5: the events in the auth chains of some, but not of all states, ascending; a state's own events count into its
/// chains, as in Synapse.
///
/// Auth events have smaller numbers than those that cite them, so a walk from the greatest number down sees
/// each event after all that lead to it. It ends where all that is left to look at is reached from all states, and never
/// looks at the parts of the chains that they share: no index of the chains could answer with less.
pub(super) fn auth_difference(split: &Split<'_>, events: &mut Events<'_>) -> Result<Vec<EventNum>> {
    let mut difference = Walk::new(split).run(events)?;
    if let Some(least) = difference.last().copied() {
        remove_reached(&mut difference, split.unconflicted_from(least), least, events)?;
    }
    difference.reverse();
    Ok(difference)
}

/// Finds what is reached from some states, but not from all.
struct Walk<'a, 'b> {
    split: &'b Split<'a>,
    all: Vec<u64>,
    /// From which states an event is reached, by local number.
    reached_from: Marks,
    seen: LocalSet,
    ahead: BinaryHeap<Ahead>,
    /// How many of `ahead` are not reached from all states.
    open: usize,
}

/// An event that a walk goes on from; the greatest number is next.
struct Ahead {
    num: EventNum,
    event: Local,
}

impl Ord for Ahead {
    fn cmp(&self, other: &Self) -> Ordering {
        self.num.cmp(&other.num)
    }
}
impl PartialOrd for Ahead {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Ahead {
    fn eq(&self, other: &Self) -> bool {
        self.num == other.num
    }
}
impl Eq for Ahead {}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(split: &'b Split<'a>) -> Self {
        Self {
            split,
            all: split.holders.all(),
            reached_from: Marks::new(split.holders.states),
            seen: LocalSet::default(),
            ahead: BinaryHeap::new(),
            open: 0,
        }
    }

    /// Descending.
    fn run(mut self, events: &mut Events<'_>) -> Result<Vec<EventNum>> {
        for (set, event) in self.split.conflicted.iter().enumerate() {
            let event = events.local(*event)?;
            self.reach(event, self.split.holders.get(set), events);
        }
        let mut partly = Vec::new();
        let mut marks = Vec::with_capacity(self.all.len());
        while self.open > 0
            && let Some(Ahead { num, event }) = self.ahead.pop()
        {
            marks.clear();
            marks.extend_from_slice(self.reached_from.get(event.index()));
            if !self.are_all(&marks) {
                self.open -= 1;
                partly.push(num);
            }
            events.load_auth(event)?;
            for parent in events.auth(event) {
                self.reach(*parent, &marks, events);
            }
        }
        Ok(partly)
    }

    fn reach(&mut self, event: Local, marks: &[u64], events: &Events<'_>) {
        let set = event.index();
        let is_new = self.seen.insert(event);
        if is_new {
            let num = events.node(event).num;
            self.ahead.push(Ahead { num, event });
            self.reached_from.grow(set + 1);
        }
        let was_open = !is_new && !self.are_all(self.reached_from.get(set));
        let is_in_all = is_new && self.split.is_in_all(events.node(event));
        let more = if is_in_all { &self.all } else { marks };
        for (word, more) in self.reached_from.get_mut(set).iter_mut().zip(more) {
            *word |= more;
        }
        match (was_open, !self.are_all(self.reached_from.get(set))) {
            (false, true) => self.open += 1,
            (true, false) => self.open -= 1,
            _ => {}
        }
    }

    /// Whether an event with these marks is reached from all states.
    fn are_all(&self, marks: &[u64]) -> bool {
        // Word by word: there is hardly ever more than one, which is not worth a call.
        marks.iter().zip(&self.all).all(|(held, all)| held == all)
    }
}

/// Removes from `list` what is reached from `roots`, of which none is below `least`.
fn remove_reached(
    list: &mut Vec<EventNum>,
    roots: impl Iterator<Item = EventNum>,
    least: EventNum,
    events: &mut Events<'_>,
) -> Result<()> {
    let mut ahead: Vec<EventNum> = roots.collect();
    let mut reached = LocalSet::default();
    while let Some(event) = ahead.pop() {
        let local = events.local(event)?;
        if reached.insert(local) {
            let node = events.node(local);
            ahead.extend(node.auth.iter().filter(|parent| **parent >= least));
        }
    }
    let mut kept = Vec::with_capacity(list.len());
    for event in &*list {
        if !reached.contains(events.local(*event)?) {
            kept.push(*event);
        }
    }
    *list = kept;
    Ok(())
}

/// See [`subgraph`]. Each ascending.
#[derive(Default)]
pub(super) struct Subgraph {
    pub(super) on_paths: Vec<EventNum>,
    /// All in the auth chains of conflicted events that are not older than these, with them.
    pub(super) above: Vec<EventNum>,
}

/// SR-13: all events on auth paths between conflicted events, both ends included.
pub(super) fn subgraph(split: &Split<'_>, events: &mut Events<'_>) -> Result<Subgraph> {
    let Some(least) = split.conflicted.first().copied() else {
        return Ok(Subgraph::default());
    };
    let mut seen = LocalSet::default();
    let mut above = Vec::new();
    let mut ahead = split.conflicted.clone();
    while let Some(event) = ahead.pop() {
        let local = events.local(event)?;
        if seen.insert(local) {
            above.push(event);
            ahead.extend(events.node(local).auth.iter().filter(|parent| **parent >= least));
        }
    }
    above.sort_unstable();
    let mut on_paths = LocalSet::default();
    for event in &split.conflicted {
        on_paths.insert(events.local(*event)?);
    }
    // Ascending: each event's parents are decided before it.
    let mut found = Vec::new();
    for event in &above {
        let local = events.local(*event)?;
        events.load_auth(local)?;
        if events.auth(local).iter().any(|parent| on_paths.contains(*parent)) {
            on_paths.insert(local);
        }
        if on_paths.contains(local) {
            found.push(*event);
        }
    }
    Ok(Subgraph {
        on_paths: found,
        above,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{node::Source, slot::Slots};
    use alloc::{collections::BTreeSet, sync::Arc};
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
                &Slots::new(),
                cited.into_iter().collect::<Vec<_>>(),
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

            let found = match Split::of(&sets[0], &sets[1..]) {
                Some(split) => auth_difference(&split, &mut Events::new(&graph)).unwrap(),
                None => Vec::new(),
            };
            let expected: Vec<EventNum> = expected.into_iter().collect();
            assert_eq!(found, expected, "seed {seed}");
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
            let Some(split) = Split::of(&sets[0], &sets[1..]) else {
                continue;
            };
            let conflicted: BTreeSet<EventNum> = split.conflicted.iter().copied().collect();
            let above = chain(&graph, conflicted.clone());
            let reaches = |event: &EventNum| chain(&graph, [*event]).iter().any(|e| conflicted.contains(e));
            let expected: BTreeSet<EventNum> = above.iter().copied().filter(reaches).collect();
            let expected: Vec<EventNum> = expected.into_iter().collect();
            assert_eq!(
                subgraph(&split, &mut Events::new(&graph)).unwrap().on_paths,
                expected,
                "seed {seed}"
            );
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
        let split = Split::of(&a, &[b.clone(), c.clone()]).unwrap();
        assert_eq!(split.slots, [2, 3].map(SlotNum));
        assert_eq!(split.unconflicted(SlotNum(1)), Some(EventNum(10)));
        assert_eq!(split.unconflicted(SlotNum(2)), None);
        assert_eq!(split.conflicted, [20, 21, 30].map(EventNum));
        let merged = split.merged([(2, 21), (9, 90)].into_iter());
        assert_eq!(merged, state(&[(1, 10), (2, 21), (9, 90)]));
        let twice = Split::of(&a, &[b.clone(), a.clone(), b.clone()]).unwrap();
        assert_eq!(twice.holders.states, 2);
        assert!(Split::of(&a, core::slice::from_ref(&a)).is_none());
    }
}
