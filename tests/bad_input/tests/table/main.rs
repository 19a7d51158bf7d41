//! The table of bad input.
//!
//! A row is `name: input => code, text;` under the edge where the input arrives, and is a test of its own. Every edge
//! checks the code, that the text is part of the message, and that nothing changed: the store holds the same, down to the
//! last field, but for the reply that a transaction is answered with again. A refused event may be *held* as refused, so
//! that nobody has to send it twice; then the room's extremities, state and updates are the same.
//!
//! What a C program can do wrong besides is in `bindings/c/tests/bad_input.c`.
#![allow(clippy::unwrap_used, reason = "a test may")]

/// Rows of one edge.
macro_rules! rows {
    ($edge:path: $($name:ident: $input:expr => $code:ident, $text:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            $edge($input, roomlet_wire::Code::$code, $text).await;
        }
    )*};
    // What is not answered for has neither code nor text.
    ($edge:path: $($name:ident: $input:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            $edge($input).await;
        }
    )*};
}

mod commands;
mod denials;
mod frames;
mod handshakes;
mod identifiers;
mod joins;
mod keys;
mod pdus;
mod requests;
mod scene;
mod signatures;
mod store_files;
mod transactions;
