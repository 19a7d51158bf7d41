//! Has the linker fold functions with the same code into one: a fifth of the shared library.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    if is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release") && links_with_lld() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all");
    }
}

/// Whether the linker is the one that rustup's toolchains bring along, which knows how to fold. Nothing else is
/// assumed of a linker that was set by hand or comes from a distribution.
fn links_with_lld() -> bool {
    let chosen = env::var_os("RUSTC_LINKER").is_some()
        || env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output();
    let has_lld = sysroot.is_ok_and(|output| {
        let root = String::from_utf8_lossy(&output.stdout);
        let tools = "lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld";
        Path::new(root.trim()).join(tools).exists()
    });
    has_lld && !chosen
}
