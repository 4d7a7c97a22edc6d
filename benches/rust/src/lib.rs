//! Runs and measures a contestant; all contestants in Rust use this crate. ../../bench.h is the C
//! counterpart, and documents the output and the command line. Only C contestants support `many`.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use aya::Ebpf;
use aya::programs::KProbe;

/// The call to attach to, and its kernel function.
pub const CALL: &str = "getpgid";
pub const SYMBOL: &str = "__x64_sys_getpgid";

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The interface that each contestant implements.
pub trait Contestant {
    type Link;
    fn attach(&mut self) -> Result<Self::Link>;
    fn destroy(&mut self, link: Self::Link) -> Result<()>;
}

#[derive(Clone, Copy, PartialEq)]
pub enum Probe {
    Kprobe,
    Kretprobe,
}

impl Probe {
    pub fn is_return(self) -> bool {
        self == Self::Kretprobe
    }

    /// The program in the BPF object.
    pub fn program(self) -> &'static str {
        if self.is_return() { "on_return" } else { "on_entry" }
    }
}

/// The path of the BPF object, which is in the current folder.
pub const OBJECT: &str = "probe.bpf.o";

/// Loads the program with aya.
pub fn load_with_aya(probe: Probe) -> Result<Ebpf> {
    let mut object = Ebpf::load_file(OBJECT)?;
    program(&mut object, probe)?.load()?;
    Ok(object)
}

pub fn program(object: &mut Ebpf, probe: Probe) -> Result<&mut KProbe> {
    Ok(object.program_mut(probe.program()).ok_or("no program")?.try_into()?)
}

#[derive(Clone, Copy)]
#[repr(i64)]
enum Mark {
    End = 100_000,
    Empty,
    FirstAttach,
    Attach,
    Destroy,
}

fn mark(mark: Mark) {
    // SAFETY: no system call has this number.
    unsafe { libc::syscall(mark as libc::c_long) };
}

fn page_faults() -> i64 {
    // SAFETY: all zeros is a valid `rusage`, which getrusage fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    usage.ru_minflt + usage.ru_majflt
}

fn open_fds() -> Result<i64> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count().try_into()?)
}

fn sample(name: &str, probe: &str, operation: &str, unit: &str, value: impl std::fmt::Display) {
    println!(
        "sample contestant={name} probe={probe} operation={operation} unit={unit} value={value}"
    );
}

fn measure(contestant: &mut impl Contestant, name: &str, probe: &str, count: usize) -> Result<()> {
    // Use the memory, the clock and getrusage() once, so that their first use is not measured.
    let mut rounds = black_box(vec![(1, 1, 1); count + 1]);
    black_box((Instant::now().elapsed(), page_faults()));
    for (attach, destroy, faults) in &mut rounds {
        let before = page_faults();
        let start = Instant::now();
        let link = contestant.attach()?;
        *attach = start.elapsed().as_nanos();
        *faults = page_faults() - before;
        let start = Instant::now();
        contestant.destroy(link)?;
        *destroy = start.elapsed().as_nanos();
    }
    for (i, (attach, destroy, faults)) in rounds.iter().enumerate() {
        let operation = if i == 0 { "first_attach" } else { "attach" };
        sample(name, probe, operation, "ns", attach);
        sample(name, probe, operation, "faults", faults);
        sample(name, probe, "destroy", "ns", destroy);
    }
    Ok(())
}

fn be_followed(contestant: &mut impl Contestant, name: &str, probe: &str) -> Result<()> {
    mark(Mark::Empty);
    mark(Mark::End);
    mark(Mark::FirstAttach);
    let link = contestant.attach()?;
    mark(Mark::End);
    contestant.destroy(link)?;
    let fds = open_fds()?;
    mark(Mark::Attach);
    let link = contestant.attach()?;
    mark(Mark::End);
    sample(name, probe, "attach", "fds", open_fds()? - fds);
    mark(Mark::Destroy);
    contestant.destroy(link)?;
    mark(Mark::End);
    Ok(())
}

/// Runs a contestant; `load` creates it.
pub fn run<C: Contestant>(name: &str, load: impl FnOnce(Probe) -> Result<C>) -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let probe = match arguments.first() {
        Some(&"kprobe") => Probe::Kprobe,
        Some(&"kretprobe") => Probe::Kretprobe,
        _ => return Err("usage: kprobe|kretprobe time MORE | count".into()),
    };
    match arguments[1..] {
        ["time", more] => measure(&mut load(probe)?, name, arguments[0], more.parse()?),
        ["count"] => be_followed(&mut load(probe)?, name, arguments[0]),
        _ => Err("usage: kprobe|kretprobe time MORE | count".into()),
    }
}
