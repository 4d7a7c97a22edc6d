//! `demo.c` in Rust: attaches one program to several system calls by name, makes each call three
//! times, and prints a line for each call.
#![allow(unsafe_code)]

use std::error::Error;
use std::ffi::c_long;

use aya::Ebpf;
use aya::maps::Array;
use aya::programs::KProbe;
use ksyscall::Ksyscall;

const CALLS: usize = 3;

/// The system calls and their numbers. With the arguments below, these calls are harmless.
const SYSCALLS: &[(&str, Option<c_long>)] = &[
    ("openat", Some(libc::SYS_openat)),
    #[cfg(target_arch = "x86_64")]
    ("stat", Some(libc::SYS_stat)),
    ("uname", Some(libc::SYS_uname)),
    ("sendfile", Some(libc::SYS_sendfile)),
    ("umount2", Some(libc::SYS_umount2)),
    ("getpid", Some(libc::SYS_getpid)),
    ("frobnicate", None),
];

fn main() -> Result<(), Box<dyn Error>> {
    let object = std::env::args().nth(1).ok_or("usage: demo OBJECT")?;
    let mut object = Ebpf::load_file(object)?;
    let mut process: Array<_, u32> = object.map_mut("process").ok_or("no map")?.try_into()?;
    process.set(0, std::process::id(), 0)?;
    let program: &mut KProbe = object.program_mut("count").ok_or("no program")?.try_into()?;
    program.load()?;
    let program = program.fd()?.try_clone()?;
    let hits: Array<_, u64> = object.map("hits").ok_or("no map")?.try_into()?;

    for (index, (name, number)) in (0..).zip(SYSCALLS) {
        match Ksyscall::new(name)?.cookie(index.into()).attach(&program) {
            Ok(link) => {
                for _ in 0..CALLS {
                    // SAFETY: every argument is -1, which each of the calls refuses or ignores.
                    number.map(|number| unsafe { libc::syscall(number, -1, -1, -1, -1) });
                }
                println!("{name}\t{}\t{} of {CALLS}", link.symbol(), hits.get(&index, 0)?);
            }
            Err(error) => println!("{name}\t{error}\t-"),
        }
    }
    Ok(())
}
