//! What a pending invite makes of its user, and who made it.

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

/// The server of the sender of a row's event; empty if it names none.
pub(crate) fn server(event_json: &str) -> String {
    let event = json::parse(event_json.as_bytes()).ok();
    let sender = event.as_ref().and_then(|event| event.get("sender")?.as_str());
    let server = sender.and_then(|sender| Some(sender.split_once(':')?.1));
    server.unwrap_or_default().to_owned()
}
