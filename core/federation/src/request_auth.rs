//! Who sent a request (FED-1 … FED-4).

use crate::{
    env::LogLevel,
    keys::KeyCache,
    route::{Inbound, Route},
};
use roomlet_wire::{
    Code, Error, Result, ServerName,
    frame::{Request, XMatrix},
    json::{Numbers, Raw, RawValue},
    limits,
};

/// `Authorization` headers of one request; each may cost a key fetch and a signature check.
const MAX_HEADERS: usize = 8;

/// Takes a request as it arrived: finds the endpoint, reads the body once, authenticates the sender where the
/// endpoint needs it, and only then reads the fields (FED-4). The sender is `None` for public endpoints.
///
/// # Errors
/// As [`Route::find`], [`Route::read`] and [`authenticate`]; [`Code::TooLarge`] for a body beyond
/// [`limits::REQUEST_BYTES`], [`Code::BadJson`] for one that is no JSON.
pub async fn receive(request: &Request, keys: &KeyCache) -> Result<(Option<ServerName>, Inbound)> {
    let route = Route::find(&request.method, &request.target)?;
    if request.body.len() > limits::REQUEST_BYTES {
        let about = format!(
            "the body has {} bytes, at most {} are taken",
            request.body.len(),
            limits::REQUEST_BYTES
        );
        return Err(Error::new(Code::TooLarge, about));
    }
    let content = match &request.body[..] {
        [] => None,
        // Lenient, as one bad PDU must not fail the transaction (EV-25).
        body => Some(RawValue::parse(body, Numbers::Kept)?),
    };
    let content = content.as_ref().map(RawValue::as_raw);
    let origin = match route.is_public() {
        true => None,
        false => Some(authenticate(request, content, keys).await?),
    };
    Ok((origin, route.read(content)?))
}

/// Checks the `X-Matrix` headers of a request to this server and gives its sender. `content` is the body, if
/// there is one.
///
/// Headers whose key cannot be had or is not valid now (EV-18) are skipped; every other one must verify, and there
/// must be one. A key that is not known is fetched.
///
/// # Errors
/// [`Code::Unauthorized`]: no header, a malformed one, several senders, another destination, a bad signature, no
/// usable key, or this server's own name as the sender. [`Code::Store`] and its kin if keys cannot be read.
pub async fn authenticate(
    request: &Request,
    content: Option<Raw<'_>>,
    keys: &KeyCache,
) -> Result<ServerName> {
    let sender = check(request, content, keys).await;
    // Without a header there is nobody whose signature could be wrong: strangers knock.
    if let Err(error) = &sender
        && !request.authorization.is_empty()
    {
        let line = format_args!(
            "request {:.10} {:.200} is refused: {error}",
            request.method, request.target
        );
        keys.env().log(LogLevel::Warn, line);
    }
    sender
}

async fn check(request: &Request, content: Option<Raw<'_>>, keys: &KeyCache) -> Result<ServerName> {
    let me = keys.server_name();
    let headers = &request.authorization;
    if headers.is_empty() || headers.len() > MAX_HEADERS {
        let about = format!(
            "{} `Authorization` headers, 1 to {MAX_HEADERS} are needed (FED-3)",
            headers.len()
        );
        return Err(refused(about));
    }
    let headers: Vec<XMatrix> = headers
        .iter()
        .map(|header| XMatrix::parse(header))
        .collect::<Result<_>>()?;
    let origin = headers[0].origin.clone();
    if headers.iter().any(|header| header.origin != origin) {
        return Err(refused(
            "`Authorization` headers of several senders (FED-3)".into(),
        ));
    }
    if origin == *me {
        return Err(refused(format!("a request of {me} to itself")));
    }
    if let Some(other) = headers
        .iter()
        .filter_map(|h| h.destination.as_ref())
        .find(|name| *name != me)
    {
        return Err(refused(format!(
            "the request is for {other}, this is {me} (FED-3)"
        )));
    }
    let now = keys.now_ms();
    keys.ensure(
        headers
            .iter()
            .map(|header| (origin.clone(), header.key.clone(), now)),
    )
    .await;
    let mut unusable = None;
    let mut verified = false;
    for header in &headers {
        match keys.request_key(&origin, &header.key, now) {
            Ok(key) => {
                header.verify(&key, me, &request.method, &request.target, content)?;
                verified = true;
            }
            Err(error) if matches!(error.code(), Code::UnknownKey | Code::ExpiredKey) => {
                unusable = Some(error)
            }
            Err(error) => return Err(error),
        }
    }
    match unusable {
        Some(error) if !verified => Err(refused(error.about().to_owned())),
        _ => Ok(origin),
    }
}

fn refused(about: String) -> Error {
    Error::new(Code::Unauthorized, about)
}
