//! Handles: what C holds are numbers shaped like pointers, never addresses. A table says what each stands for, so a
//! freed handle, a handle of another kind and a stray pointer are all told apart without touching memory.

use roomlet_homeserver::{Code, Error, Result};
use std::{
    any::Any,
    collections::HashMap,
    ptr,
    sync::{
        Arc, LazyLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

type Live = HashMap<usize, Arc<dyn Any + Send + Sync>>;

/// What is not freed yet, by handle.
static LIVE: LazyLock<RwLock<Live>> = LazyLock::new(RwLock::default);

/// The serial number of the next handle. None is given twice (on 32 bits: not within 2²⁸ handles).
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// The low bits of a handle say what it is; the others are its serial number.
const KIND_BITS: u32 = 4;

/// The C names of the kinds, by number.
const KINDS: [&str; 10] = [
    "",
    "roomlet_server",
    "roomlet_op",
    "roomlet_updates",
    "roomlet_result",
    "roomlet_error",
    "roomlet_request",
    "roomlet_reply",
    "roomlet_question",
    "roomlet_events",
];

/// A type that C sees only as a pointer.
pub(super) trait Opaque {
    /// What stands behind the handle.
    type Inner: Send + Sync + 'static;
    /// Its index in [`KINDS`].
    const KIND: usize;
}

/// Makes a handle of `inner`.
pub(super) fn put<H: Opaque>(inner: Arc<H::Inner>) -> *mut H {
    let handle = (NEXT.fetch_add(1, Ordering::Relaxed) << KIND_BITS) | H::KIND;
    LIVE.write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(handle, inner);
    ptr::without_provenance_mut(handle)
}

/// What stands behind the handle that was passed as `param`.
///
/// # Errors
/// [`Code::BadArgument`] for NULL, a handle of another kind or none at all; [`Code::FreedHandle`].
pub(super) fn get<H: Opaque>(handle: *const H, param: &str) -> Result<Arc<H::Inner>> {
    let handle = check::<H>(handle.addr(), param)?;
    let live = LIVE
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&handle)
        .cloned();
    known::<H>(live, param)
}

/// As [`get`], and frees the handle.
///
/// # Errors
/// As [`get`].
pub(super) fn take<H: Opaque>(handle: *const H, param: &str) -> Result<Arc<H::Inner>> {
    let handle = check::<H>(handle.addr(), param)?;
    let live = LIVE
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&handle);
    known::<H>(live, param)
}

/// How many handles are not freed.
pub(super) fn live() -> usize {
    LIVE.read().unwrap_or_else(PoisonError::into_inner).len()
}

fn check<H: Opaque>(handle: usize, param: &str) -> Result<usize> {
    let bad = |what: String| Err(Error::new(Code::BadArgument, format!("`{param}`: {what}")));
    if handle == 0 {
        return bad("is NULL".into());
    }
    let (serial, kind) = (handle >> KIND_BITS, handle & ((1 << KIND_BITS) - 1));
    if serial == 0 || serial >= NEXT.load(Ordering::Relaxed) || kind == 0 || kind >= KINDS.len() {
        return bad(format!(
            "is not a handle of roomlet; a {} is wanted",
            KINDS[H::KIND]
        ));
    }
    if kind != H::KIND {
        return bad(format!("is a {}; a {} is wanted", KINDS[kind], KINDS[H::KIND]));
    }
    Ok(handle)
}

fn known<H: Opaque>(live: Option<Arc<dyn Any + Send + Sync>>, param: &str) -> Result<Arc<H::Inner>> {
    live.and_then(|inner| inner.downcast().ok()).ok_or_else(|| {
        Error::new(
            Code::FreedHandle,
            format!("`{param}`: this {} was freed already", KINDS[H::KIND]),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(());
    impl Opaque for Number {
        type Inner = u32;
        const KIND: usize = 2;
    }

    struct Text(());
    impl Opaque for Text {
        type Inner = String;
        const KIND: usize = 3;
    }

    #[test]
    fn freed_handle_is_not_taken_for_a_new_one() {
        let old = put::<Number>(Arc::new(1));
        assert_eq!(*take(old, "n").unwrap(), 1);
        let new = put::<Number>(Arc::new(2));
        let error = get(old, "n").unwrap_err();
        assert_eq!(
            (error.code(), error.about()),
            (Code::FreedHandle, "`n`: this roomlet_op was freed already")
        );
        assert_eq!(*take(new, "n").unwrap(), 2);
    }

    #[test]
    fn handle_of_another_kind_is_refused_even_when_freed() {
        let handle = put::<Number>(Arc::new(1));
        take(handle, "n").unwrap();
        let error = get(handle.cast::<Text>(), "t").unwrap_err();
        let text = "`t`: is a roomlet_op; a roomlet_updates is wanted";
        assert_eq!((error.code(), error.about()), (Code::BadArgument, text));
    }

    #[test]
    fn address_is_not_taken_for_a_handle() {
        let number = 7_u32;
        let error = get((&raw const number).cast::<Number>(), "n").unwrap_err();
        assert_eq!(error.code(), Code::BadArgument);
    }
}
