//! One request and its answer, checked for time, size, status and form.

use crate::{env::Transport, error::ClientError};
use roomlet_wire::{
    Code, Error, ServerName, Value,
    frame::{Request, Response},
    json::{self, Numbers, Object, RawValue},
};
use std::time::Duration;

/// What of an error's body is read, in bytes.
const ERROR_BYTES: usize = 65_536;
/// What of an error's text is kept, in characters.
const ERROR_CHARS: usize = 300;

/// Sends `request` and gives the answer's body if its status is 200. Waits at most `timeout`.
pub(crate) async fn exchange(
    transport: &dyn Transport,
    request: Request,
    timeout: Duration,
    max_bytes: usize,
) -> Result<Vec<u8>, ClientError> {
    let server = request.destination.clone();
    let response = match tokio::time::timeout(timeout, transport.send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let about = format!("server {server}: {}", error.about());
            return Err(ClientError::Unreachable(Error::new(Code::Unreachable, about)));
        }
        Err(_) => {
            let about = format!("server {server}: no answer within {} ms", timeout.as_millis());
            return Err(ClientError::Unreachable(Error::new(Code::Unreachable, about)));
        }
    };
    if response.status != 200 {
        return Err(remote(server, &response));
    }
    if response.body.len() > max_bytes {
        let rule = format!(
            "{} bytes, at most {max_bytes} are taken (TM-1)",
            response.body.len()
        );
        return Err(ClientError::bad_reply(&server, rule));
    }
    Ok(response.body)
}

/// The body of an answer, an object. Events in it may break canonical JSON one by one (EV-25).
pub(crate) struct Reply(RawValue);

impl Reply {
    /// Reads it.
    pub(crate) fn read(server: &ServerName, body: &[u8]) -> Result<Self, ClientError> {
        let value =
            RawValue::parse(body, Numbers::Kept).map_err(|error| ClientError::bad_reply(server, error))?;
        match value.as_object() {
            Some(_) => Ok(Self(value)),
            None => {
                let rule = format!("the JSON is {}, an object is needed", value.as_raw().kind());
                Err(ClientError::bad_reply(server, rule))
            }
        }
    }

    /// The object.
    pub(crate) fn object(&self) -> Object<'_> {
        self.0
            .as_object()
            .expect("reading it checks that it is an object")
    }
}

fn remote(server: ServerName, response: &Response) -> ClientError {
    let body = if response.body.len() <= ERROR_BYTES {
        json::parse(&response.body).ok()
    } else {
        None
    };
    let text = |key: &str| {
        let text = body
            .as_ref()
            .and_then(|body| body.get(key))
            .and_then(Value::as_str);
        text.unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(ERROR_CHARS)
            .collect()
    };
    ClientError::Remote {
        server,
        status: response.status,
        errcode: text("errcode"),
        message: text("error"),
    }
}
