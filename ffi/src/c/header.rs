//! `include/roomlet.h` and `include/roomlet.symbols` say what the library has. With `ROOMLET_BLESS=1` these tests write
//! the files instead of comparing them.

use super::{abi, config::roomlet_config, host::roomlet_host};
use roomlet_homeserver::Code;
use std::{fmt::Write, fs, mem::offset_of, path::PathBuf};

/// The sources of the header, in the order in which a reader meets them.
const SOURCES: [&str; 14] = [
    "abi", "error", "bytes", "result", "op", "exchange", "host", "config", "server", "room", "store", "read",
    "updates", "toolkit",
];

#[test]
fn header_is_the_one_that_the_sources_give() {
    agrees("roomlet.h", &header());
}

#[test]
fn symbols_are_the_functions_of_the_header() {
    agrees("roomlet.symbols", &symbols());
}

#[test]
fn layout_of_structs_has_not_changed() {
    agrees("roomlet.layout", &layout());
}

#[test]
fn each_code_has_a_constant_with_its_number() {
    let header = header();
    for code in Code::ALL {
        let line = format!("#define {} {}\n", constant(*code), *code as i32);
        assert!(header.contains(&line), "no {line:?} in the header");
    }
    assert!(header.contains("#define ROOMLET_OK 0\n"));
}

fn header() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        include_guard: Some("ROOMLET_H".into()),
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        after_includes: Some(format!("\n{}\n{}", abi::PREAMBLE, codes())),
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        style: cbindgen::Style::Both,
        line_length: 100,
        ..cbindgen::Config::default()
    };
    config.function.sort_by = Some(cbindgen::SortKey::None);
    config.constant.sort_by = Some(cbindgen::SortKey::None);
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join("src/c").join(source).with_extension("rs"));
    }
    let mut out = Vec::new();
    builder
        .generate()
        .expect("cbindgen reads the sources")
        .write(&mut out);
    String::from_utf8(out).expect("a header is UTF-8")
}

/// The codes, which a macro makes and cbindgen therefore does not see.
fn codes() -> String {
    let mut out = String::new();
    for code in Code::ALL {
        write!(
            out,
            "\n/** {} ({}) */\n#define {} {}\n",
            code.meaning(),
            code.errcode(),
            constant(*code),
            *code as i32
        )
        .expect("a string takes it");
    }
    out
}

/// `BadJson` is `ROOMLET_BAD_JSON`.
fn constant(code: Code) -> String {
    let mut out = String::from("ROOMLET");
    for letter in code.name().chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

fn symbols() -> String {
    let header = header();
    let mut names: Vec<&str> = header
        .match_indices("roomlet_")
        .filter(|(at, _)| header[..*at].ends_with([' ', '*']))
        .filter_map(|(at, _)| {
            let name = &header[at..];
            let end = name.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))?;
            name[end..].starts_with('(').then_some(&name[..end])
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join("\n") + "\n"
}

/// Where each field of the structs that hosts fill lies, on 64 bits: a field that moves breaks hosts.
fn layout() -> String {
    let mut out = String::new();
    macro_rules! lines {
        ($name:ident: $($field:ident)*) => {
            writeln!(out, "{} size {}", stringify!($name), size_of::<$name>()).expect("a string takes it");
            $(writeln!(out, "  {} {}", offset_of!($name, $field), stringify!($field)).expect("a string takes it");)*
        };
    }
    lines!(roomlet_config: struct_size server_name store_path default_room_version request_timeout_ms
        outbound_pdus_per_second outbound_burst backoff_first_ms backoff_max_ms outbox_per_destination
        missing_events_per_request missing_events_rounds staged_per_room open_rooms key_validity_ms
        cache_bytes room_idle_ms);
    lines!(roomlet_host: struct_size user_data release send log updates_available accept_invite accept_join
        accept_request accept_event now_ms random);
    out
}

fn agrees(name: &str, wanted: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../include")
        .join(name);
    if std::env::var_os("ROOMLET_BLESS").is_some() {
        fs::write(&path, wanted).expect("include/ can be written");
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "include/{name} is not what the sources give: run `cargo xtask header`"
    );
}
