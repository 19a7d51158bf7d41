//! Errors out of roomlet, and errors that a host's callbacks give.

use roomlet_homeserver::{Code, Error};
use std::fmt;

/// What every operation throws.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Error)]
pub enum RoomletError {
    /// The operation did not succeed.
    Failed {
        /// What went wrong, as a number that never changes its meaning: see `errorCodes`.
        code: i32,
        /// The Matrix errcode of it, as `M_FORBIDDEN`.
        errcode: String,
        /// What was wrong with which thing, for people.
        about: String,
    },
}

impl RoomletError {
    /// An error of this face itself.
    pub(super) fn new(code: Code, about: impl Into<String>) -> Self {
        Error::new(code, about).into()
    }
}

impl From<Error> for RoomletError {
    fn from(error: Error) -> Self {
        Self::Failed {
            code: error.code() as i32,
            errcode: error.errcode().into(),
            about: error.about().into(),
        }
    }
}

impl fmt::Display for RoomletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { code, errcode, about } = self;
        write!(f, "{about} ({errcode}, {code})")
    }
}

impl std::error::Error for RoomletError {}

/// A kind of error that operations throw.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct ErrorCode {
    /// Its number, which never changes its meaning and is never reused.
    pub number: i32,
    /// Its name, as `NotJoined`.
    pub name: String,
    /// Its Matrix errcode, where the error has none of its own.
    pub errcode: String,
}

/// Every kind of error there is, by number.
///
/// # Errors
/// None.
#[uniffi::export]
pub fn error_codes() -> Result<Vec<ErrorCode>, RoomletError> {
    Ok(Code::ALL
        .iter()
        .map(|&code| ErrorCode {
            number: code as i32,
            name: code.name().into(),
            errcode: code.errcode().into(),
        })
        .collect())
}

/// Why a transport has no response to a request.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Error)]
pub enum TransportError {
    /// The destination could not be reached, or the connection ended before the response did.
    Unreachable {
        /// What happened, for people: it becomes part of the operation's error.
        reason: String,
    },
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unreachable { reason } = self;
        f.write_str(reason)
    }
}

impl std::error::Error for TransportError {}

// Without this conversion an exception of another type in the host's code would be a panic here.
impl From<uniffi::UnexpectedUniFFICallbackError> for TransportError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unreachable {
            reason: format!("the host's transport failed: {}", error.reason),
        }
    }
}

/// Why another callback of the host failed.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Error)]
pub enum HostError {
    /// The callback could not do its work.
    Failed {
        /// What happened, for people.
        reason: String,
    },
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Failed { reason } = self;
        f.write_str(reason)
    }
}

impl std::error::Error for HostError {}

impl From<uniffi::UnexpectedUniFFICallbackError> for HostError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}
