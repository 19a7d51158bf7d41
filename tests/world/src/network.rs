//! The network: every request takes a millisecond each way, and fails only where a test cut a wire.

use async_trait::async_trait;
use roomlet_homeserver::{Code, Error, Request, Response, Result, ServerName, Transport};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The time that a request, and its answer, is under way.
const DELAY: Duration = Duration::from_millis(1);

/// Somebody who answers requests.
#[async_trait]
pub trait Endpoint: Send + Sync + 'static {
    /// Answers one.
    async fn serve(&self, request: Request) -> Response;
}

#[derive(Default)]
struct Wires {
    servers: BTreeMap<ServerName, Arc<dyn Endpoint>>,
    cut: BTreeSet<(ServerName, ServerName)>,
    requests: Vec<(ServerName, Request)>,
}

/// See the module. Clones are the same network.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Wires>>);

impl Network {
    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a server on the network, in place of the one that had its name.
    pub fn plug(&self, name: &ServerName, server: Arc<dyn Endpoint>) {
        self.wires().servers.insert(name.clone(), server);
    }

    /// Takes a server off.
    pub fn unplug(&self, name: &ServerName) {
        self.wires().servers.remove(name);
    }

    /// Cuts the wire between two servers, both ways.
    pub fn cut(&self, a: &ServerName, b: &ServerName) {
        let mut wires = self.wires();
        wires.cut.insert((a.clone(), b.clone()));
        wires.cut.insert((b.clone(), a.clone()));
    }

    /// Mends all wires.
    pub fn heal(&self) {
        self.wires().cut.clear();
    }

    /// The requests that `from` made to `to` so far, those that got lost included.
    #[must_use]
    pub fn requests(&self, from: &ServerName, to: &ServerName) -> Vec<Request> {
        let wires = self.wires();
        let between = wires
            .requests
            .iter()
            .filter(|(sender, request)| sender == from && request.destination == *to);
        between.map(|(_, request)| request.clone()).collect()
    }

    /// The transport of one server.
    #[must_use]
    pub fn wire(&self, from: &ServerName) -> Wire {
        Wire {
            from: from.clone(),
            network: self.clone(),
        }
    }

    fn endpoint(&self, from: &ServerName, request: &Request) -> Option<Arc<dyn Endpoint>> {
        let mut wires = self.wires();
        wires.requests.push((from.clone(), request.clone()));
        let is_cut = wires.cut.contains(&(from.clone(), request.destination.clone()));
        wires
            .servers
            .get(&request.destination)
            .filter(|_| !is_cut)
            .cloned()
    }
}

/// See [`Network::wire`].
pub struct Wire {
    from: ServerName,
    network: Network,
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Response> {
        tokio::time::sleep(DELAY).await;
        let Some(server) = self.network.endpoint(&self.from, &request) else {
            return Err(Error::new(
                Code::Unreachable,
                format!("no way to {}", request.destination),
            ));
        };
        let response = server.serve(request).await;
        tokio::time::sleep(DELAY).await;
        Ok(response)
    }
}
