//! Reading a room: states as authorization sees them, auth chains, the graph behind given events, what a user may
//! see.

use super::{events::Held, open::OpenRoom};
use roomlet_room::{Levels, auth, state::StateMap};
use roomlet_store::{Direction, EventRow, Store, TimelinePos};
use roomlet_wire::{Code, Error, EventId, EventNum, Pdu, Result, ServerName, StateNum, UserId, Verified};
use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

/// Events that are looked at for one reply about the graph. Refused ones are in none, and anybody can make chains of them
/// as long as they like (TM-8).
const WALKED: usize = 1_000;

/// The events that say who has which power in a state.
pub(crate) struct LevelEvents {
    create: Option<Held>,
    power_levels: Option<Held>,
}

impl LevelEvents {
    /// The levels that they set.
    pub(crate) fn levels(&self) -> Levels<'_> {
        Levels::new(
            self.create.as_ref().map(|held| &*held.node),
            self.power_levels.as_ref().map(|held| &*held.node),
        )
    }
}

/// Who may see events of a room (HV-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Visibility {
    WorldReadable,
    Shared,
    Invited,
    Joined,
}

impl Visibility {
    fn of(held: Option<&Held>) -> Self {
        let value = held.and_then(|held| {
            held.pdu()
                .content()
                .get("history_visibility")?
                .as_str()
                .map(Cow::into_owned)
        });
        match value.as_deref() {
            Some("world_readable") => Visibility::WorldReadable,
            Some("invited") => Visibility::Invited,
            Some("joined") => Visibility::Joined,
            _ => Visibility::Shared,
        }
    }
}

impl OpenRoom {
    /// The events that say who has which power in a state.
    pub(super) fn levels_in(&self, state: &StateMap) -> Result<LevelEvents> {
        Ok(LevelEvents {
            create: self.in_state(state, "m.room.create", "")?,
            power_levels: self.in_state(state, "m.room.power_levels", "")?,
        })
    }

    /// As [`levels_in`](Self::levels_in), in the current state.
    pub(crate) fn current_levels(&self) -> Result<LevelEvents> {
        self.levels_in(&self.current)
    }

    /// The events of a state, by slot.
    pub(crate) fn state_events(&self, state: &StateMap) -> Result<Vec<Held>> {
        state.iter().map(|(_, num)| self.get(num)).collect()
    }

    /// The auth chain of some events, themselves excluded unless one is in another's chain; by number.
    pub(crate) fn auth_chain(&self, of: impl IntoIterator<Item = EventNum>) -> Result<Vec<Held>> {
        let mut walk: Vec<EventNum> = Vec::new();
        for num in of {
            walk.extend(self.get(num)?.node.auth.iter().copied());
        }
        let mut seen = BTreeSet::new();
        while let Some(num) = walk.pop() {
            if seen.insert(num) {
                walk.extend(self.get(num)?.node.auth.iter().copied());
            }
        }
        seen.into_iter().map(|num| self.get(num)).collect()
    }

    /// Up to `limit` events at and behind `from`, breadth first along `prev_events`, for `/backfill` (FED-41).
    pub(crate) fn behind(&self, from: &[EventId], limit: usize) -> Result<Vec<Held>> {
        self.breadth_first(from, &BTreeSet::new(), limit)
    }

    /// Up to `limit` events behind `latest` that are not behind `earliest`, both excluded, for
    /// `get_missing_events` (FED-41).
    pub(crate) fn between(
        &self,
        earliest: &[EventId],
        latest: &[EventId],
        limit: usize,
    ) -> Result<Vec<Held>> {
        let stop: BTreeSet<&EventId> = earliest.iter().chain(latest).collect();
        let mut parents = Vec::new();
        for id in latest {
            if let Some(held) = self.find(id)? {
                parents.extend(held.pdu().prev_events.iter().cloned());
            }
        }
        self.breadth_first(&parents, &stop, limit)
    }

    fn breadth_first(&self, from: &[EventId], stop: &BTreeSet<&EventId>, limit: usize) -> Result<Vec<Held>> {
        let mut queue: VecDeque<EventId> = from.iter().cloned().collect();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        while let Some(id) = queue.pop_front() {
            if found.len() >= limit || seen.len() >= WALKED {
                break;
            }
            if stop.contains(&id) || !seen.insert(id.clone()) {
                continue;
            }
            let Some(held) = self.find(&id)? else { continue };
            if held.flags.outlier {
                continue;
            }
            queue.extend(held.pdu().prev_events.iter().cloned());
            if !held.flags.rejected {
                found.push(held);
            }
        }
        Ok(found)
    }

    /// Whether a user may see an event (HV-1 … HV-4).
    pub(crate) fn user_may_see(&mut self, user: &UserId, held: &Held) -> Result<bool> {
        let Some(before) = held.state_before else {
            return Ok(false);
        };
        let state = self.states.get(before)?;
        let event = held.pdu();
        let mut visibility = vec![Visibility::of(
            self.in_state(&state, "m.room.history_visibility", "")?.as_ref(),
        )];
        if event.is_state("m.room.history_visibility", "") {
            visibility.push(Visibility::of(Some(held)));
        }
        let mut memberships = vec![self.membership_in(&state, user)?];
        if event.is_state("m.room.member", user) {
            memberships.extend(event.membership().map(str::to_owned));
        }
        let at = |wanted: &str| memberships.iter().any(|membership| membership == wanted);
        if at("join") || visibility.contains(&Visibility::WorldReadable) {
            return Ok(true);
        }
        if visibility.contains(&Visibility::Shared) && self.joined_since(user, held)? {
            return Ok(true);
        }
        Ok(visibility.contains(&Visibility::Invited) && at("invite"))
    }

    /// Whether the user was joined at some time after the event: now, or when they left (HV-4).
    fn joined_since(&mut self, user: &UserId, held: &Held) -> Result<bool> {
        let Some(member) = self.current_event("m.room.member", user)? else {
            return Ok(false);
        };
        match member.pdu().membership() {
            Some("join") => Ok(true),
            Some("leave" | "ban") => {
                let Some(before) = member.state_before else {
                    return Ok(false);
                };
                let state = self.states.get(before)?;
                let was = self.membership_in(&state, user)?;
                Ok(was == "join" && held.pos() <= member.pos())
            }
            _ => Ok(false),
        }
    }

    /// Whether a server in the room gets an event whole, or else redacted (HV-6).
    pub(crate) fn server_may_see(&mut self, server: &ServerName, held: &Held) -> Result<bool> {
        let Some(before) = held.state_before else {
            return Ok(false);
        };
        let state = self.states.get(before)?;
        let wanted: &[&str] =
            match Visibility::of(self.in_state(&state, "m.room.history_visibility", "")?.as_ref()) {
                Visibility::Shared | Visibility::WorldReadable => return Ok(true),
                Visibility::Invited => &["join", "invite"],
                Visibility::Joined => &["join"],
            };
        if held.pdu().origin() == server.as_str() {
            return Ok(true);
        }
        for (slot, num) in state.iter() {
            let (kind, key) = self.slots.name(slot)?;
            if kind == "m.room.member"
                && UserId::parse(key).is_ok_and(|user| user.server() == server.as_str())
                && self
                    .get(num)?
                    .pdu()
                    .membership()
                    .is_some_and(|membership| wanted.contains(&membership))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The state before an event that is held and no outlier.
    pub(crate) fn state_before_of(&self, id: &EventId) -> Result<Option<StateNum>> {
        Ok(self.find(id)?.and_then(|held| held.state_before))
    }
}

/// What only the store has an order for.
impl OpenRoom {
    /// A page of rows that users may see, history visibility apart.
    pub(crate) fn timeline_rows(
        &self,
        from: Option<TimelinePos>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<EventRow>> {
        self.store.timeline(self.num(), from, direction, limit)
    }

    /// The backward extremities between two positions, the newer one included: events that are cited and not held,
    /// those cited by the newest events first, each once.
    pub(crate) fn gaps(
        &self,
        older: Option<TimelinePos>,
        newer: Option<TimelinePos>,
    ) -> Result<Vec<EventId>> {
        let mut gaps = Vec::new();
        for (missing, child) in self.store.missing_prevs(self.num())? {
            let pos = self.get(child)?.pos();
            if older.is_none_or(|older| pos > older) && newer.is_none_or(|newer| pos <= newer) {
                gaps.push((pos, missing));
            }
        }
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        let mut seen = BTreeSet::new();
        let mut gaps: Vec<EventId> = gaps.into_iter().map(|(_, id)| id).collect();
        gaps.retain(|id| seen.insert(id.clone()));
        Ok(gaps)
    }

    /// Those of `ids` that are not held, or as outliers only.
    pub(crate) fn not_held(&self, ids: Vec<EventId>) -> Result<Vec<EventId>> {
        let mut left = Vec::new();
        for id in ids {
            if !self.holds_fully(&id)? {
                left.push(id);
            }
        }
        Ok(left)
    }
}

/// What a room says of other servers.
impl OpenRoom {
    /// Whether the room's access control list lets a server take part (FED-50).
    pub(crate) fn acl_allows(&self, server: &ServerName) -> Result<bool> {
        let held = self.current_event("m.room.server_acl", "")?;
        Ok(held.is_none_or(|held| crate::acl::allows(held.pdu().content(), server)))
    }
}

/// Checks before something is sent.
impl OpenRoom {
    /// This server's name.
    pub(crate) fn me(&self) -> &ServerName {
        &self.me
    }

    /// The store, for what concerns other rooms.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Refuses an event that the current state does not allow.
    pub(crate) fn check_allowed(&self, pdu: &Pdu<Verified>) -> Result<()> {
        let node = self.unplaced(pdu)?;
        let state = auth::load(&node, &self.current, self, &self.slots)?;
        auth::check(&node, &state).map_err(|denied| {
            let about = format!("{} of {} is not allowed: {denied}", pdu.kind, pdu.sender);
            Error::new(Code::Denied, about)
        })
    }

    /// A joined local user who may invite, the first by user id.
    pub(crate) fn local_inviter(&self) -> Result<Option<UserId>> {
        self.local_user_with(self.current_levels()?.levels().to_invite())
    }

    /// A joined local user of this power, the first by user id.
    pub(super) fn local_user_with(&self, level: i64) -> Result<Option<UserId>> {
        let events = self.current_levels()?;
        let levels = events.levels();
        for row in self.store.members(self.num(), Some("join"))? {
            if row.user.server() == self.me.as_str() && levels.of_user(&row.user).reaches(level) {
                return Ok(Some(row.user));
            }
        }
        Ok(None)
    }
}
