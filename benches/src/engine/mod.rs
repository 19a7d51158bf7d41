//! The engine beside ruma's, on the same events.

pub(crate) mod auth;
pub(crate) mod pdu;
pub(crate) mod resolve;
pub(crate) mod rooms;
mod ruma;
