//! The network between the servers of a run.

use crate::random::Random;
use async_trait::async_trait;
use roomlet_homeserver::{Code, Error, Homeserver, Request, Response, Result, Transport};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What goes wrong, in percent of the requests, and how long they take, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) answer_lost: u64,
    pub(crate) doubled: u64,
    pub(crate) max_delay: u64,
}

impl Faults {
    pub(crate) const NONE: Faults = Faults {
        lost: 0,
        answer_lost: 0,
        doubled: 0,
        max_delay: 20,
    };
}

struct Wires {
    random: Random,
    faults: Faults,
    servers: BTreeMap<String, Homeserver>,
    cut: BTreeSet<(String, String)>,
    trace: u64,
    requests: u64,
}

/// See the module. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<Wires>>);

/// What happens to one request.
struct Fate {
    server: Option<Homeserver>,
    there: Duration,
    back: Duration,
    answer_lost: bool,
    doubled: bool,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Wires {
            random: Random::new(seed),
            faults: Faults::NONE,
            servers: BTreeMap::new(),
            cut: BTreeSet::new(),
            trace: 0xcbf2_9ce4_8422_2325,
            requests: 0,
        })))
    }

    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn plug(&self, name: &str, server: Homeserver) {
        self.wires().servers.insert(name.to_owned(), server);
    }

    pub(crate) fn unplug(&self, name: &str) {
        self.wires().servers.remove(name);
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.wires().faults = faults;
    }

    pub(crate) fn cut(&self, a: &str, b: &str) {
        let mut wires = self.wires();
        wires.cut.insert((a.to_owned(), b.to_owned()));
        wires.cut.insert((b.to_owned(), a.to_owned()));
    }

    pub(crate) fn heal(&self) {
        self.wires().cut.clear();
    }

    /// A hash of everything that crossed the network, in its order, and how much it was.
    pub(crate) fn trace(&self) -> (u64, u64) {
        let wires = self.wires();
        (wires.trace, wires.requests)
    }

    /// The wire of one server.
    pub(crate) fn wire(&self, from: &str) -> Wire {
        Wire {
            from: from.to_owned(),
            network: self.clone(),
        }
    }

    fn fate(&self, from: &str, request: &Request) -> Fate {
        let mut wires = self.wires();
        wires.requests += 1;
        for part in [
            from.as_bytes(),
            request.method.as_bytes(),
            request.target.as_bytes(),
            &request.body,
        ] {
            for &byte in part {
                wires.trace = (wires.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let faults = wires.faults;
        let is_cut = wires
            .cut
            .contains(&(from.to_owned(), request.destination.to_string()));
        let lost = wires.random.chance(faults.lost);
        Fate {
            server: wires
                .servers
                .get(request.destination.as_str())
                .filter(|_| !is_cut && !lost)
                .cloned(),
            there: Duration::from_millis(wires.random.below(faults.max_delay) + 1),
            back: Duration::from_millis(wires.random.below(faults.max_delay) + 1),
            answer_lost: wires.random.chance(faults.answer_lost),
            doubled: wires.random.chance(faults.doubled),
        }
    }
}

/// See [`Network::wire`].
pub(crate) struct Wire {
    from: String,
    network: Network,
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Response> {
        let fate = self.network.fate(&self.from, &request);
        let unreachable = |why: &str| {
            Error::new(
                Code::Unreachable,
                format!("{} is not reachable: {why}", request.destination),
            )
        };
        tokio::time::sleep(fate.there).await;
        let Some(server) = fate.server else {
            return Err(unreachable("lost"));
        };
        if fate.doubled {
            let (server, request) = (server.clone(), request.clone());
            tokio::spawn(async move {
                tokio::time::sleep(fate.back).await;
                server.handle_request(request).await
            });
        }
        let response = server.handle_request(request.clone()).await;
        tokio::time::sleep(fate.back).await;
        if fate.answer_lost {
            Err(unreachable("answer lost"))
        } else {
            Ok(response)
        }
    }
}
