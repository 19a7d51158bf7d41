//! Commands that change rooms.

use super::{
    bytes::roomlet_bytes,
    call::Command,
    error::{roomlet_code, roomlet_error},
    op::{roomlet_done, roomlet_op},
    result::Outcome,
    server::roomlet_server,
};
use crate::convert;
use roomlet_homeserver::{EventId, Result, RoomId, ServerName, UserId};
use std::{ffi::c_void, path::PathBuf};

/// Makes a room as `user_id`; the result is its id. `options` is a JSON object, each member of which may be absent:
/// `preset` (`private`, the default; `trusted_private`; `public`), `version`, `name`, `topic`, `type`, `invite` (a
/// list of user ids), `is_direct`, `additional_creators` (user ids; room versions from 12). Empty: all defaults. An invite
/// that another server or the host refuses does not fail the room, and nothing tells of it but the members and the log:
/// to have its error, make the room without it and call `roomlet_room_invite`.
/// Any thread.
/// Errors: ROOMLET_BAD_JSON, ROOMLET_BAD_PARAM for a member that is unknown or of the wrong type and for creators in a
/// version without them, ROOMLET_BAD_ID, ROOMLET_TOO_LARGE, ROOMLET_UNKNOWN_ROOM_VERSION, ROOMLET_UNKNOWN_USER
/// also for an invited user of this server who is no account.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_create(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    options: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room = convert::create_room(args.bytes(options, "options")?)?;
        Ok(async move { Ok(Outcome::text(homeserver.create_room(&user, room).await?.as_str())) })
    })
}

/// Replaces a room by a new one of `version`, higher or lower; the result is the new room's id. The new room takes over
/// what the old one says of itself, and no members; the old one gets a tombstone that points to it, and its members lose
/// the power to talk there where `user_id` may take it. The `creator_count` user ids in `creators` become creators beside
/// `user_id` (room versions from 12). After a crash or an error nothing points to a new room that is half done: the
/// command can be repeated. Any thread.
/// Errors: ROOMLET_DENIED if the user may not send `m.room.tombstone`, ROOMLET_UNKNOWN_ROOM_VERSION,
/// ROOMLET_BAD_PARAM for creators in a version without them, ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM,
/// ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_upgrade(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    version: roomlet_bytes,
    creators: *const roomlet_bytes,
    creator_count: usize,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let version = args.text(version, "version")?.to_owned();
        let creators: Vec<UserId> = args
            .slice(creators, creator_count, "creators")?
            .iter()
            .map(|user| args.id(*user, "creators"))
            .collect::<Result<_>>()?;
        Ok(async move {
            let new_room = homeserver.upgrade_room(&user, &room, &version, &creators).await?;
            Ok(Outcome::text(new_room.as_str()))
        })
    })
}

/// Takes a whole room from the file `archive`: its events in federation form, one a line, the create event first and
/// others after those that they cite. All rules hold; with `trusted` not 0 the signatures alone are taken as right. The result
/// is a JSON object: `room_id`; how many events are part of the room now (`accepted`), are part of it and not shown to users
/// (`soft_failed`), are held as refused (`rejected`), were there before (`known`), or were left out (`left_out`: wrong in form,
/// hash or signatures, of another room, or citing what is not in the file); and `first_fault`, what was wrong with the first
/// that was left out or rejected, or null. Users hear of the memberships alone. An import that ended early, also by an error,
/// can be repeated, and goes on where it was. Any thread.
/// Errors: ROOMLET_BAD_PARAM for a file that cannot be read or is no archive, ROOMLET_BAD_EVENT, ROOMLET_BAD_JSON,
/// ROOMLET_UNKNOWN_ROOM_VERSION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_import(
    server: *mut roomlet_server,
    archive: roomlet_bytes,
    trusted: i32,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let archive = PathBuf::from(args.text(archive, "archive")?);
        let trust = convert::trust(trusted != 0);
        Ok(async move {
            let imported = homeserver.import_room(&archive, trust).await?;
            Ok(Outcome::text(convert::imported(&imported)))
        })
    })
}

/// Deletes what came before the event `from` in the room's timeline, and gives the disk space back; the result is how many
/// events that was, in decimal. What the rest needs stays: the events of its states and their auth chains, and what is still
/// to be delivered. For users the history ends there, unless another server still has it and gives it when they look. Any
/// thread.
/// Errors: ROOMLET_UNKNOWN_EVENT if `from` is not in the timeline, ROOMLET_UNKNOWN_ROOM, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_purge_history(
    server: *mut roomlet_server,
    room_id: roomlet_bytes,
    from: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let room: RoomId = args.id(room_id, "room_id")?;
        let from: EventId = args.id(from, "from")?;
        Ok(async move {
            let count = homeserver.purge_history(&room, &from).await?;
            Ok(Outcome::text(count.to_string()))
        })
    })
}

/// Deletes all there is of a room, pending invites too, and gives the disk space back; the result is empty. What other
/// servers are still owed of it goes out all the same. Any thread.
/// Errors: ROOMLET_DENIED while a user of this server is in it who could leave, ROOMLET_UNKNOWN_ROOM,
/// ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_forget(
    server: *mut roomlet_server,
    room_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let room: RoomId = args.id(room_id, "room_id")?;
        Ok(async move {
            homeserver.forget_room(&room).await?;
            Ok(Outcome::default())
        })
    })
}

/// Invites `target`, of any server; the result is the event id. `reason` may be empty. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_UNREACHABLE, ROOMLET_REMOTE if the target's
/// server refuses, ROOMLET_BAD_REPLY, ROOMLET_FORBIDDEN if the host refuses for a user of this server, ROOMLET_UNKNOWN_ROOM,
/// ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_invite(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    target: roomlet_bytes,
    reason: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let target: UserId = args.id(target, "target")?;
        let reason = args.optional(reason, "reason")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .invite(&user, &room, &target, reason.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}

/// Joins; the result is the event id. Where this server is not in the room, or may not let the user in under its restricted
/// rule, the `via_count` server names in `via` are asked in turn, then those of who invited, and some that are known to be in
/// the room. Takes as long as the room's state takes to arrive and be checked. Any thread.
/// Errors: ROOMLET_DENIED, also if this server is in the room and neither it nor another may let the user in under its
/// restricted rule; ROOMLET_UNREACHABLE, ROOMLET_REMOTE, ROOMLET_BAD_REPLY, ROOMLET_UNKNOWN_ROOM,
/// ROOMLET_UNKNOWN_ROOM_VERSION, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_join(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    via: *const roomlet_bytes,
    via_count: usize,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let via: Vec<ServerName> = args
            .slice(via, via_count, "via")?
            .iter()
            .map(|name| args.id(*name, "via"))
            .collect::<Result<_>>()?;
        Ok(async move { Ok(Outcome::text(homeserver.join(&user, &room, &via).await?.as_str())) })
    })
}

/// Leaves, rejects an invite or takes a knock back; the result is the event id, empty where the server of an
/// invite's sender could not be reached, or refused, and the invite was only dropped here. `reason` may be empty. Any
/// thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_leave(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    reason: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let reason = args.optional(reason, "reason")?;
        Ok(async move {
            let event = homeserver.leave(&user, &room, reason.as_deref()).await?;
            Ok(Outcome::text(event.as_deref().unwrap_or_default()))
        })
    })
}

/// Removes `target` from the room, or takes their invite or knock away; the result is the event id. `reason` may be empty.
/// Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_BAD_PARAM if `target` is not there,
/// ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_kick(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    target: roomlet_bytes,
    reason: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let target: UserId = args.id(target, "target")?;
        let reason = args.optional(reason, "reason")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .kick(&user, &room, &target, reason.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}

/// Bans `target`, who need not be in the room; the result is the event id. `reason` may be empty. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER,
/// ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_ban(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    target: roomlet_bytes,
    reason: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let target: UserId = args.id(target, "target")?;
        let reason = args.optional(reason, "reason")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .ban(&user, &room, &target, reason.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}

/// Lifts the ban of `target`; the result is the event id. `reason` may be empty. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_BAD_PARAM if `target` is not banned,
/// ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_unban(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    target: roomlet_bytes,
    reason: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let target: UserId = args.id(target, "target")?;
        let reason = args.optional(reason, "reason")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .unban(&user, &room, &target, reason.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}

/// Sends a timeline event of type `type` with `content`, a JSON object; the result is the event id, given once the
/// event is durable on this device; other servers get it later. With a `txn_id` (which may be empty) a retry is safe:
/// the same one of the same user in the same room gives the same event, whichever command it was given with: this,
/// `roomlet_room_set_state` or `roomlet_room_redact`. It is remembered for as long as the room is held. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_BAD_PARAM for a type that the room's version retired
/// or that has a command of its own, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_TOO_LARGE, ROOMLET_UNKNOWN_ROOM,
/// ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_send(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    type_: roomlet_bytes,
    content: roomlet_bytes,
    txn_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let kind = args.text(type_, "type")?.to_owned();
        let content = args.text(content, "content")?.to_owned();
        let txn_id = args.optional(txn_id, "txn_id")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .send(&user, &room, &kind, &content, txn_id.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}

/// Sends a state event; as `roomlet_room_send`, with a `state_key`, which may be empty. Of a member event,
/// `join_authorised_via_users_server` is left out: it would need the signature of another server. Any thread.
/// Errors: as there; ROOMLET_BAD_PARAM also for an invite (`roomlet_room_invite`) and for power levels with a state key,
/// ROOMLET_BAD_EVENT for another create event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_set_state(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    type_: roomlet_bytes,
    state_key: roomlet_bytes,
    content: roomlet_bytes,
    txn_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let kind = args.text(type_, "type")?.to_owned();
        let state_key = args.text(state_key, "state_key")?.to_owned();
        let content = args.text(content, "content")?.to_owned();
        let txn_id = args.optional(txn_id, "txn_id")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .set_state(&user, &room, &kind, &state_key, &content, txn_id.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}

/// Takes the content of event `event_id` away, on every server; the result is the redaction's event id. `reason` and
/// `txn_id` may be empty. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_DENIED (names the rule), ROOMLET_UNKNOWN_EVENT, ROOMLET_UNKNOWN_ROOM,
/// ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_redact(
    server: *mut roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    event_id: roomlet_bytes,
    reason: roomlet_bytes,
    txn_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let event: EventId = args.id(event_id, "event_id")?;
        let reason = args.optional(reason, "reason")?;
        let txn_id = args.optional(txn_id, "txn_id")?;
        Ok(async move {
            Ok(Outcome::text(
                homeserver
                    .redact(&user, &room, &event, reason.as_deref(), txn_id.as_deref())
                    .await?
                    .as_str(),
            ))
        })
    })
}
