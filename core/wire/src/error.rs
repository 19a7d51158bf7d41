//! The one error type: a stable code, a Matrix errcode where a peer needs one, and a message that names
//! the thing and the rule.

use alloc::{boxed::Box, string::String};
use core::fmt;

/// The result of everything in roomlet that can fail.
pub type Result<T, E = Error> = core::result::Result<T, E>;

macro_rules! codes {
    ($(#[doc = $doc:literal] $name:ident = $number:literal, $errcode:literal, $status:literal;)*) => {
        /// What went wrong, as a number that never changes its meaning and is never reused.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $doc] $name = $number,)* }

        impl Code {
            /// Every code there is, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The Matrix errcode that a peer sees for this code.
            #[must_use]
            pub fn errcode(self) -> &'static str { match self { $(Code::$name => $errcode,)* } }

            /// The HTTP status that a peer sees for this code.
            #[must_use]
            pub fn status(self) -> u16 { match self { $(Code::$name => $status,)* } }

            /// What the code means, as its documentation says.
            #[must_use]
            pub fn meaning(self) -> &'static str { match self { $(Code::$name => $doc.trim_ascii(),)* } }

            /// The code's name, as in this source.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Code::$name => stringify!($name),)* } }
        }
    };
}

codes! {
    /// Not JSON, or JSON that breaks a limit of the parser.
    BadJson = 100, "M_NOT_JSON", 400;
    /// JSON that canonical JSON does not allow: a float, an integer out of range.
    NotCanonical = 101, "M_BAD_JSON", 400;
    /// An identifier that breaks its grammar or length.
    BadId = 102, "M_INVALID_PARAM", 400;
    /// An event, request or field beyond its size limit.
    TooLarge = 103, "M_TOO_LARGE", 413;
    /// An event without a required field, or with one of the wrong type.
    BadEvent = 104, "M_BAD_JSON", 400;
    /// A room version that this server does not know.
    UnknownRoomVersion = 105, "M_INCOMPATIBLE_ROOM_VERSION", 400;
    /// A parameter that is missing or makes no sense.
    BadParam = 106, "M_INVALID_PARAM", 400;
    /// A signature that does not verify.
    BadSignature = 200, "M_FORBIDDEN", 403;
    /// A signature that has to be there and is not.
    MissingSignature = 201, "M_FORBIDDEN", 403;
    /// A signing key that could not be had.
    UnknownKey = 202, "M_FORBIDDEN", 403;
    /// A signing key that was not valid at the time of the event.
    ExpiredKey = 203, "M_FORBIDDEN", 403;
    /// A federation request without valid authentication.
    Unauthorized = 204, "M_UNAUTHORIZED", 401;
    /// What the rules refuse, those of the room or of the command; the message names the rule.
    Denied = 300, "M_FORBIDDEN", 403;
    /// The user is not in the room.
    NotJoined = 301, "M_FORBIDDEN", 403;
    /// The host's policy, a server ACL or a membership refuses this.
    Forbidden = 302, "M_FORBIDDEN", 403;
    /// A room that this server does not hold.
    UnknownRoom = 400, "M_NOT_FOUND", 404;
    /// An event that this server does not hold.
    UnknownEvent = 401, "M_NOT_FOUND", 404;
    /// A user that is not an account of this server.
    UnknownUser = 402, "M_NOT_FOUND", 404;
    /// Something else that is not there.
    NotFound = 403, "M_NOT_FOUND", 404;
    /// A federation endpoint that this server does not have.
    UnknownEndpoint = 404, "M_UNRECOGNIZED", 404;
    /// A federation endpoint that does not know this method.
    UnknownMethod = 405, "M_UNRECOGNIZED", 405;
    /// The thing exists already.
    Exists = 406, "M_USER_IN_USE", 400;
    /// The other server could not be reached.
    Unreachable = 500, "M_UNKNOWN", 502;
    /// The other server answered with an error; the message has its errcode.
    Remote = 501, "M_UNKNOWN", 502;
    /// The other server's answer breaks the protocol.
    BadReply = 502, "M_UNKNOWN", 502;
    /// Too much is under way; try again later.
    Busy = 503, "M_LIMIT_EXCEEDED", 429;
    /// The store could not be read or written.
    Store = 600, "M_UNKNOWN", 500;
    /// The store has no room left on its disk.
    StoreFull = 601, "M_UNKNOWN", 500;
    /// Another owner has the store open, in this process or another.
    StoreLocked = 602, "M_UNKNOWN", 500;
    /// The store's file is damaged or is no store.
    StoreDamaged = 603, "M_UNKNOWN", 500;
    /// The store was written by a newer version of roomlet.
    StoreNewer = 604, "M_UNKNOWN", 500;
    /// The server was closed.
    Closed = 700, "M_UNKNOWN", 503;
    /// The operation was cancelled.
    Cancelled = 701, "M_UNKNOWN", 503;
    /// An earlier panic made this server unusable; others live on.
    Poisoned = 702, "M_UNKNOWN", 500;
    /// A bug in roomlet: a panic was stopped at the boundary.
    Panic = 703, "M_UNKNOWN", 500;
    /// A null pointer, a bad length, a bad struct size or a wrong handle at the C boundary.
    BadArgument = 704, "M_UNKNOWN", 500;
    /// The call is not allowed on this thread.
    WrongThread = 705, "M_UNKNOWN", 500;
    /// A callback of the host failed.
    Host = 706, "M_UNKNOWN", 500;
    /// The handle was freed already.
    FreedHandle = 707, "M_UNKNOWN", 500;
    /// The wait ended before the operation did; it goes on.
    TimedOut = 708, "M_UNKNOWN", 500;
}

/// An error: [`Code`], what it is about, and optionally a Matrix errcode of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: Code,
    errcode: Option<&'static str>,
    status: Option<u16>,
    room_version: Option<String>,
    about: String,
}

impl Error {
    /// An error about a thing: `about` names it and the rule that it breaks.
    pub fn new(code: Code, about: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            errcode: None,
            status: None,
            room_version: None,
            about: about.into(),
        }))
    }

    /// The same error with another Matrix errcode and HTTP status than its code's own.
    #[must_use]
    pub fn with_errcode(mut self, errcode: &'static str, status: u16) -> Self {
        self.0.errcode = Some(errcode);
        self.0.status = Some(status);
        self
    }

    /// The same error with the room version that a peer is told in `room_version` (FED-30, FED-37).
    #[must_use]
    pub fn with_room_version(mut self, version: &str) -> Self {
        self.0.room_version = Some(version.into());
        self
    }

    /// The room version that a peer is told.
    #[must_use]
    pub fn room_version(&self) -> Option<&str> {
        self.0.room_version.as_deref()
    }

    /// The same error, its message preceded by `context` and a colon.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.about = alloc::format!("{context}: {}", self.0.about);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The Matrix errcode that a peer sees.
    #[must_use]
    pub fn errcode(&self) -> &'static str {
        self.0.errcode.unwrap_or(self.0.code.errcode())
    }

    /// The HTTP status that a peer sees.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status.unwrap_or(self.0.code.status())
    }

    /// What a peer may read of it: of errors inside this server, which may name files and the like, that there was one.
    #[must_use]
    pub fn for_peers(&self) -> &str {
        match self.status() {
            500 => "an error inside the server",
            _ => self.about(),
        }
    }

    /// Whether the store could not be used now: that says nothing of what was asked, and the same may work later.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self.code(), Code::Store | Code::StoreFull | Code::StoreLocked)
    }

    /// What was wrong with which thing.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.0.about
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.about)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({}): {}",
            self.0.code.name(),
            self.0.code as i32,
            self.0.about
        )
    }
}

impl core::error::Error for Error {}
