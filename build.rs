//! Declares the names that `#[cfg]` may test in this crate, so that the compiler reports any other
//! name as a mistake.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // cbindgen.toml turns this name into a condition of the C header.
    println!("cargo::rustc-check-cfg=cfg(libbpf_h_has_ksyscall)");
    // Fuzzing tools set this name.
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
}
