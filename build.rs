//! Generates the C header if the feature `capi` is enabled.
//!
//! The header is written to the build folder. `make header` copies the header to include/, and
//! a test compares the copy with the generated header.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(libbpf_h_has_ksyscall)");
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    #[cfg(feature = "capi")]
    header();
}

#[cfg(feature = "capi")]
fn header() {
    let path =
        |variable| std::path::PathBuf::from(std::env::var_os(variable).expect("cargo sets it"));
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
