//! Delivery under random failures and restarts: whatever happens, the destination gets everything, in order, and an
//! id never stands for two bodies.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use roomlet_federation::{Sender, SenderSettings};
use roomlet_store::Store;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::*;

const SEEDS: u64 = 40;
const EVENTS: u32 = 120;

/// A xorshift generator: the same run for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % end
    }
}

/// The destination: takes each transaction id once, and each event once.
#[derive(Default)]
struct Peer {
    bodies: BTreeMap<String, Vec<u8>>,
    events: Vec<i64>,
}

impl Peer {
    fn take(&mut self, request: &roomlet_wire::frame::Request) {
        match self.bodies.get(&request.target) {
            Some(body) => assert_eq!(*body, request.body, "two bodies of {}", request.target),
            None => {
                self.bodies.insert(request.target.clone(), request.body.clone());
                for event in pdus(request) {
                    if !self.events.contains(&event) {
                        self.events.push(event);
                    }
                }
            }
        }
    }
}

async fn run(seed: u64) {
    let world = world().await;
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let peer = Arc::new(Mutex::new(Peer::default()));
    let (taker, chance) = (peer.clone(), Mutex::new(Random(random.0 ^ 0xABCD)));
    world.net.answers(move |request| {
        let chance = chance.lock().unwrap().below(10);
        if chance >= 3 {
            taker.lock().unwrap().take(request);
        }
        let wait = Duration::from_millis(50 * chance);
        match chance {
            0 => Answer::Unreachable,
            1 => Answer::After(wait, 503, "{}".into()),
            2 | 3 => Answer::Never,
            // Taken, but the acknowledgement is lost.
            4 => Answer::Unreachable,
            _ => Answer::After(wait, 200, "{}".into()),
        }
    });
    let settings = SenderSettings {
        pdus_per_second: 20,
        burst: 30,
        backoff_first: Duration::from_secs(1),
        backoff_max: Duration::from_secs(8),
        outbox_per_destination: 1_000,
    };
    let start = || {
        Sender::start(
            world.store.clone(),
            world.env.clone(),
            world.client.clone(),
            settings.clone(),
        )
        .unwrap()
    };
    let mut sender = start();
    for n in 1..=EVENTS {
        owe(&*world.store, PEER, n).await;
        sender.notify(&server(PEER));
        match random.below(12) {
            0 => pass(random.below(20_000)).await,
            1 => sender.wake_all(),
            2 => sender.peer_alive(&server(PEER)),
            3 => {
                sender.shutdown().await;
                sender = start();
            }
            _ => pass(random.below(400)).await,
        }
    }
    pass(3_600_000).await;
    assert_eq!(world.store.owed(), Ok(vec![]), "seed {seed}");
    let expected: Vec<i64> = (1..=i64::from(EVENTS)).collect();
    assert_eq!(peer.lock().unwrap().events, expected, "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_in_order_whatever_fails() {
    for seed in 1..=SEEDS {
        run(seed).await;
    }
}
