//! Authorization and state resolution in a small room.

use crate::{graph::Graph, recipe::Choices, versioned};
use roomlet_room::{Levels, StateMap, auth, graph::auth_chain};
use roomlet_wire::EventNum;

/// Every event gets a verdict; the states of all branches resolve to the same state in whatever order and however
/// often they are given; what is in it has the slot that it holds and comes from the branches or their auth chains.
///
/// # Panics
/// If not.
pub fn room(data: &[u8]) {
    let Some((version, bytes)) = versioned(data) else {
        return;
    };
    let graph = Graph::grow(version, &mut Choices::new(bytes));
    let mut sets: Vec<StateMap> = graph.branches.iter().map(|branch| branch.state.clone()).collect();
    let resolved = graph.resolve(&sets);
    sets.reverse();
    assert_eq!(graph.named(&graph.resolve(&sets)), graph.named(&resolved));
    sets.rotate_left(1);
    sets.push(sets[0].clone());
    assert_eq!(graph.named(&graph.resolve(&sets)), graph.named(&resolved));
    assert!(graph.resolve(&[resolved.clone(), resolved.clone()]) == resolved);

    let held: Vec<EventNum> = sets
        .iter()
        .flat_map(|set| set.iter().map(|(_, num)| num))
        .collect();
    let chain = auth_chain(held.iter().copied(), &graph).expect("every event is held");
    for (slot, num) in resolved.iter() {
        let node = &graph.nodes[num.0 as usize];
        assert_eq!(node.slot, Some(slot));
        assert!(
            held.contains(&num) || chain.contains(&num),
            "{node:?} came from nowhere"
        );
    }
    for node in &graph.nodes {
        let state = auth::load(node, &resolved, &graph, &graph.slots).expect("every event is held");
        let held = |kind| resolved.get(graph.slots.get(kind, "")?);
        let held = |kind| held(kind).map(|num| &*graph.nodes[num.0 as usize]);
        let levels = Levels::new(held("m.room.create"), held("m.room.power_levels"));
        // Verdicts are a function: asking twice gives the same.
        assert_eq!(auth::check(node, &state), auth::check(node, &state));
        for other in &graph.nodes {
            let own = node.pdu.origin() == other.pdu.origin() && node.pdu.room_id == other.pdu.room_id;
            assert!(auth::may_redact(&node.pdu, &other.pdu, levels) || !own);
        }
    }
}
