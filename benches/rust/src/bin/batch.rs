//! This library's batches: one program attached to many calls.
//!
//! ```text
//! batch list                            the calls that this kernel has under their own names
//! batch events|multi THREADS COUNT      attaches to the first COUNT calls of a list on the
//!                                       input, and detaches by so many threads
//! ```

use std::io::BufRead;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Instant;

use contestants::{Probe, Result, load_with_aya, program};
use ksyscall::Batch;

/// A program that returns 0, loaded for kprobe.multi. None where the kernel has no links
/// for it.
fn load_for_multi() -> Result<Option<OwnedFd>> {
    /// The start of `struct { } prog_load` of `union bpf_attr`.
    #[repr(C)]
    #[derive(Default)]
    struct Load {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
    }
    const BPF_PROG_LOAD: libc::c_int = 5;
    const BPF_PROG_TYPE_KPROBE: u32 = 2;
    const BPF_TRACE_KPROBE_MULTI: u32 = 42;
    const RETURN_0: [u64; 2] = [0xb7, 0x95];
    let symbols = std::fs::read_to_string("/proc/kallsyms")?;
    if !symbols.lines().any(|line| line.ends_with(" T register_fprobe_ips")) {
        return Ok(None);
    }
    let attr = Load {
        prog_type: BPF_PROG_TYPE_KPROBE,
        insn_cnt: RETURN_0.len() as u32,
        insns: RETURN_0.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: BPF_TRACE_KPROBE_MULTI,
        ..Load::default()
    };
    // SAFETY: the kernel reads `attr`, the instructions and the C string, which all live; the
    // descriptor is new.
    unsafe {
        let size = size_of::<Load>();
        match libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size) {
            fd @ 0.. => Ok(Some(OwnedFd::from_raw_fd(fd as i32))),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }
}

fn list() -> Result<()> {
    let symbols = std::fs::read_to_string("/proc/kallsyms")?;
    for name in Batch::all().names() {
        if symbols.contains(&format!(" T __x64_sys_{name}\n")) {
            println!("{name}");
        }
    }
    Ok(())
}

fn measure(way: &str, program: impl AsFd, threads: usize, count: usize) -> Result<()> {
    let sample = |operation: &str, start: Instant| {
        let value = start.elapsed().as_nanos();
        println!(
            "sample contestant={way} threads={threads} operation={operation}_many names={count} \
             unit=ns value={value}"
        );
    };
    let names: Vec<_> =
        std::io::stdin().lock().lines().take(count).collect::<std::io::Result<_>>()?;
    let start = Instant::now();
    let links = Batch::new(names)?.threads(threads).attach(program)?;
    sample("attach", start);
    let start = Instant::now();
    links.detach()?;
    sample("destroy", start);
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => list(),
        ["events", threads, count] => {
            let mut object = load_with_aya(Probe::Kprobe)?;
            let program = program(&mut object, Probe::Kprobe)?;
            measure("events", program.fd()?, threads.parse()?, count.parse()?)
        }
        ["multi", threads, count] => match load_for_multi()? {
            Some(program) => measure("multi", program, threads.parse()?, count.parse()?),
            None => Ok(()),
        },
        _ => Err("usage: list | events|multi THREADS COUNT".into()),
    }
}
