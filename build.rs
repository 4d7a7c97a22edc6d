//! Makes the C header, where the C boundary is built.
//!
//! It goes to the build's own folder; `make header` copies it to include/, and a
//! test compares the two.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(libbpf_h_has_ksyscall)");
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    #[cfg(feature = "capi")]
    header();
}

#[cfg(feature = "capi")]
fn header() {
    use std::env::var_os;
    use std::path::PathBuf;

    let root = PathBuf::from(var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(var_os("OUT_DIR").expect("cargo sets it"));
    for source in ["cbindgen.toml", "src/capi/mod.rs", "src/capi/opts.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    cbindgen::Builder::new()
        .with_config(
            cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml"),
        )
        // It follows the `mod` lines from here.
        .with_src(root.join("src/capi/mod.rs"))
        .generate()
        .expect("the header")
        .write_to_file(out.join("ksyscall.h"));
}
