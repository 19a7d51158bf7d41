//! What another server's template of a join or leave may say (FED-30).

use crate::inner::Inner;
use roomlet_wire::{Code, Error, EventId, Map, Result, RoomId, RoomVersion, UserId, Value, pdu::Draft};
use std::collections::BTreeMap;

impl Inner {
    /// Takes from another server's template only what is its to say (FED-30).
    pub(crate) fn finish_template(
        &self,
        template: &Map,
        user: &UserId,
        room: &RoomId,
        membership: &str,
    ) -> Result<Draft> {
        let text = |key: &str| template.get(key).and_then(Value::as_str);
        let content = template.get("content").and_then(Value::as_object);
        let is = content.and_then(|content| content.get("membership")?.as_str());
        let expected = [
            ("type", text("type"), "m.room.member"),
            ("room_id", text("room_id"), room.as_str()),
            ("sender", text("sender"), user.as_str()),
            ("state_key", text("state_key"), user.as_str()),
            ("membership", is, membership),
        ];
        for (field, is, wanted) in expected {
            if is != Some(wanted) {
                let about = format!("template of a {membership}: {field} is {is:?}, not {wanted:?}");
                return Err(Error::new(Code::BadReply, about));
            }
        }
        let mut hashes = BTreeMap::new();
        let mut ids = |key: &str| -> Result<Vec<EventId>> {
            let list = template.get(key).and_then(Value::as_array).unwrap_or_default();
            let id = |item: &Value| {
                // Versions 1 and 2 have pairs of id and hashes (EV-2).
                let (id, hash) = match item.as_array() {
                    Some([id, beside, ..]) => (id, beside.get("sha256").and_then(Value::as_str)),
                    _ => (item, None),
                };
                let id = EventId::parse(id.as_str().unwrap_or_default())?;
                hashes.extend(hash.map(|hash| (id.clone(), hash.to_owned())));
                Ok(id)
            };
            list.iter().map(id).collect()
        };
        let (prev_events, auth_events) = (ids("prev_events")?, ids("auth_events")?);
        let mut own = Map::from([("membership".to_owned(), Value::from(membership))]);
        let authorised = content.and_then(|content| content.get("join_authorised_via_users_server"));
        if let (Some(user), "join") = (authorised, membership) {
            own.insert("join_authorised_via_users_server".into(), user.clone());
        }
        Ok(Draft {
            room_id: Some(room.clone()),
            sender: user.clone(),
            kind: "m.room.member".into(),
            state_key: Some(user.as_str().into()),
            content: own,
            prev_events,
            auth_events,
            depth: template.get("depth").and_then(Value::as_int).unwrap_or(1),
            origin_server_ts: self.env.clock.now_ms(),
            redacts: None,
            hashes,
        })
    }
}

/// The version that a template names; absent means 1 (FED-30).
pub(crate) fn negotiated(version: Option<&str>) -> Result<&'static RoomVersion> {
    RoomVersion::named(version.unwrap_or("1"))
}
