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

/// Lets `width` calls in a row of a store fail, from each `step`th on.
fn sweep(victim: usize, width: u64, step: usize) {
    let (calls, _) = run(victim, 0..0);
    for first in (0..calls).step_by(step) {
        let (_, met) = run(victim, first..first + width);
        // Until then it went as if nothing was to fail.
        assert!((1..=width).contains(&met));
    }
}

#[test]
fn nothing_is_lost_when_a_call_of_the_store_of_a_rooms_creator_fails() {
    sweep(0, 1, 19);
    sweep(0, 4, 67);
    sweep(0, 15, 97);
}

#[test]
fn nothing_is_lost_when_a_call_of_the_store_of_who_brings_the_third_server_in_fails() {
    sweep(1, 1, 19);
    sweep(1, 4, 67);
    sweep(1, 15, 97);
}

#[test]
fn nothing_is_lost_when_a_call_of_the_store_of_a_server_with_a_gap_fails() {
    sweep(2, 1, 7);
    sweep(2, 4, 17);
    sweep(2, 15, 31);
}

/// As above, with every moment.
#[test]
#[ignore = "takes minutes: `cargo xtask faults`"]
fn nothing_is_lost_whichever_call_fails() {
    for victim in 0..3 {
        for (width, step) in [(1, 1), (2, 3), (4, 5), (8, 9), (15, 16), (40, 41)] {
            sweep(victim, width, step);
        }
    }
}
