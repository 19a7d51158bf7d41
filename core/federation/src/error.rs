//! How a request to another server can fail.

use roomlet_wire::{Code, Error, ServerName};
use std::fmt;

/// Why a request to another server gave nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientError {
    /// There was no answer, or none in time.
    Unreachable(Error),
    /// The server answered with another status than 200.
    Remote {
        /// The server that answered.
        server: ServerName,
        /// The HTTP status.
        status: u16,
        /// The Matrix `errcode`; empty if the body has none.
        errcode: String,
        /// The server's `error` text, for people; shortened to 300 characters.
        message: String,
    },
    /// The answer breaks the protocol: no JSON object, a field of the wrong type, a size limit.
    BadReply(Error),
}

impl ClientError {
    /// An answer of `server` that breaks the protocol.
    pub(crate) fn bad_reply(server: &ServerName, rule: impl fmt::Display) -> Self {
        Self::BadReply(Error::new(
            Code::BadReply,
            format!("the reply of server {server}: {rule}"),
        ))
    }

    /// The status that the server answered with; `None` if that was 200 or there was no answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::Remote { status, .. } = self {
            Some(*status)
        } else {
            None
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) | Self::BadReply(error) => error.fmt(f),
            Self::Remote {
                server,
                status,
                errcode,
                message,
            } => {
                write!(f, "server {server} answered {status} {errcode}: {message}")
            }
        }
    }
}

impl std::error::Error for ClientError {}

impl From<ClientError> for Error {
    /// [`Code::Unreachable`], [`Code::Remote`] or [`Code::BadReply`].
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable(error) | ClientError::BadReply(error) => error,
            remote @ ClientError::Remote { .. } => Error::new(Code::Remote, remote.to_string()),
        }
    }
}
