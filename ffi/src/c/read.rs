//! Reading rooms.

use super::{
    bytes::roomlet_bytes,
    call::Command,
    error::{roomlet_code, roomlet_error},
    op::{roomlet_done, roomlet_op},
    result::Outcome,
    server::roomlet_server,
};
use crate::convert;
use roomlet_homeserver::{Code, Direction, Error, EventId, Result, RoomId, UserId};
use std::ffi::c_void;

/// `direction` of `roomlet_room_timeline`: to the past.
pub const ROOMLET_BACKWARD: i32 = 0;
/// `direction` of `roomlet_room_timeline`: to the present.
pub const ROOMLET_FORWARD: i32 = 1;

/// The largest page: what a phone can hold and a store can read without holding others up.
const MAX_PAGE: usize = 1000;

/// Reads a page of 1 to `limit` events that `user_id` may see; `limit` is 1 to 1,000. `from` is `next` of the page
/// before; empty: from the newest event backwards, or the oldest forwards. `direction` is ROOMLET_BACKWARD or
/// ROOMLET_FORWARD. Backwards, other servers are asked where the history on this device ends. Any thread.
/// The result is an object: `events`, in the direction of the page, and `next`, a token, or null where there is
/// nothing more now. An event is an object as `roomlet_room_event` gives it.
/// Errors: ROOMLET_BAD_PARAM for a token that roomlet did not give; ROOMLET_BAD_ARGUMENT; ROOMLET_NOT_JOINED,
/// ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_timeline(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    from: roomlet_bytes,
    direction: i32,
    limit: usize,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let from = args.optional(from, "from")?;
        let direction = direction_of(direction)?;
        check_limit(limit)?;
        Ok(async move {
            Ok(Outcome::text(convert::page(
                &homeserver
                    .timeline(&user, &room, from.as_deref(), direction, limit)
                    .await?,
            )))
        })
    })
}

/// Reads one event; the result is an object: `event_id`, `room_id`, `sender`, `type`, `state_key` (state events only),
/// `origin_server_ts` (the sender's clock, in milliseconds since 1970), `content`, `redacts` (redactions only),
/// `redacted_by` (if it lost its content). Any thread.
/// Errors: ROOMLET_UNKNOWN_EVENT, ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_event(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    event_id: roomlet_bytes,
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
        Ok(async move {
            Ok(Outcome::text(convert::event(
                &homeserver.event(&user, &room, &event).await?,
            )))
        })
    })
}

/// Reads the current state (for who left: what it was then); the result is an array of events by type and state key.
/// Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_state(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        Ok(async move {
            Ok(Outcome::text(convert::events(
                &homeserver.state(&user, &room).await?,
            )))
        })
    })
}

/// Reads one event of the current state; the result is the event, empty if there is no such state. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_state_event(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    type_: roomlet_bytes,
    state_key: roomlet_bytes,
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
        Ok(async move {
            let event = homeserver.state_event(&user, &room, &kind, &state_key).await?;
            Ok(Outcome::text(
                event.as_ref().map(convert::event).unwrap_or_default(),
            ))
        })
    })
}

/// Reads the members, with `membership` (`join`, `invite`, `leave`, `ban`, `knock`) or all if that is empty; the
/// result is an array of objects, `user_id` and `membership`, by user id. Any thread.
/// Errors: ROOMLET_NOT_JOINED, ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_members(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    membership: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        let membership = args.optional(membership, "membership")?;
        Ok(async move {
            Ok(Outcome::text(convert::members(
                &homeserver.members(&user, &room, membership.as_deref()).await?,
            )))
        })
    })
}

/// Reads what came with an invite that is not answered yet: an array of stripped state events, as the inviting server
/// told them (unverified). Any thread.
/// Errors: ROOMLET_NOT_FOUND if there is no such invite; ROOMLET_UNKNOWN_ROOM, ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_room_preview(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    room_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        let room: RoomId = args.id(room_id, "room_id")?;
        Ok(async move { Ok(Outcome::text(homeserver.invite_preview(&user, &room).await?)) })
    })
}

/// Lists the rooms and invites of `user_id`; the result is an array of objects, `room_id` and `membership`, by room
/// id. Any thread. Errors: ROOMLET_UNKNOWN_USER, ROOMLET_BAD_ID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_rooms(
    server: *const roomlet_server,
    user_id: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let user: UserId = args.id(user_id, "user_id")?;
        Ok(async move { Ok(Outcome::text(convert::rooms(&homeserver.rooms(&user).await?))) })
    })
}

fn direction_of(direction: i32) -> Result<Direction> {
    match direction {
        ROOMLET_BACKWARD => Ok(Direction::Backward),
        ROOMLET_FORWARD => Ok(Direction::Forward),
        _ => Err(Error::new(
            Code::BadArgument,
            format!("`direction`: {direction} is not ROOMLET_BACKWARD or ROOMLET_FORWARD"),
        )),
    }
}

fn check_limit(limit: usize) -> Result<()> {
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(());
    }
    Err(Error::new(
        Code::BadArgument,
        format!("`limit`: {limit} is not 1 to {MAX_PAGE}"),
    ))
}
