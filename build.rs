//! Packs the syscall table of the architecture that is built for, and makes the C
//! header, where the C boundary is built.
//!
//! The header goes to the build's own folder; `make header` copies it to include/, and
//! a test compares the two.

#[path = "src/resolve/encode.rs"]
mod encode;

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    table();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(libbpf_h_has_ksyscall)");
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    #[cfg(feature = "capi")]
    header();
}

fn path(variable: &str) -> PathBuf {
    PathBuf::from(env::var_os(variable).expect("cargo sets it"))
}

/// Without a table of its architecture the library knows no call by another name than
/// its function's.
fn table() {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let source = path("CARGO_MANIFEST_DIR").join(format!("src/resolve/tables/{arch}.tbl"));
    println!("cargo::rerun-if-changed=src/resolve/encode.rs");
    println!("cargo::rerun-if-changed=src/resolve/tables");
    let text = fs::read_to_string(source).unwrap_or_default();
    fs::write(path("OUT_DIR").join("table"), encode::encode(&text)).expect("the build's folder");
    fs::write(path("OUT_DIR").join("table.txt"), text).expect("the build's folder");
}

#[cfg(feature = "capi")]
fn header() {
    let (root, out) = (path("CARGO_MANIFEST_DIR"), path("OUT_DIR"));
    let sources = ["src/capi/header.rs", "src/capi/opts.rs", "src/capi/links_opts.rs"];
    for source in ["cbindgen.toml"].iter().chain(&sources) {
        println!("cargo::rerun-if-changed={source}");
    }
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let builder = cbindgen::Builder::new().with_config(config);
    sources
        .iter()
        .fold(builder, |builder, source| builder.with_src(root.join(source)))
        .generate()
        .expect("the header")
        .write_to_file(out.join("ksyscall.h"));
}
