//! What coverage does not see: time and memory grow no faster than the input, whatever it is.
//!
//! Time is compared with itself, 64 times less input against all of it, so that the machine does not matter: ten times
//! the time for a byte is a bug, as what is quadratic takes 64 times.

use roomlet_federation::Inbound;
use roomlet_wire::{
    Code, Parsed, Pdu, RoomVersion,
    frame::{Request, XMatrix},
    json::{self, Numbers},
    limits,
};
use roomlet_world::World;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

/// The larger input of a pair, in bytes, about.
const LARGE: usize = 1 << 18;
/// How much smaller the other one is.
const STEP: usize = 64;
/// How much more time a byte may take in the larger one.
const SLACK: f64 = 10.0;
/// Bytes of memory for a byte of JSON in a tree. The worst is an object with one short member, seven bytes: a node of a
/// B-tree has room for eleven.
const TREE_MEMORY: usize = 144;
/// Bytes of memory for a byte of JSON that is brought into canonical form. The worst are lists of single digits.
const BODY_MEMORY: usize = 32;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread holds.
struct Counting;

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that `work` held at once beyond what was held before, in bytes.
fn memory_of(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    work();
    (MOST.get() - before).unsigned_abs()
}

/// The shortest of some runs: the least disturbed by other load.
fn time_of(mut work: impl FnMut()) -> Duration {
    let run = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..3).map(run).min().unwrap_or_default()
}

/// Checks that `work` takes about as long for each byte of `input(n)` whatever `n` is. The input has about `n` bytes.
fn assert_linear(what: &str, input: impl Fn(usize) -> String, work: impl Fn(&[u8])) {
    let (small, large) = (input(LARGE / STEP), input(LARGE));
    // As many bytes in all on both sides.
    let many = time_of(|| (0..STEP).for_each(|_| work(small.as_bytes())));
    let one = time_of(|| work(large.as_bytes()));
    let ratio = one.as_secs_f64() / many.as_secs_f64();
    assert!(ratio < SLACK, "{what}: {ratio:.1} times the time for a byte");
}

type Make = fn(usize) -> String;

/// JSON that is hard for some parser. Each makes about `n` bytes.
const HARD_JSON: &[(&str, Make)] = &[
    ("a long string", |n| format!("\"{}\"", "x".repeat(n))),
    ("escapes", |n| format!("\"{}\"", "\\n".repeat(n / 2))),
    ("surrogate pairs", |n| {
        format!("\"{}\"", "\\ud83d\\ude00".repeat(n / 12))
    }),
    ("control characters", |n| {
        format!("\"{}\"", "\\u0001".repeat(n / 6))
    }),
    ("zeros", |n| format!("[{}0]", "0,".repeat(n / 2))),
    ("empty lists", |n| format!("[{}[]]", "[],".repeat(n / 3))),
    ("small objects", |n| {
        format!("[{}{{}}]", "{\"\":0},".repeat(n / 7))
    }),
    ("one key", |n| format!("{{{}\"a\":0}}", "\"a\":0,".repeat(n / 6))),
    ("keys that ascend", |n| members(0..n / 12)),
    ("keys that descend", |n| members((0..n / 12).rev())),
    ("nests", |n| {
        let nest = format!("{}{},", "[".repeat(98), "]".repeat(98));
        format!("[{}0]", nest.repeat(n / nest.len()))
    }),
    ("nests of objects", |n| {
        let nest = format!("{}0{},", "{\"\":".repeat(98), "}".repeat(98));
        format!("[{}0]", nest.repeat(n / nest.len()))
    }),
    ("blanks", |n| format!("{}0", " ".repeat(n))),
    ("long keys that differ at the end", |n| {
        let (count, length) = (n.isqrt() / 2, 2 * n.isqrt());
        let keys = (0..count).map(|i| format!("\"{}{i}\":0", "k".repeat(length)));
        format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
    }),
    ("digits", |n| format!("[{}]", "1".repeat(n))),
    ("fractions", |n| format!("[{}0]", "0.5,".repeat(n / 4))),
];

fn members(keys: impl Iterator<Item = usize>) -> String {
    let members = keys.map(|key| format!("\"{key:07}\":0"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[test]
fn reading_and_printing_json_takes_linear_time() {
    for (what, make) in HARD_JSON {
        assert_linear(what, make, |text| {
            let _ = black_box(json::parse(text));
            let value = json::parse_lenient(text).expect("the input is JSON");
            black_box(json::to_canonical(&value));
        });
    }
}

#[test]
fn a_tree_in_memory_is_bounded_by_its_text() {
    for (what, make) in HARD_JSON {
        let text = make(LARGE);
        let most = memory_of(|| drop(black_box(json::parse_lenient(text.as_bytes()))));
        assert!(
            most <= TREE_MEMORY * text.len(),
            "{what}: {} bytes for each",
            most / text.len()
        );
    }
}

#[test]
fn a_body_in_memory_is_bounded_by_its_text() {
    for (what, make) in HARD_JSON {
        let text = make(LARGE);
        let most = memory_of(|| drop(black_box(json::canonical(text.as_bytes(), Numbers::Kept))));
        assert!(
            most <= BODY_MEMORY * text.len(),
            "{what}: {} bytes for each",
            most / text.len()
        );
    }
}

#[test]
fn json_that_is_too_deep_is_refused_before_it_is_held() {
    for open in ["[", "{\"\":", "[{\"\":"] {
        let text = open.repeat(20_000_000 / open.len());
        for parse in [json::parse, json::parse_lenient] {
            let most = memory_of(|| {
                let error = parse(text.as_bytes()).expect_err("deeper than any body may be");
                assert_eq!(error.code(), Code::BadJson);
            });
            assert!(most < 1 << 20, "{open}: {most} bytes");
        }
    }
}

#[test]
fn a_hard_event_is_read_in_linear_time() {
    let version = RoomVersion::get("10").expect("version 10 is supported");
    for (what, make) in HARD_JSON {
        for field in ["content", "unsigned", "signatures"] {
            let event = |n| {
                let value = make(n);
                format!(
                    r#"{{"auth_events":[],"content":{{}},"depth":1,"hashes":{{"sha256":"x"}},"origin_server_ts":1,
                        "prev_events":[],"room_id":"!r:a","sender":"@a:a","signatures":{{}},"type":"m.room.member",
                        "{field}":{{"invite_room_state":{value}}}}}"#
                )
            };
            assert_linear(&format!("{what} in `{field}`"), event, |text| {
                let _ = black_box(Pdu::<Parsed>::parse(text, version));
            });
        }
    }
}

#[test]
fn a_hard_header_is_read_in_linear_time() {
    let cases: [(&str, Make); 6] = [
        ("commas", |n| format!("X-Matrix {}", ",".repeat(n))),
        ("parameters", |n| {
            let all: Vec<String> = (0..n / 10).map(|i| format!("p{i:06}=x")).collect();
            format!("X-Matrix {}", all.join(","))
        }),
        ("one parameter", |n| format!("X-Matrix {}", "a=b,".repeat(n / 4))),
        ("escapes", |n| format!("X-Matrix a=\"{}\"", "\\a".repeat(n / 2))),
        ("a long name", |n| format!("X-Matrix {}=a", "a".repeat(n))),
        ("blanks", |n| {
            format!("{0}X-Matrix{0}a{0}={0}b{0}", " ".repeat(n / 5))
        }),
    ];
    for (what, make) in cases {
        assert_linear(what, make, |text| {
            let text = str::from_utf8(text).expect("the header is text");
            let _ = black_box(XMatrix::parse(text));
        });
    }
}

#[test]
fn a_hard_target_is_read_in_linear_time() {
    let cases: [(&str, Make); 6] = [
        ("slashes", |n| "/".repeat(n)),
        ("a long segment", |n| {
            format!("/_matrix/federation/v1/event/{}", "%41".repeat(n / 3))
        }),
        ("no endpoint", |n| {
            format!("/_matrix/federation/v1/{}", "x/".repeat(n / 2))
        }),
        ("ampersands", |n| {
            format!("/_matrix/federation/v1/version?{}", "&".repeat(n))
        }),
        ("versions", |n| {
            let versions = "&ver=1".repeat(n / 6);
            format!("/_matrix/federation/v1/make_join/!r:a/@a:a?{versions}")
        }),
        ("events", |n| {
            let events = "&v=$a:a".repeat(n / 7);
            format!("/_matrix/federation/v1/backfill/!r:a?limit=1{events}")
        }),
    ];
    for (what, make) in cases {
        assert_linear(what, make, |text| {
            let text = str::from_utf8(text).expect("the target is text");
            let _ = black_box(Inbound::parse("GET", text, None));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused_unread() {
    let world = World::new();
    let server = world.server("a.test").await;
    let peer = world.peer("peer.test");
    let mut request = peer.request(&server.name, "PUT", "/_matrix/federation/v1/send/t", None);
    request.body = format!("[{}0]", "0,".repeat(10_000_000)).into_bytes();
    assert!(request.body.len() > limits::REQUEST_BYTES);
    let target = request.target.clone();
    let copy = Request {
        target,
        ..request.clone()
    };
    let before = HELD.get();
    MOST.set(before);
    let response = server.hs.handle_request(copy).await;
    assert_eq!(response.status, 413);
    let most = (MOST.get() - before).unsigned_abs();
    assert!(most < 1 << 20, "{most} bytes");
}
