//! AUTH-1: the first event of a room.

use super::denied::Denied;
use crate::node::Node;

pub(super) fn check(node: &Node) -> Result<(), Denied> {
    let (pdu, version) = (&node.pdu, node.pdu.version);
    let Some(create) = node.create() else {
        return Err(Denied::NoCreate);
    };
    if !pdu.prev_events.is_empty() {
        return Err(Denied::CreateWithPrevEvents);
    }
    if version.room_id_is_create_hash {
        if pdu.object().contains_key("room_id") {
            return Err(Denied::CreateWithRoomId);
        }
    } else if pdu.room_id.domain() != Some(pdu.sender.server()) {
        return Err(Denied::CreateForeignRoomId);
    }
    if !create.known_version {
        return Err(Denied::CreateUnknownVersion);
    }
    if !version.creator_is_sender && !create.has_creator {
        return Err(Denied::CreateWithoutCreator);
    }
    if version.creators_rank_above && create.additional_creators.is_none() {
        return Err(Denied::CreateBadCreators);
    }
    Ok(())
}
