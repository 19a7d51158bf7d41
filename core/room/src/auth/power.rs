//! Power levels: who has which, what needs which, who may change which (AUTH-21 … AUTH-26).

use super::denied::Denied;
use crate::node::{LevelTable, Node, PowerLevels};
use alloc::{borrow::ToOwned, format, string::String};
use core::{cmp::Ordering, fmt};

/// How much a user may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Power {
    /// A level.
    Level(i64),
    /// A creator of a version 12 room: above every level, and not above another creator (AUTH-26).
    Creator,
}

impl Power {
    /// Whether this is at least `level`.
    #[must_use]
    pub fn reaches(self, level: i64) -> bool {
        self >= Self::Level(level)
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => write!(f, "{level}"),
            Self::Creator => f.write_str("creator"),
        }
    }
}

/// The power levels in force in a state: its create and power levels events with the defaults for what they
/// do not say.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    create: Option<&'a Node>,
    event: Option<&'a Node>,
}

impl<'a> Levels<'a> {
    /// From the create event and the `m.room.power_levels` with state key `""`.
    #[must_use]
    pub fn new(create: Option<&'a Node>, power_levels: Option<&'a Node>) -> Self {
        Self {
            create,
            event: power_levels,
        }
    }

    /// A user's power (AUTH-21, AUTH-22, AUTH-26).
    #[must_use]
    pub fn of_user(&self, user: &str) -> Power {
        if self.is_creator(user) {
            return Power::Creator;
        }
        Power::Level(match self.said() {
            Some(levels) => levels.users.get(user).or(levels.users_default).unwrap_or(0),
            None if self.first_creator() == Some(user) => 100,
            None => 0,
        })
    }

    /// Whether creators rank above all levels here, and `user` is one.
    #[must_use]
    pub fn is_creator(&self, user: &str) -> bool {
        let Some(node) = self.create.filter(|node| node.pdu.version.creators_rank_above) else {
            return false;
        };
        let more = node
            .create()
            .and_then(|create| create.additional_creators.as_deref())
            .unwrap_or_default();
        node.pdu.sender.as_str() == user || more.iter().any(|creator| creator == user)
    }

    /// The level that an event of this type needs (AUTH-22).
    #[must_use]
    pub fn to_send(&self, kind: &str, is_state: bool) -> i64 {
        let levels = self.said();
        let default = match (levels, is_state) {
            (levels, true) => levels.and_then(|l| l.state_default).unwrap_or(50),
            (levels, false) => levels.and_then(|l| l.events_default).unwrap_or(0),
        };
        levels.and_then(|l| l.events.get(kind)).unwrap_or(default)
    }

    /// The level that banning needs.
    #[must_use]
    pub fn to_ban(&self) -> i64 {
        self.said().and_then(|l| l.ban).unwrap_or(50)
    }

    /// The level that kicking needs.
    #[must_use]
    pub fn to_kick(&self) -> i64 {
        self.said().and_then(|l| l.kick).unwrap_or(50)
    }

    /// The level that inviting needs.
    #[must_use]
    pub fn to_invite(&self) -> i64 {
        self.said().and_then(|l| l.invite).unwrap_or(0)
    }

    /// The level that redacting events of other servers needs.
    #[must_use]
    pub fn to_redact(&self) -> i64 {
        self.said().and_then(|l| l.redact).unwrap_or(50)
    }

    fn said(&self) -> Option<&'a PowerLevels> {
        self.event?.power_levels()
    }

    fn first_creator(&self) -> Option<&'a str> {
        self.create?.create()?.creator.as_deref()
    }
}

/// AUTH-23: the form of new power levels, and that they change nothing above the sender's own level.
///
/// AUTH-28: those with another state key than `""` are compared with the levels in force, too, as ruma and
/// GMSL do.
pub(super) fn check_change(node: &Node, levels: &Levels<'_>) -> Result<(), Denied> {
    let Some(new) = node.power_levels() else {
        return Ok(());
    };
    if let Some(fault) = &new.fault {
        return Err(Denied::PowerMalformed(fault.clone()));
    }
    if let Some(user) = new.users.iter().find(|(user, _)| levels.is_creator(user)) {
        let user = user.0.to_owned();
        return Err(Denied::PowerNamesCreator { user });
    }
    let Some(old) = levels.said() else { return Ok(()) };
    let sender = node.pdu.sender.as_str();
    let has = levels.of_user(sender);
    for ((name, old), (_, new)) in old.scalars().into_iter().zip(new.scalars()) {
        check_required(|| name.to_owned(), old, new, has)?;
    }
    check_table("events", &old.events, &new.events, has)?;
    if node.pdu.version.guards_notifications {
        check_table("notifications", &old.notifications, &new.notifications, has)?;
    }
    for (user, old, new) in differences(&old.users, &new.users) {
        let denied = || Denied::PowerChange {
            path: format!("users.{user}"),
            old,
            new,
            has,
        };
        if user != sender && old.is_some_and(|old| Power::Level(old) >= has) {
            return Err(denied());
        }
        if new.is_some_and(|new| Power::Level(new) > has) {
            return Err(denied());
        }
    }
    Ok(())
}

fn check_table(key: &str, old: &LevelTable, new: &LevelTable, has: Power) -> Result<(), Denied> {
    for (name, old, new) in differences(old, new) {
        check_required(|| format!("{key}.{name}"), old, new, has)?;
    }
    Ok(())
}

/// A level that something needs may change only from and to what the sender has (AUTH-24: a missing side
/// skips its comparison, no default stands in).
fn check_required(
    path: impl Fn() -> String,
    old: Option<i64>,
    new: Option<i64>,
    has: Power,
) -> Result<(), Denied> {
    let above = |level: Option<i64>| level.is_some_and(|level| Power::Level(level) > has);
    if old != new && (above(old) || above(new)) {
        return Err(Denied::PowerChange {
            path: path(),
            old,
            new,
            has,
        });
    }
    Ok(())
}

/// The entries that were changed, added or removed, by name.
fn differences<'a>(
    old: &'a LevelTable,
    new: &'a LevelTable,
) -> impl Iterator<Item = (&'a str, Option<i64>, Option<i64>)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    core::iter::from_fn(move || {
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let was = if order.is_le() { old.next() } else { None };
            let is = if order.is_ge() { new.next() } else { None };
            let name = was.or(is)?.0;
            let (was, is) = (was.map(|(_, level)| level), is.map(|(_, level)| level));
            if was != is {
                return Some((name, was, is));
            }
        }
    })
}
