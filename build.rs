//! Packs the syscall tables of the architecture that is built for, and makes the C
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
    if env::var_os("CARGO_FEATURE_ALL_TABLES").is_some() {
        all_tables();
    }
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
    println!("cargo::rerun-if-changed=src/resolve/encode.rs");
    println!("cargo::rerun-if-changed=src/resolve/tables");
    let text = source(&arch);
    // On x86-64 the functions behind the bars are those of x32, in a table of their own.
    let (text, of_x32) = if arch == "x86_64" { divided(&text) } else { (text, String::new()) };
    pack(&text, "table");
    pack(&of_x32, "x32_table");
    fs::write(path("OUT_DIR").join("table.txt"), text).expect("the build's folder");
    // Of the 32-bit processes that a kernel of that architecture serves.
    let compat = match arch.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm",
        "powerpc64" => "powerpc",
        _ => "none",
    };
    pack(&source(compat), "compat_table");
}

/// An architecture's table.
fn source(arch: &str) -> String {
    let source = path("CARGO_MANIFEST_DIR").join(format!("src/resolve/tables/{arch}.tbl"));
    fs::read_to_string(source).unwrap_or_default()
}

/// What stands before the bars of a table's lines, and the calls with the functions behind
/// that are not those of native callers, too.
fn divided(table: &str) -> (String, String) {
    let (mut before, mut behind) = (String::new(), String::new());
    for line in table.lines() {
        let (native, others) = line.split_once(" | ").unwrap_or((line, ""));
        before += &format!("{native}\n");
        let is_own =
            |function: &&str| ["compat_sys_", "sys32_"].iter().any(|it| function.starts_with(it));
        let others = others.split(' ').filter(is_own);
        let own = others.map(|function| format!(" {function}")).collect::<String>();
        if !own.is_empty() {
            let call = native.split([' ', '@']).next().unwrap_or_default();
            behind += &format!("{call}{own}\n");
        }
    }
    (before, behind)
}

/// Packs a table into a file of the build's folder.
fn pack(table: &str, file: &str) {
    fs::write(path("OUT_DIR").join(file), encode::encode(table)).expect("the build's folder");
}

/// `tables.rs`, which `src/architecture.rs` includes: each architecture's name, packed
/// table, and numbers.
fn all_tables() {
    let (root, out) = (path("CARGO_MANIFEST_DIR"), path("OUT_DIR"));
    println!("cargo::rerun-if-changed=src/resolve/numbers");
    let mut code = String::from("const TABLES: &[(&str, &[u8], &str)] = &[\n");
    let entries = fs::read_dir(root.join("src/resolve/tables")).expect("the tables");
    let mut tables: Vec<_> = entries.map(|entry| entry.expect("a table").path()).collect();
    // In the same order wherever it is built.
    tables.sort();
    for table in tables {
        let arch = table.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&table).expect("a table");
        fs::write(out.join(&arch), encode::encode(&text)).expect("the build's folder");
        let numbers = root.join(format!("src/resolve/numbers/{arch}.tbl"));
        code += &format!(
            "(\"{arch}\", include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{arch}\")), include_str!({numbers:?})),\n"
        );
    }
    fs::write(out.join("tables.rs"), code + "];\n").expect("the build's folder");
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
