//! The event graph: forward extremities, depth, auth chains (EC-1, EC-2, ID-15, FED-31, FED-40).

use crate::node::Source;
use alloc::{collections::BTreeSet, vec::Vec};
use roomlet_wire::{EventNum, Result, limits};

/// How many forward extremities a new local event cites at most. Fewer than
/// [`limits::PREV_EVENTS`], so that the state that it rests on stays cheap to resolve (EC-2; Synapse's number).
pub const NEW_EVENT_PREVS: usize = 10;

/// Refused events that are looked behind for extremities. Anybody can make a chain of them as long as they like, and
/// cite its end again and again (TM-8); an extremity that stays is merged by the next event.
const REFUSED_WALKED: usize = 1_000;

/// The forward extremities after `event` was accepted (EC-1), ascending.
///
/// `event` replaces those of its `prevs` that were extremities; also those that it reaches through rejected or
/// soft-failed events only, because such an event never was an extremity itself. `refused_prevs` gives the
/// prevs of an event if that was rejected or soft-failed, `None` if it is accepted or not held.
///
/// # Errors
/// Those of `refused_prevs`.
pub fn extremities_after(
    forward: &[EventNum],
    event: EventNum,
    prevs: impl Iterator<Item = EventNum> + Clone,
    mut refused_prevs: impl FnMut(EventNum) -> Result<Option<Vec<EventNum>>>,
) -> Result<Vec<EventNum>> {
    // An event that follows all that were, as almost every one does.
    let is_prev = |extremity: &EventNum| prevs.clone().any(|prev| prev == *extremity);
    if forward.iter().all(is_prev) {
        return Ok(Vec::from([event]));
    }
    let mut after: BTreeSet<EventNum> = forward.iter().copied().collect();
    let mut seen: BTreeSet<EventNum> = prevs.collect();
    let mut ahead: Vec<EventNum> = seen.iter().copied().collect();
    while let Some(prev) = ahead.pop() {
        if after.remove(&prev) || seen.len() > REFUSED_WALKED {
            continue;
        }
        for earlier in refused_prevs(prev)?.unwrap_or_default() {
            if seen.insert(earlier) {
                ahead.push(earlier);
            }
        }
    }
    after.insert(event);
    Ok(after.into_iter().collect())
}

/// The depth of a new event after events of these depths: one more than the greatest, at most 2^53 − 1 (ID-15).
/// A create event, which has no prevs, gets 1.
#[must_use]
pub fn depth_after(prevs: impl IntoIterator<Item = i64>) -> i64 {
    prevs
        .into_iter()
        .max()
        .unwrap_or(0)
        .saturating_add(1)
        .clamp(1, limits::MAX_INT)
}

/// The forward extremities, given with their depths, that a new local event cites: the
/// [`NEW_EVENT_PREVS`] deepest, of equal depth those stored last; ascending (EC-2).
#[must_use]
pub fn prevs_of_new_event(forward: &[(EventNum, i64)]) -> Vec<EventNum> {
    let mut deepest: Vec<_> = forward.iter().map(|(num, depth)| (*depth, *num)).collect();
    deepest.sort_unstable_by(|a, b| b.cmp(a));
    deepest.truncate(NEW_EVENT_PREVS);
    let mut prevs: Vec<_> = deepest.into_iter().map(|(_, num)| num).collect();
    prevs.sort_unstable();
    prevs
}

/// The auth chain of `events`: what their `auth_events` lead to, in version 12 also the create event. Ascending,
/// so that each comes after those that it cites. One of `events` is in it only if another leads to it.
///
/// # Errors
/// Those of `source`.
pub fn auth_chain(events: impl IntoIterator<Item = EventNum>, source: &dyn Source) -> Result<Vec<EventNum>> {
    let mut roots: BTreeSet<EventNum> = events.into_iter().collect();
    let mut chain = BTreeSet::new();
    let mut ahead: Vec<EventNum> = roots.iter().copied().collect();
    while let Some(event) = ahead.pop() {
        for parent in &source.node(event)?.auth {
            // A root is walked once, whether or not something leads to it.
            if chain.insert(*parent) && !roots.remove(parent) {
                ahead.push(*parent);
            }
        }
    }
    Ok(chain.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, vec};
    use roomlet_wire::{Code, Error};

    fn nums(list: &[u32]) -> Vec<EventNum> {
        list.iter().copied().map(EventNum).collect()
    }

    fn after(forward: &[u32], event: u32, prevs: &[u32], refused: &[(u32, &[u32])]) -> Vec<u32> {
        let refused: BTreeMap<_, _> = refused.iter().map(|(n, p)| (EventNum(*n), nums(p))).collect();
        extremities_after(&nums(forward), EventNum(event), nums(prevs).into_iter(), |n| {
            Ok(refused.get(&n).cloned())
        })
        .unwrap()
        .into_iter()
        .map(|n| n.0)
        .collect()
    }

    #[test]
    fn an_accepted_event_replaces_the_extremities_that_it_cites() {
        assert_eq!(after(&[], 0, &[], &[]), [0]);
        assert_eq!(after(&[4], 5, &[4], &[]), [5]);
        assert_eq!(after(&[3, 4, 6], 7, &[3, 4], &[]), [6, 7]);
        assert_eq!(after(&[4], 5, &[2], &[]), [4, 5]);
    }

    #[test]
    fn extremities_behind_refused_events_are_replaced_too() {
        assert_eq!(after(&[1, 2], 9, &[5], &[(5, &[4]), (4, &[1])]), [2, 9]);
        // Event 3 is accepted and no extremity: nothing behind it is reached.
        assert_eq!(after(&[1, 2], 9, &[5], &[(5, &[3])]), [1, 2, 9]);
    }

    #[test]
    fn a_cycle_of_refused_events_ends() {
        assert_eq!(after(&[1], 9, &[5], &[(5, &[6]), (6, &[5])]), [1, 9]);
    }

    #[test]
    fn a_long_chain_of_refused_events_is_not_walked_to_its_end() {
        let mut walked = 0;
        let forward = extremities_after(
            &nums(&[1]),
            EventNum(200_000),
            nums(&[100_000]).into_iter(),
            |num| {
                walked += 1;
                Ok(Some(nums(&[num.0 - 1])))
            },
        );
        assert_eq!(forward.unwrap(), nums(&[1, 200_000]));
        assert_eq!(walked, REFUSED_WALKED);
    }

    #[test]
    fn an_error_of_the_lookup_is_passed_on() {
        let failed = extremities_after(&nums(&[0]), EventNum(2), nums(&[1]).into_iter(), |_| {
            Err(Error::new(Code::Store, "read"))
        });
        assert_eq!(failed.unwrap_err().code(), Code::Store);
    }

    #[test]
    fn depth_is_one_more_than_the_deepest_prev_and_saturates() {
        assert_eq!(depth_after([]), 1);
        assert_eq!(depth_after([3, 9, 4]), 10);
        assert_eq!(depth_after([limits::MAX_INT]), limits::MAX_INT);
        assert_eq!(depth_after([i64::MAX]), limits::MAX_INT);
    }

    #[test]
    fn a_new_event_cites_the_deepest_extremities() {
        let forward: Vec<_> = (0..15).map(|i| (EventNum(i), i64::from(i % 5))).collect();
        assert_eq!(
            prevs_of_new_event(&forward),
            nums(&[2, 3, 4, 7, 8, 9, 11, 12, 13, 14])[..].to_vec()
        );
        assert_eq!(
            prevs_of_new_event(&[(EventNum(3), 8), (EventNum(1), 2)]),
            vec![EventNum(1), EventNum(3)]
        );
    }
}
