//! Opening and closing a server, its accounts, and requests of other servers.

use super::{
    bytes::roomlet_bytes,
    call::{Call, Command},
    config::roomlet_config,
    error::{roomlet_code, roomlet_error},
    handle::{self, Opaque},
    host::{Host, ROOMLET_LOG_INFO, roomlet_host},
    op::{roomlet_done, roomlet_op},
    result::Outcome,
    server_life::Core,
};
use crate::{
    convert,
    runtime::{self, Runtime},
};
use roomlet_homeserver::{Config, Env, Homeserver, Request, Result};
use std::{
    ffi::c_void,
    sync::{Arc, Mutex, Once, PoisonError},
    thread,
};
use tokio::sync::watch;

/// A homeserver inside this process.
pub struct roomlet_server(());

impl Opaque for roomlet_server {
    type Inner = Server;
    const KIND: usize = 1;
}

/// What stands behind a `roomlet_server`.
pub(super) struct Server {
    /// Shared with what came out of the server.
    pub(super) core: Arc<Core>,
    runtime: Mutex<Option<Runtime>>,
    close: Once,
}

impl Server {
    fn open(config: Config, callbacks: roomlet_host) -> Result<Self> {
        let (closing, closes) = watch::channel(false);
        let host = Arc::new(Host::new(callbacks, config.server_name.clone(), closes)?);
        let runtime = Runtime::start()?;
        let env = Env {
            transport: host.clone(),
            clock: host.clone(),
            rng: host.clone(),
            log: host.clone(),
        };
        let policy = host.clone();
        let homeserver = runtime.run(async move { Homeserver::open(config, env, policy).await })?;
        if host.wants_updates() {
            runtime
                .handle()
                .spawn(announce_updates(homeserver.clone(), Arc::clone(&host)));
        }
        host.log(ROOMLET_LOG_INFO, "open");
        let core = Arc::new(Core::new(homeserver, closing, runtime.handle(), host));
        Ok(Self {
            core,
            runtime: Mutex::new(Some(runtime)),
            close: Once::new(),
        })
    }

    /// Ends all that is under way, closes the store, stops the threads and gives `user_data` back. Later calls wait
    /// for the first.
    fn close(&self) {
        if self.core.check_process().is_err() {
            return;
        }
        self.close.call_once(|| {
            let homeserver = self.core.shut();
            let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let (Some(homeserver), Some(runtime)) = (homeserver, runtime) {
                let closed = runtime.run(async move {
                    homeserver.close().await;
                    Ok(())
                });
                runtime.stop();
                if let Err(error) = closed {
                    self.core.poison(&error);
                }
            }
            self.core.host.log(ROOMLET_LOG_INFO, "closed");
            self.core.host.release();
        });
    }
}

/// Calls `updates_available` for what is new since now, until the server closes.
async fn announce_updates(homeserver: Homeserver, host: Arc<Host>) {
    /// Updates that one call may stand for; more only make more calls.
    const AT_ONCE: usize = 100;
    let Ok(mut seen) = homeserver.last_update().await else {
        return;
    };
    while let Ok(updates) = homeserver.updates(seen, AT_ONCE).await {
        if let Some(last) = updates.last() {
            seen = last.pos;
            host.updates_available(&convert::token(seen));
        }
    }
}

/// Opens a server: makes or opens its store, makes a signing key on first use, resumes what was under way. Blocks while
/// the store opens. `config` and `host` are copied; `host.user_data` stays in use until `host.release`.
///
/// Not from a callback. Errors: ROOMLET_BAD_ID for the name; ROOMLET_STORE, ROOMLET_STORE_LOCKED, ROOMLET_STORE_DAMAGED,
/// ROOMLET_STORE_NEWER, ROOMLET_STORE_FULL; ROOMLET_BAD_PARAM if the store is another server's or `key_validity_ms` is below 0;
/// ROOMLET_UNKNOWN_ROOM_VERSION for `default_room_version`; ROOMLET_BAD_ARGUMENT; ROOMLET_BUSY if the system gives no threads;
/// ROOMLET_WRONG_THREAD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_server_open(
    config: *const roomlet_config,
    host: *const roomlet_host,
    out: *mut *mut roomlet_server,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        let config = args.sized(config, roomlet_config::LEAST, "config")?;
        let host = args.sized(host, roomlet_host::LEAST, "host")?;
        let out = args.out(out, "out")?;
        runtime::refuse_inside("roomlet_server_open")?;
        out.write(handle::put(Arc::new(Server::open(config.read(args)?, host)?)));
        Ok(())
    })
}

/// Stops all work and closes the store. Commands under way end with ROOMLET_CLOSED, and may have taken effect all the same;
/// when this returns, each `done` and `host.release` have returned, and no callback follows. Later calls on `server` give
/// ROOMLET_CLOSED. Free it all the same.
///
/// Not from a callback. Errors: ROOMLET_WRONG_THREAD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_server_close(
    server: *mut roomlet_server,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|_| {
        let server = handle::get(server, "server")?;
        runtime::refuse_inside("roomlet_server_close")?;
        server.core.check_process()?;
        server.close();
        Ok(())
    })
}

/// Closes the server as `roomlet_server_close` does, and frees the handle. From inside a callback it does not wait: the
/// server closes in the background, and `host.release` says when. NULL is fine, and so is one that was freed.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_server_free(server: *mut roomlet_server) {
    let Ok(server) = handle::take(server, "server") else {
        return;
    };
    if runtime::inside_roomlet() {
        // Without a thread to wait on, the server stays open: better than waiting here for ever.
        let _ = thread::Builder::new()
            .name("roomlet-close".into())
            .spawn(move || server.close());
    } else {
        server.close();
    }
}

/// The server's name; lives as long as `server`, empty if that is NULL or was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_server_name(server: *const roomlet_server) -> roomlet_bytes {
    handle::get(server, "server").map_or(roomlet_bytes::NONE, |server| {
        roomlet_bytes::lend(server.core.name.as_bytes())
    })
}

/// The network is back, or the app woke up: deliveries that wait for a retry are tried at once. Any thread. Errors:
/// ROOMLET_CLOSED, ROOMLET_POISONED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_server_wake(
    server: *mut roomlet_server,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|_| {
        let core = Arc::clone(&handle::get(server, "server")?.core);
        let (homeserver, _ticket) = core.enter()?;
        let _context = core.spawner.enter();
        homeserver.wake();
        Ok(())
    })
}

/// The largest body of a request of another server, in bytes: what is larger is answered with 413.
pub const ROOMLET_MAX_REQUEST_BYTES: usize = 12_500_000;

/// Answers a federation request that another server sent to this one. `target` is path and query as they came;
/// `authorization` are the values of the `Authorization` headers. The result has the status and the body to send back
/// (`roomlet_result_status`, `roomlet_result_bytes`; `Content-Type: application/json`): what is wrong with the request is
/// said there, not by an error. If the command ends with an error, answer 503. Of a body read no more than
/// ROOMLET_MAX_REQUEST_BYTES, and answer a larger one with 413 yourself, or it is answered so here. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_server_handle_request(
    server: *mut roomlet_server,
    method: roomlet_bytes,
    target: roomlet_bytes,
    authorization: *const roomlet_bytes,
    authorization_count: usize,
    body: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let headers = args.slice(authorization, authorization_count, "authorization")?;
        let request = Request {
            destination: homeserver.server_name().clone(),
            method: args.text(method, "method")?.to_owned(),
            target: args.text(target, "target")?.to_owned(),
            authorization: headers
                .iter()
                .map(|value| args.text(*value, "authorization").map(str::to_owned))
                .collect::<Result<_>>()?,
            body: args.bytes(body, "body")?.to_vec(),
        };
        Ok(async move { Ok(Outcome::response(homeserver.handle_request(request).await)) })
    })
}

/// Makes an account; the result is its user id, `@localpart:server_name`. Any thread. Errors: ROOMLET_BAD_ID,
/// ROOMLET_EXISTS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_account_create(
    server: *mut roomlet_server,
    localpart: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let localpart = args.text(localpart, "localpart")?.to_owned();
        Ok(async move {
            Ok(Outcome::text(
                homeserver.create_account(&localpart).await?.as_str(),
            ))
        })
    })
}

/// Lists the accounts; the result is an array of user ids, sorted. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_accounts(
    server: *const roomlet_server,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |_, homeserver| {
        Ok(async move { Ok(Outcome::text(convert::ids(&homeserver.accounts().await?))) })
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.core.check_process().is_err() {
            // Nothing of the parent's is ended here.
            let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
            std::mem::forget((runtime, Arc::clone(&self.core)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_in_the_header_is_the_one_that_holds() {
        assert_eq!(ROOMLET_MAX_REQUEST_BYTES, roomlet_wire::limits::REQUEST_BYTES);
    }
}
