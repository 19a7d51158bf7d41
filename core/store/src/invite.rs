//! What a pending invite makes of its user.

use crate::model::InviteRow;
use roomlet_wire::json;

/// The membership that the row's event gives its user: `invite` or `knock`, or `leave` once it was declined
/// or withdrawn. An event that names none counts as an invite: that is what rows are made for.
pub(crate) fn membership(row: &InviteRow) -> String {
    json::parse(row.event_json.as_bytes())
        .ok()
        .and_then(|event| Some(event.get("content")?.get("membership")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "invite".to_owned())
}
