//! Attaches one program to many calls with this library's batches.
//!
//! ```text
//! batch list                            lists each call that a function __x64_sys_NAME serves
//! batch events|multi THREADS COUNT      reads a list of calls from standard input, attaches to
//!                                       the first COUNT calls, and then uses THREADS threads to
//!                                       detach; `multi` does nothing if the kernel does not support
//!                                       kprobe.multi links
//! ```

use std::io::BufRead;
use std::os::fd::AsFd;
use std::time::Instant;

use contestants::{Probe, Result, load_with_aya, program};
use ksyscall::Batch;
use libbpf_rs::ObjectBuilder;

/// Whether the kernel supports kprobe.multi links (`CONFIG_FPROBE`).
fn has_multi_links() -> Result<bool> {
    let symbols = std::fs::read_to_string("/proc/kallsyms")?;
    Ok(symbols.lines().any(|line| line.ends_with(" T register_fprobe_ips")))
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
        ["multi", ..] if !has_multi_links()? => Ok(()),
        // aya cannot load kprobe.multi programs, so use libbpf-rs.
        ["multi", threads, count] => {
            let object = ObjectBuilder::default().open_file("multi.bpf.o")?.load()?;
            let program = object.progs().next().ok_or("no program")?;
            measure("multi", program, threads.parse()?, count.parse()?)
        }
        _ => Err("usage: list | events|multi THREADS COUNT".into()),
    }
}
