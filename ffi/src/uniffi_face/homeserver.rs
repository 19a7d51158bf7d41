//! The object whose methods are the facade's operations; those on rooms are in `rooms`.

use super::{
    config::Config,
    error::RoomletError,
    foreign::{HostLog, HostPolicy, HostTransport, Judge, Log, Logger, Transport},
    operation::Operation,
    records::{Request, Response, UpdateEntry},
    shared::Shared,
};
use crate::world::{SystemClock, SystemRng};
use roomlet_homeserver as core;
use roomlet_homeserver::StreamPos;
use std::{future::Future, sync::Arc};

/// A homeserver. Every method from any thread.
///
/// A command returns once its result is durable here; other servers hear of it later. A caller that stops waiting
/// does not stop the command; `under` gives a handle whose calls can be cancelled. Each method throws
/// `RoomletError`, with the code 700 (`Closed`) after `close`.
#[derive(uniffi::Object)]
pub struct Homeserver {
    shared: Arc<Shared>,
    operation: Option<Arc<Operation>>,
}

impl Homeserver {
    pub(super) async fn run<T, Fut>(
        &self,
        work: impl FnOnce(core::Homeserver) -> Fut,
    ) -> Result<T, RoomletError>
    where
        T: Send + 'static,
        Fut: Future<Output = core::Result<T>> + Send + 'static,
    {
        self.shared.run(self.operation.as_deref(), work).await
    }

    async fn watch<T, Fut>(&self, work: impl FnOnce(core::Homeserver) -> Fut) -> Result<T, RoomletError>
    where
        T: Send + 'static,
        Fut: Future<Output = core::Result<T>> + Send + 'static,
    {
        self.shared.watch(self.operation.as_deref(), work).await
    }
}

#[uniffi::export]
impl Homeserver {
    /// Opens the store, makes a signing key on first use, and resumes what was under way. Without a `policy`
    /// nothing is refused.
    ///
    /// # Errors
    /// 106 `BadParam`: the store is another server's, its path is empty, or `key_validity_ms` is not above 0.
    /// 105 `UnknownRoomVersion`: `default_room_version`. 102 `BadId`: the name. 602 `StoreLocked`: another owner holds the
    /// file. 603 `StoreDamaged`, 604 `StoreNewer`, 601 `StoreFull`, 600 `Store`.
    #[uniffi::constructor(default(policy = None, logger = None))]
    pub async fn open(
        config: Config,
        transport: Arc<dyn Transport>,
        policy: Option<Arc<dyn HostPolicy>>,
        logger: Option<Arc<dyn Logger>>,
    ) -> Result<Arc<Self>, RoomletError> {
        let config = core::Config::try_from(config)?;
        let name = config.server_name.as_str().to_owned();
        let log = Log(logger);
        let env = core::Env {
            transport: Arc::new(HostTransport(transport)),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            log: Arc::new(HostLog {
                log: log.clone(),
                name: name.clone(),
            }),
        };
        let policy: Arc<dyn core::Policy> = match policy {
            Some(policy) => Arc::new(Judge {
                policy,
                log: log.clone(),
            }),
            None => Arc::new(core::AllowAll),
        };
        let shared = Shared::open(name, log, core::Homeserver::open(config, env, policy)).await?;
        Ok(Arc::new(Self {
            shared: Arc::new(shared),
            operation: None,
        }))
    }

    /// Stops all work, closes the store and lets go of the host's callbacks. Calls under way and later ones, on any
    /// handle, throw 700 `Closed`; what was to be durable by then may be, so a command that ends so may have taken
    /// effect. Closing again has no effect, and returns when the first has ended.
    ///
    /// # Errors
    /// 503 `Busy`: the system gives no thread to close on.
    pub async fn close(&self) -> Result<(), RoomletError> {
        self.shared.close().await
    }

    /// As `close`, but blocks, and none of roomlet's threads is left when it returns: for a language whose process
    /// cannot end cleanly while another thread still tells it of a result. Not from a callback.
    ///
    /// # Errors
    /// 705 `WrongThread`: called from a callback.
    pub fn close_blocking(&self) -> Result<(), RoomletError> {
        self.shared.close_blocking()
    }

    /// The same homeserver, in a handle whose calls `operation` cancels. Where the language cancels a waiting
    /// call by itself this is not needed; Swift does not.
    ///
    /// # Errors
    /// None.
    pub fn under(&self, operation: Arc<Operation>) -> Result<Arc<Self>, RoomletError> {
        Ok(Arc::new(Self {
            shared: self.shared.clone(),
            operation: Some(operation),
        }))
    }

    /// The server's name.
    ///
    /// # Errors
    /// None.
    pub fn server_name(&self) -> Result<String, RoomletError> {
        Ok(self.shared.name().to_owned())
    }

    /// Answers a federation request of another server: what is wrong with it is in the response.
    ///
    /// # Errors
    /// 102 `BadId`: the destination is no server name.
    pub async fn handle_request(&self, request: Request) -> Result<Response, RoomletError> {
        let request = core::Request::try_from(request)?;
        let response = self
            .run(|server| async move { Ok(server.handle_request(request).await) })
            .await?;
        Ok(response.into())
    }

    /// The network is back, or the app woke up: deliveries that wait after a failure are tried at once.
    ///
    /// # Errors
    /// 700 `Closed`.
    pub fn wake(&self) -> Result<(), RoomletError> {
        let (server, handle) = self.shared.live()?;
        let _inside = handle.enter();
        server.wake();
        Ok(())
    }

    /// Makes an account and gives its user id, `@localpart:server_name`.
    ///
    /// # Errors
    /// 102 `BadId`: not 1 or more of `a-z0-9._=-/+`, or too long. 406 `Exists`.
    pub async fn create_account(&self, localpart: String) -> Result<String, RoomletError> {
        let id = self
            .run(|server| async move { server.create_account(&localpart).await })
            .await?;
        Ok(id.as_str().to_owned())
    }

    /// The ids of the server's accounts, in order.
    ///
    /// # Errors
    /// 600 `Store`.
    pub async fn accounts(&self) -> Result<Vec<String>, RoomletError> {
        let ids = self.run(|server| async move { server.accounts().await }).await?;
        Ok(ids.iter().map(|id| id.as_str().to_owned()).collect())
    }

    /// The updates after position `since` (0: from the beginning), 1 to `max` of them (at most 1,000); waits until there is
    /// one. The host stores the last position it has handled and resumes there after a crash. Ends when the caller stops
    /// waiting.
    ///
    /// # Errors
    /// 700 `Closed`, also for a call that waits already; 106 `BadParam` for a position beyond the newest update, of another
    /// store or of a store that went back to a backup.
    pub async fn updates(&self, since: u64, max: u32) -> Result<Vec<UpdateEntry>, RoomletError> {
        let entries = self
            .watch(|server| async move { server.updates(StreamPos(since), max as usize).await })
            .await?;
        Ok(entries.into_iter().map(Into::into).collect())
    }

    /// The position of the newest update.
    ///
    /// # Errors
    /// 600 `Store`.
    pub async fn last_update(&self) -> Result<u64, RoomletError> {
        let pos = self
            .run(|server| async move { server.last_update().await })
            .await?;
        Ok(pos.0)
    }

    /// Forgets the updates up to and with `up_to`, which every reader has handled. Without this the stream only grows.
    ///
    /// # Errors
    /// 106 `BadParam` for a position beyond the newest update, as in `updates`. 600 `Store`.
    pub async fn trim_updates(&self, up_to: u64) -> Result<(), RoomletError> {
        self.run(|server| async move { server.trim_updates(StreamPos(up_to)).await })
            .await
    }
}
