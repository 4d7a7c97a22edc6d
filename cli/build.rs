//! Compiles the BPF programs of `ksyscall count` and `ksyscall doctor` with clang.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const HEADER: &str = "bpf/ksyscall.bpf.h";

fn main() {
    println!("cargo::rerun-if-changed={HEADER}");
    println!("cargo::rerun-if-env-changed=CLANG");
    println!("cargo::rerun-if-env-changed=BPF_CFLAGS");
    compile("count");
    compile("try");
}

fn compile(name: &str) {
    let source = format!("bpf/{name}.bpf.c");
    println!("cargo::rerun-if-changed={source}");
    let of_cargo = |name: &str| env::var(name).expect("cargo sets it");
    let object = PathBuf::from(of_cargo("OUT_DIR")).join(format!("{name}.bpf.o"));
    let arch = match of_cargo("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86" | "x86_64" => "x86",
        "aarch64" => "arm64",
        "riscv64" => "riscv",
        "s390x" => "s390",
        "powerpc" | "powerpc64" => "powerpc",
        "mips64" => "mips",
        "loongarch64" => "loongarch",
        "arm" => "arm",
        other => panic!("libbpf's bpf_tracing.h does not know the registers of {other}"),
    }
    .to_owned();
    let bytes = if of_cargo("CARGO_CFG_TARGET_ENDIAN") == "big" { "bpfeb" } else { "bpfel" };
    // The architecture's name in Debian's multiarch folder, which contains <asm/...>.
    let gnu = match of_cargo("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86" => "i386".to_owned(),
        "powerpc64" => "powerpc64le".to_owned(),
        other => other.to_owned(),
    };
    let abi = match of_cargo("CARGO_CFG_TARGET_ARCH").as_str() {
        "arm" => "gnueabihf",
        "mips64" => "gnuabi64",
        _ => "gnu",
    };
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let mut command = Command::new(&clang);
    // Use the BPF instruction set of Linux 4.14, because the default in newer clang versions
    // requires Linux 5.1.
    command.args(["-mcpu=v2", "-target", bytes, "-O2", "-g", "-Wall", "-Wextra", "-Werror"]);
    command.arg(format!("-D__TARGET_ARCH_{arch}"));
    command.arg(format!("-DKSYSCALL_BITS={}", of_cargo("CARGO_CFG_TARGET_POINTER_WIDTH")));
    // Keep the name of the build folder out of the object file.
    command.arg(format!("-ffile-prefix-map={}=.", of_cargo("CARGO_MANIFEST_DIR")));
    command.args(env::var("BPF_CFLAGS").unwrap_or_default().split_whitespace());
    command.args(["-idirafter".to_owned(), format!("/usr/include/{gnu}-linux-{abi}")]);
    command.args(["-c", &source, "-o"]).arg(&object);
    let status = command.status().unwrap_or_else(|error| {
        panic!("cannot run {clang} to compile {source}: {error}; install clang, or set CLANG")
    });
    assert!(
        status.success(),
        "clang cannot compile {source}: install libbpf's headers (libbpf-dev), or name their folder \
         in BPF_CFLAGS"
    );
}
