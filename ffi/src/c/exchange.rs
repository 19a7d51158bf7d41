//! What callbacks are given: requests to send, and handles to answer with.

use super::{
    bytes::roomlet_bytes,
    call::Call,
    error::{roomlet_code, roomlet_error},
    handle::{self, Opaque},
};
use roomlet_homeserver::{Code, Error, Request, Response, Result};
use std::{
    ptr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::oneshot;

/// A federation request on its way out; lives until its `roomlet_reply` is answered.
pub struct roomlet_request(());

impl Opaque for roomlet_request {
    type Inner = Request;
    const KIND: usize = 6;
}

/// Where the response to a request goes. Answer it once, with `roomlet_reply_respond` or `roomlet_reply_fail`; that uses
/// it up.
pub struct roomlet_reply(());

impl Opaque for roomlet_reply {
    type Inner = Reply;
    const KIND: usize = 7;
}

/// A question of policy. Answer it once, with `roomlet_question_allow` or `roomlet_question_refuse`; that uses it up. What
/// asked waits until then, without a limit of time; a server that closes takes it for a no.
pub struct roomlet_question(());

impl Opaque for roomlet_question {
    type Inner = Question;
    const KIND: usize = 8;
}

/// What stands behind a `roomlet_reply`.
pub(super) struct Reply {
    /// Freed with the reply.
    request: usize,
    response: Mutex<Option<oneshot::Sender<Result<Response>>>>,
}

/// What stands behind a `roomlet_question`.
pub(super) struct Question(Mutex<Option<oneshot::Sender<bool>>>);

/// Handles for a request and for its reply, and where the reply arrives.
pub(super) fn put_request(
    request: Request,
) -> (
    *const roomlet_request,
    *mut roomlet_reply,
    oneshot::Receiver<Result<Response>>,
) {
    let (sender, response) = oneshot::channel();
    let request = handle::put::<roomlet_request>(Arc::new(request));
    let reply = Reply {
        request: request.addr(),
        response: Mutex::new(Some(sender)),
    };
    (request, handle::put(Arc::new(reply)), response)
}

/// A handle for a question, and where the answer arrives.
pub(super) fn put_question() -> (*mut roomlet_question, oneshot::Receiver<bool>) {
    let (sender, answer) = oneshot::channel();
    (handle::put(Arc::new(Question(Mutex::new(Some(sender))))), answer)
}

/// The server that the request is for, before any discovery. This and what the other `roomlet_request_` functions return
/// live as long as `request`; they are empty if that is NULL or was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_request_destination(request: *const roomlet_request) -> roomlet_bytes {
    field(request, |request| Some(request.destination.as_bytes()))
}

/// The method: `GET`, `PUT`, `POST`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_request_method(request: *const roomlet_request) -> roomlet_bytes {
    field(request, |request| Some(request.method.as_bytes()))
}

/// Path and query, from `/_matrix`, to be sent byte for byte. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_request_target(request: *const roomlet_request) -> roomlet_bytes {
    field(request, |request| Some(request.target.as_bytes()))
}

/// How many `Authorization` headers to send. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_request_authorization_count(request: *const roomlet_request) -> usize {
    handle::get(request, "request").map_or(0, |request| request.authorization.len())
}

/// The value of `Authorization` header `index`; empty beyond the last. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_request_authorization(
    request: *const roomlet_request,
    index: usize,
) -> roomlet_bytes {
    field(request, |request| {
        request.authorization.get(index).map(|value| value.as_bytes())
    })
}

/// The body, JSON; empty: send none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_request_body(request: *const roomlet_request) -> roomlet_bytes {
    field(request, |request| Some(&request.body))
}

fn field(request: *const roomlet_request, of: impl FnOnce(&Request) -> Option<&[u8]>) -> roomlet_bytes {
    handle::get(request, "request")
        .ok()
        .and_then(|request| of(&request).map(roomlet_bytes::lend))
        .unwrap_or(roomlet_bytes::NONE)
}

/// Gives the response, whatever its status, and uses up `reply` and its request. One that comes too late is dropped. Any
/// thread, also in `send`. Errors: ROOMLET_BAD_ARGUMENT for a status outside 100 to 599 (`reply` can still be answered);
/// ROOMLET_FREED_HANDLE for a second answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_reply_respond(
    reply: *mut roomlet_reply,
    status: u16,
    body: roomlet_bytes,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        if !(100..=599).contains(&status) {
            return Err(Error::new(
                Code::BadArgument,
                format!("`status`: {status} is not 100 to 599"),
            ));
        }
        let body = args.bytes(body, "body")?.to_vec();
        answer(reply, Ok(Response { status, body }))
    })
}

/// Says that the destination could not be reached; `why` is for developers. Uses up `reply` and its request. Any
/// thread, also in `send`. Errors: ROOMLET_FREED_HANDLE for a second answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_reply_fail(
    reply: *mut roomlet_reply,
    why: roomlet_bytes,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }
        .run(|args| answer(reply, Err(Error::new(Code::Unreachable, args.text(why, "why")?))))
}

fn answer(reply: *mut roomlet_reply, response: Result<Response>) -> Result<()> {
    let reply = handle::take(reply, "reply")?;
    // The request cannot be freed by anyone else.
    let _ = handle::take::<roomlet_request>(ptr::without_provenance(reply.request), "request");
    if let Some(sender) = reply
        .response
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        // Nobody waits any more for an answer that comes too late.
        let _ = sender.send(response);
    }
    Ok(())
}

/// Answers yes and uses up `question`. Any thread, also in the callback that asked. Errors: ROOMLET_FREED_HANDLE for a
/// second answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_question_allow(
    question: *mut roomlet_question,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|_| decide(question, true))
}

/// Answers no and uses up `question`. Any thread, also in the callback that asked. Errors: ROOMLET_FREED_HANDLE for a
/// second answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_question_refuse(
    question: *mut roomlet_question,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|_| decide(question, false))
}

fn decide(question: *mut roomlet_question, allow: bool) -> Result<()> {
    let question = handle::take(question, "question")?;
    if let Some(sender) = question.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // Nobody waits any more for an answer that comes too late.
        let _ = sender.send(allow);
    }
    Ok(())
}
