//! What a command gave.

use super::{
    bytes::roomlet_bytes,
    handle::{self, Opaque},
};
use roomlet_homeserver::{Response, UpdateEntry};
use std::sync::Arc;

/// What a command gave: an id, JSON, a response or a batch of updates. Owned by whoever got it from `roomlet_op_wait`
/// (`roomlet_result_free`), borrowed in a callback. What its accessors return lives as long as it does.
pub struct roomlet_result(());

impl Opaque for roomlet_result {
    type Inner = Outcome;
    const KIND: usize = 4;
}

/// What stands behind a `roomlet_result`.
#[derive(Default)]
pub(super) struct Outcome {
    bytes: Vec<u8>,
    status: u16,
    updates: Vec<(String, String)>,
}

impl Outcome {
    /// An id or JSON.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            bytes: text.into().into_bytes(),
            ..Self::default()
        }
    }

    /// The answer to a federation request.
    pub(super) fn response(response: Response) -> Self {
        Self {
            bytes: response.body,
            status: response.status,
            ..Self::default()
        }
    }

    /// A batch of updates.
    pub(super) fn updates(entries: &[UpdateEntry]) -> Self {
        let updates = entries
            .iter()
            .map(|entry| (crate::convert::token(entry.pos), crate::convert::update(entry)))
            .collect();
        Self {
            updates,
            ..Self::default()
        }
    }
}

/// The id or the JSON that the command gave, or the body of a response; empty for a batch of updates, and if `result` is
/// NULL or was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_result_bytes(result: *const roomlet_result) -> roomlet_bytes {
    handle::get(result, "result").map_or(roomlet_bytes::NONE, |result| roomlet_bytes::lend(&result.bytes))
}

/// The HTTP status of a response (`roomlet_server_handle_request`); 0 for other results. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_result_status(result: *const roomlet_result) -> u16 {
    handle::get(result, "result").map_or(0, |result| result.status)
}

/// How many updates the batch has (`roomlet_updates_next`); 0 for other results. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_result_update_count(result: *const roomlet_result) -> usize {
    handle::get(result, "result").map_or(0, |result| result.updates.len())
}

/// Update `index` of the batch, an object; see `roomlet_updates_next`. Empty beyond the last. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_result_update(result: *const roomlet_result, index: usize) -> roomlet_bytes {
    update(result, index, |(_, json)| json)
}

/// The token of update `index`: a reader opened with it begins after this update. Empty beyond the last. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_result_update_token(result: *const roomlet_result, index: usize) -> roomlet_bytes {
    update(result, index, |(token, _)| token)
}

fn update(
    result: *const roomlet_result,
    index: usize,
    part: fn(&(String, String)) -> &String,
) -> roomlet_bytes {
    handle::get(result, "result").map_or(roomlet_bytes::NONE, |result| {
        result.updates.get(index).map_or(roomlet_bytes::NONE, |entry| {
            roomlet_bytes::lend(part(entry).as_bytes())
        })
    })
}

/// Frees a result that `roomlet_op_wait` gave. NULL is fine, and so is one that was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_result_free(result: *mut roomlet_result) {
    // A second free finds nothing to free, and there is nobody to tell.
    let _ = handle::take(result, "result");
}

/// Lends `outcome` to C while `use_it` runs.
pub(super) fn lend(outcome: &Arc<Outcome>, use_it: impl FnOnce(*const roomlet_result)) {
    let lent = handle::put::<roomlet_result>(Arc::clone(outcome));
    use_it(lent);
    roomlet_result_free(lent);
}
