//! The store of one server fails at some moment, in turn at each; in the end all is as if it had not.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checks;
#[path = "../facts/common.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod common;
mod moments;
mod servers;
mod story;

use std::{
    ops::Range,
    panic,
    sync::{
        Once,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

/// Panics so far, also those that a server stopped.
static PANICS: AtomicU32 = AtomicU32::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Relaxed);
            before(info);
        }));
    });
}

/// Says which calls failed, if the test does.
struct Failing(usize, Range<u64>);

impl Drop for Failing {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the calls {:?} of the store of server {} failed", self.1, self.0);
        }
    }
}

/// Runs `test` alone on one thread, in a time of its own.
fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test)
}

/// Tells and checks the story once; how many calls of the victim's store it took, and how many failed.
fn run(victim: usize, failing: Range<u64>) -> (u64, u64) {
    count_panics();
    let _failing = Failing(victim, failing.clone());
    in_virtual_time(async {
        let told = story::tell(victim, failing).await;
        let faults = told.nodes()[victim].faults.clone();
        let calls = faults.calls();
        checks::check(&told, victim).await;
        assert_eq!(PANICS.load(Relaxed), 0);
        (calls, faults.met().len() as u64)
    })
}

/// With this variable every call fails in turn, which takes minutes.
const EVERY: &str = "ROOMLET_EVERY_FAULT";

/// Lets calls of a store fail: of each pair the first is how many do in a row, from each of so many on as the second says.
fn sweep(victim: usize, widths_and_steps: &[(u64, usize)]) {
    let every = [(1, 1), (2, 3), (4, 5), (8, 9), (15, 16), (40, 41)];
    let is_every = std::env::var_os(EVERY).is_some();
    let widths_and_steps = if is_every { &every } else { widths_and_steps };
    let (calls, _) = run(victim, 0..0);
    for &(width, step) in widths_and_steps {
        for first in (0..calls).step_by(step) {
            let (_, met) = run(victim, first..first + width);
            // Until then it went as if nothing was to fail.
            assert!((1..=width).contains(&met));
        }
    }
}

#[test]
fn nothing_is_lost_when_a_call_of_the_store_of_a_rooms_creator_fails() {
    sweep(0, &[(1, 19), (4, 67), (15, 97)]);
}

#[test]
fn nothing_is_lost_when_a_call_of_the_store_of_who_brings_the_third_server_in_fails() {
    sweep(1, &[(1, 19), (4, 67), (15, 97)]);
}

#[test]
fn nothing_is_lost_when_a_call_of_the_store_of_a_server_with_a_gap_fails() {
    sweep(2, &[(1, 7), (4, 17), (15, 31)]);
}
