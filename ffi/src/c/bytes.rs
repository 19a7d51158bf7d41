//! Bytes across the boundary: pointer and length, borrowed.

use roomlet_homeserver::{Code, Error, Result};
use std::{ptr, slice, str::FromStr};

/// Bytes that are only borrowed: for the call that takes them, for the callback that gets them, or for as long as the
/// accessor that returned them says. Not NUL-terminated; UTF-8 where they are text. `ptr` may be NULL if `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct roomlet_bytes {
    /// The first byte.
    pub ptr: *const u8,
    /// How many bytes there are.
    pub len: usize,
}

impl roomlet_bytes {
    /// No bytes.
    pub(super) const NONE: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    /// Lends `bytes` to C, which must not outlive what they belong to.
    pub(super) fn lend(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

/// Reads what a caller passed. Making one is the caller's promise that its pointers are valid for the call, which makes
/// reading through them safe.
pub(super) struct Args(());

impl Args {
    /// # Safety
    /// While the value lives, each pointer that its methods get is NULL or valid as C's `const T[len]`.
    pub(super) unsafe fn promised() -> Self {
        Self(())
    }

    /// The bytes passed as `param`.
    ///
    /// # Errors
    /// [`Code::BadArgument`] for NULL with a length, and for a length that no object has.
    pub(super) fn bytes(&self, bytes: roomlet_bytes, param: &str) -> Result<&[u8]> {
        self.slice(bytes.ptr, bytes.len, param)
    }

    /// The text passed as `param`.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); [`Code::BadArgument`] for what is not UTF-8.
    pub(super) fn text(&self, bytes: roomlet_bytes, param: &str) -> Result<&str> {
        std::str::from_utf8(self.bytes(bytes, param)?).map_err(|error| {
            bad(
                param,
                format!("is not UTF-8 from byte {} on", error.valid_up_to()),
            )
        })
    }

    /// The text passed as `param`, owned; `None` if it is empty.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub(super) fn optional(&self, bytes: roomlet_bytes, param: &str) -> Result<Option<String>> {
        let text = self.text(bytes, param)?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// The identifier passed as `param`.
    ///
    /// # Errors
    /// As [`text`](Self::text); [`Code::BadId`].
    pub(super) fn id<T: FromStr<Err = Error>>(&self, bytes: roomlet_bytes, param: &str) -> Result<T> {
        self.text(bytes, param)?
            .parse()
            .map_err(|error: Error| error.context(format_args!("`{param}`")))
    }

    /// The array of `count` elements passed as `param`.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub(super) fn slice<T>(&self, first: *const T, count: usize, param: &str) -> Result<&[T]> {
        if count == 0 {
            return Ok(&[]);
        }
        if first.is_null() {
            return Err(bad(param, format!("is NULL with length {count}")));
        }
        if count
            .checked_mul(size_of::<T>())
            .is_none_or(|size| size > isize::MAX as usize)
        {
            return Err(bad(
                param,
                format!("has length {count}, more than memory can hold"),
            ));
        }
        if !first.is_aligned() {
            return Err(bad(param, "is not aligned".into()));
        }
        // SAFETY: not NULL, aligned and no larger than an object can be (checked above); valid for `count` elements
        // while `self` lives, as whoever made it promised.
        Ok(unsafe { slice::from_raw_parts(first, count) })
    }

    /// Where a result is to be written, passed as `param`.
    ///
    /// # Errors
    /// [`Code::BadArgument`] for NULL.
    pub(super) fn out<T>(&self, place: *mut T, param: &str) -> Result<Out<T>> {
        if place.is_null() {
            Err(bad(param, "is NULL".into()))
        } else {
            Ok(Out(place))
        }
    }

    /// As [`out`](Self::out); `None` for NULL.
    pub(super) fn optional_out<T>(&self, place: *mut T) -> Option<Out<T>> {
        (!place.is_null()).then_some(Out(place))
    }

    /// A struct that begins with its size as the host was compiled. Fields that this size does not reach are zero, and
    /// what lies beyond the fields known here has to be zero: a newer host asks for nothing that is not there.
    ///
    /// # Errors
    /// [`Code::BadArgument`] for NULL, a size below `least` or beyond a page, and unknown fields that are not zero.
    pub(super) fn sized<T: Zeroed>(&self, host: *const T, least: usize, param: &str) -> Result<T> {
        const PAGE: usize = 4096;
        let size = self.slice(host.cast::<usize>(), 1, param)?[0];
        if size < least || size > PAGE {
            return Err(bad(
                param,
                format!("has struct_size {size}; sizeof gives {} here", size_of::<T>()),
            ));
        }
        let given = self.slice(host.cast::<u8>(), size, param)?;
        let known = size.min(size_of::<T>());
        if given[known..].iter().any(|byte| *byte != 0) {
            return Err(bad(
                param,
                "sets a field that this version of roomlet does not know".into(),
            ));
        }
        let mut copy = T::zeroed();
        // SAFETY: both sides are valid for `known` bytes and apart; `T: Zeroed` makes every bit pattern that a C
        // compiler can produce for it valid.
        unsafe { ptr::copy_nonoverlapping(given.as_ptr(), (&raw mut copy).cast::<u8>(), known) };
        Ok(copy)
    }
}

/// A place for a result that is not NULL.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Writes the result.
    pub(super) fn write(self, value: T) {
        // SAFETY: not NULL (checked by `Args::out`) and valid for writing, as whoever made the `Args` promised.
        unsafe { self.0.write(value) }
    }
}

/// A C struct of integers, pointers and nullable function pointers.
///
/// # Safety
/// All bytes zero is a valid value, and so is every one that C can write.
pub(super) unsafe trait Zeroed: Sized {
    /// The value whose bytes are all zero.
    fn zeroed() -> Self {
        // SAFETY: the trait's own contract.
        unsafe { std::mem::zeroed() }
    }
}

fn bad(param: &str, what: String) -> Error {
    Error::new(Code::BadArgument, format!("`{param}`: {what}"))
}
