//! Room upgrades: a new room of another version, and a sign in the old one that points there (I1-13).

use crate::{
    create::{Beginning, CREATOR_LEVEL, TOMBSTONE_LEVEL, create_content, object},
    inner::Inner,
    room::{OpenRoom, Outgoing},
};
use roomlet_room::{
    Levels,
    node::{LevelTable, PowerLevels},
};
use roomlet_wire::{
    Code, Error, Map, Pdu, Result, RoomId, RoomVersion, UserId, Value, Verified,
    json::{self, Raw},
    limits,
    sign::KeyPair,
};
use std::borrow::Cow;

/// State that the new room takes over as it is; power levels and join rules follow, which versions read differently.
const COPIED: [&str; 7] = [
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
];
/// The least level, in the closed old room, of what its members are no longer to do.
const CLOSED_LEVEL: i64 = 50;

/// What is taken over from the old room.
struct Old {
    version: &'static RoomVersion,
    create: Map,
    creators: Vec<String>,
    copied: Vec<(&'static str, Map)>,
    join_rules: Option<Map>,
    power_levels: Option<Map>,
}

impl Inner {
    /// See [`Homeserver::upgrade_room`](crate::Homeserver::upgrade_room).
    pub(crate) async fn upgrade_room(
        &self,
        user: &UserId,
        room: &RoomId,
        version: &str,
        additional_creators: &[UserId],
    ) -> Result<RoomId> {
        self.check_account(user)?;
        let version = self.version_named(Some(version))?;
        let handle = self.rooms.get(room)?;
        let sender = user.clone();
        let old = handle.run(move |room| room.read_for_upgrade(&sender)).await?;

        let mut content = create_content(user, version, additional_creators)?;
        content.extend(old.kept_of_create());
        content.insert(
            "predecessor".into(),
            object([("room_id", room.as_str().into())]).into(),
        );
        let mut beginning = self.begin_room(user, version, content)?;
        let tombstone = {
            let (sender, new_room) = (user.clone(), beginning.room_id().clone());
            let (key, now) = (self.signing_key(), self.env.clock.now_ms());
            handle
                .run(move |room| room.sign_tombstone(&sender, &new_room, &key, now))
                .await?
        };
        // Where the id of the new room does not follow from it, the create event can tell the end of the old one.
        if let Beginning::Named(_, content) = &mut beginning {
            let predecessor = object([
                ("room_id", room.as_str().into()),
                ("event_id", tombstone.id.as_str().into()),
            ]);
            content.insert("predecessor".into(), predecessor.into());
        }
        let state = new_state(user, &old, version, additional_creators);
        let new_room = self.fill_room(user, version, beginning, state).await?;

        // Last, so that whoever follows the sign finds a room: a crash before leaves the old room as it was.
        let (sender, key, now) = (user.clone(), self.signing_key(), self.env.clock.now_ms());
        handle
            .run(move |room| {
                room.accept_own(&tombstone, None)?;
                room.close_after_upgrade(&sender, &key, now)
            })
            .await?;
        Ok(new_room)
    }
}

impl Old {
    /// What the new create event takes over: the room's type, and whether other servers may join. In lenient versions
    /// either can be of any shape; one that means nothing stays behind.
    fn kept_of_create(&self) -> Map {
        let means = |key: &str, value: &Value| match key {
            "type" => value.as_str().is_some(),
            "m.federate" => matches!(value, Value::Bool(_)),
            _ => false,
        };
        let kept = self.create.iter().filter(|(key, value)| means(key, value));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl OpenRoom {
    /// What an upgrade by `user` takes over; refuses who may not.
    fn read_for_upgrade(&mut self, user: &UserId) -> Result<Old> {
        self.check_joined(user)?;
        let events = self.current_levels()?;
        let levels: Levels<'_> = events.levels();
        if !levels
            .of_user(user)
            .reaches(levels.to_send("m.room.tombstone", true))
        {
            let about = format!(
                "user {user} may not send m.room.tombstone, so not upgrade room {}",
                self.id()
            );
            return Err(Error::new(Code::Denied, about));
        }
        let content = |kind: &str| -> Result<Option<Map>> {
            let held = self.current_event(kind, "")?;
            Ok(held.map(|held| held.pdu().content().to_map()))
        };
        let create = content("m.room.create")?.unwrap_or_default();
        let mut creators = Vec::new();
        if self.version().creators_rank_above
            && let Some(held) = self.current_event("m.room.create", "")?
        {
            creators.push(held.pdu().sender.as_str().to_owned());
            let more = held
                .pdu()
                .content()
                .get("additional_creators")
                .and_then(Raw::as_array);
            let more = more
                .into_iter()
                .flat_map(|list| list.iter())
                .filter_map(Raw::as_str);
            creators.extend(more.map(Cow::into_owned));
        }
        let mut copied = Vec::new();
        for kind in COPIED {
            // What only lenient versions can hold stays behind.
            copied.extend(
                content(kind)?
                    .filter(|content| json::check_canonical(content).is_ok())
                    .map(|content| (kind, content)),
            );
        }
        Ok(Old {
            version: self.version(),
            create,
            creators,
            copied,
            join_rules: content("m.room.join_rules")?,
            power_levels: content("m.room.power_levels")?,
        })
    }

    fn sign_tombstone(
        &mut self,
        user: &UserId,
        new_room: &RoomId,
        key: &KeyPair,
        now: i64,
    ) -> Result<Pdu<Verified>> {
        let content = object([
            ("body", "This room has been replaced".into()),
            ("replacement_room", new_room.as_str().into()),
        ]);
        let draft = self.draft(user, Outgoing::state("m.room.tombstone", "", content), now)?;
        let me = self.me().clone();
        draft.sign(self.version(), &me, key)
    }

    /// Takes from the members of a room that was replaced the power to talk and to invite, if `user` may.
    fn close_after_upgrade(&mut self, user: &UserId, key: &KeyPair, now: i64) -> Result<()> {
        let Some(held) = self.current_event("m.room.power_levels", "")? else {
            return Ok(());
        };
        let mut content = held.pdu().content().to_map();
        let levels = PowerLevels::of_content(&content, self.version());
        let closed = CLOSED_LEVEL.max(levels.users_default.unwrap_or(0).saturating_add(1));
        let mut changed = false;
        for (key, level) in [
            ("events_default", levels.events_default),
            ("invite", levels.invite),
        ] {
            if level.unwrap_or(0) < closed {
                content.insert(key.into(), Value::Int(closed));
                changed = true;
            }
        }
        if !changed || json::check_canonical(&content).is_err() {
            return Ok(());
        }
        let closing = Outgoing::state("m.room.power_levels", "", content);
        let draft = self.draft(user, closing, now)?;
        let me = self.me().clone();
        let pdu = draft.sign(self.version(), &me, key)?;
        match self.check_allowed(&pdu) {
            Ok(()) => self.accept_own(&pdu, None),
            // Who may replace a room need not have the power to change what others may do there.
            Err(error) if error.code() == Code::Denied => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The state of the new room, in the order in which it is sent: power levels last, as until then its creator may do
/// anything.
fn new_state(
    user: &UserId,
    old: &Old,
    version: &RoomVersion,
    additional_creators: &[UserId],
) -> Vec<Outgoing> {
    let mut state: Vec<Outgoing> = old
        .copied
        .iter()
        .map(|(kind, content)| Outgoing::state(kind, "", content.clone()))
        .collect();
    if let Some(rules) = &old.join_rules {
        state.push(Outgoing::state(
            "m.room.join_rules",
            "",
            join_rules(rules, version),
        ));
    }
    let mut creators = vec![user.as_str()];
    creators.extend(additional_creators.iter().map(|creator| creator.as_str()));
    let levels = power_levels(old, version, &creators);
    state.push(Outgoing::state("m.room.power_levels", "", levels));
    state
}

/// Join rules as a version knows them: of those that it does not know the nearest that lets nobody in whom the old one
/// kept out.
fn join_rules(old: &Map, version: &RoomVersion) -> Map {
    let rule = match old.get("join_rule").and_then(Value::as_str) {
        Some("knock_restricted") if version.knock_restricted => "knock_restricted",
        Some("knock_restricted" | "restricted") if version.restricted => "restricted",
        Some("knock_restricted" | "knock") if version.knock => "knock",
        Some("public") => "public",
        Some("private") => "private",
        _ => "invite",
    };
    let mut rules = object([("join_rule", rule.into())]);
    let allow = old.get("allow").filter(|_| rule.ends_with("restricted"));
    let allow = allow.map(|allow| ("allow".to_owned(), allow.clone()));
    rules.extend(allow);
    if json::check_canonical(&rules).is_err() {
        rules.remove("allow");
    }
    rules
}

/// Power levels as a version reads them: integers, and nothing of creators that rank above them.
fn power_levels(old: &Old, version: &RoomVersion, creators: &[&str]) -> Map {
    let content = old.power_levels.clone().unwrap_or_default();
    let levels = PowerLevels::of_content(&content, old.version);
    let mut new = Map::new();
    for (name, level) in levels.scalars() {
        new.extend(level.map(|level| (name.to_owned(), in_range(level))));
    }
    let table = |table: &LevelTable| -> Map {
        let entries = table.iter();
        entries
            .map(|(name, level)| (name.to_owned(), in_range(level)))
            .collect()
    };
    let (mut users, mut events) = (table(&levels.users), table(&levels.events));
    users.retain(|user, _| UserId::parse(user).is_ok());
    let highest = |table: &Map| table.values().filter_map(Value::as_int).max();
    let asked = highest(&events).max(levels.state_default).unwrap_or(0);
    if version.creators_rank_above {
        users.retain(|user, _| !creators.contains(&user.as_str()));
        let tombstone = asked.max(TOMBSTONE_LEVEL);
        events.insert("m.room.tombstone".into(), in_range(tombstone));
    } else {
        // Nobody ranked above the creators of a room of version 12, so nobody does in the new one.
        let top = asked.max(highest(&users).unwrap_or(0)).max(CREATOR_LEVEL);
        for creator in &old.creators {
            users.insert(creator.clone(), in_range(top));
        }
        if old.power_levels.is_none() {
            users.insert(creators[0].to_owned(), in_range(top));
        }
    }
    new.insert("users".into(), users.into());
    new.insert("events".into(), events.into());
    let notifications = table(&levels.notifications);
    if !notifications.is_empty() {
        new.insert("notifications".into(), notifications.into());
    }
    new
}

/// A level as an integer that every version can print: lenient versions read larger ones.
fn in_range(level: i64) -> Value {
    Value::Int(level.clamp(-limits::MAX_INT, limits::MAX_INT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(version: &str, power_levels: &str) -> Old {
        let object = |text: &str| json::parse_object(text.as_bytes()).unwrap();
        Old {
            version: RoomVersion::get(version).unwrap(),
            create: object(r#"{"m.federate":false,"room_version":"1","type":7}"#),
            creators: Vec::new(),
            copied: Vec::new(),
            join_rules: None,
            power_levels: Some(object(power_levels)),
        }
    }

    #[test]
    fn levels_in_text_become_integers_that_every_version_prints() {
        let text = r#"{"events":{"a":" 60 ","b":"9223372036854775807"},"invite":"-9223372036854775808","users":{"@a:a":"100","no user":"5"}}"#;
        for (version, tombstone) in [("10", ""), ("12", r#","m.room.tombstone":9007199254740991"#)] {
            let new = power_levels(&old("1", text), RoomVersion::get(version).unwrap(), &["@b:b"]);
            let wanted = format!(
                r#"{{"events":{{"a":60,"b":9007199254740991{tombstone}}},"invite":-9007199254740991,"users":{{"@a:a":100}}}}"#
            );
            assert_eq!(json::map_to_canonical(&new), wanted, "{version}");
        }
    }

    #[test]
    fn nobody_outranks_those_who_were_creators() {
        let mut old = old("12", r#"{"users":{"@a:a":200}}"#);
        old.creators = vec!["@b:b".into(), "@c:c".into()];
        let new = power_levels(&old, RoomVersion::get("11").unwrap(), &["@b:b"]);
        assert_eq!(
            json::map_to_canonical(&new),
            r#"{"events":{},"users":{"@a:a":200,"@b:b":200,"@c:c":200}}"#
        );
    }

    #[test]
    fn what_means_nothing_in_a_create_event_stays_behind() {
        let kept = old("1", "{}").kept_of_create();
        assert_eq!(json::map_to_canonical(&kept), r#"{"m.federate":false}"#);
    }

    #[test]
    fn join_rules_let_nobody_in_whom_the_old_ones_kept_out() {
        let allow = r#""allow":[{"room_id":"!a:a","type":"m.room_membership"}]"#;
        let cases = [
            ("knock_restricted", "10", "knock_restricted"),
            ("knock_restricted", "9", "restricted"),
            ("knock_restricted", "7", "knock"),
            ("knock_restricted", "6", "invite"),
            ("restricted", "8", "restricted"),
            ("restricted", "7", "invite"),
            ("knock", "7", "knock"),
            ("knock", "6", "invite"),
            ("public", "1", "public"),
            ("private", "12", "private"),
            ("org.example", "12", "invite"),
        ];
        for (was, version, is) in cases {
            let old = format!(r#"{{{allow},"join_rule":"{was}"}}"#);
            let old = json::parse_object(old.as_bytes()).unwrap();
            let new = join_rules(&old, RoomVersion::get(version).unwrap());
            let allow = if is.ends_with("restricted") {
                format!("{allow},")
            } else {
                String::new()
            };
            assert_eq!(
                json::map_to_canonical(&new),
                format!(r#"{{{allow}"join_rule":"{is}"}}"#),
                "{was} to {version}"
            );
        }
    }
}
