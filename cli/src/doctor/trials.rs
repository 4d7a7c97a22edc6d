//! Tries the operations that attaching depends on, instead of trusting version numbers.
//!
//! A trial removes everything that it creates before it returns.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use aya::maps::{HashMap, MapError};
use aya::programs::{KProbe, ProgramError, ProgramFd};
use aya::{BtfError, Ebpf};
use ksyscall::{Error, Ksyscall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::loader::loader;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/try.bpf.o"));

/// A call that every kernel supports and that nothing depends on.
const CALL: &str = "getppid";

/// The result of each trial, or None if an earlier failure made the trial impossible.
#[derive(Clone, Debug)]
pub(super) struct Trials {
    /// The result of opening a kprobe with perf_event_open(2).
    pub(super) kprobe: Result<(), Refusal>,
    /// The result of opening a return probe through tracefs's `kprobe_events`.
    pub(super) tracefs: Result<(), Refusal>,
    /// The result of creating a map and loading a program of type kprobe with bpf(2).
    pub(super) program: Result<(), Refusal>,
    /// The result of attaching the program: true if the kernel created a BPF link.
    pub(super) link: Option<Result<bool, Refusal>>,
    pub(super) cookie: Option<Result<(), Refusal>>,
    pub(super) memlock: Memlock,
}

/// An operation that the kernel refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) errno: Option<i32>,
    pub(super) text: String,
    /// The verifier's log; empty if there is none.
    pub(super) log: String,
}

/// `RLIMIT_MEMLOCK`. Kernels before 5.11 count BPF memory toward this limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memlock {
    /// The soft limit before the trials; None if unlimited.
    pub(super) limit: Option<u64>,
    /// None if no program could be loaded.
    pub(super) is_counted: Option<bool>,
}

impl Refusal {
    pub(super) fn is_permission(&self) -> bool {
        matches!(self.errno, Some(libc::EPERM | libc::EACCES))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { errno: Some(error.errno()), text: error.to_string(), log: String::new() }
    }
}

impl From<anyhow::Error> for Refusal {
    /// Shortens the program loader's error to one line. The original error has many lines and
    /// contains the log.
    fn from(error: anyhow::Error) -> Self {
        let mut refusal = Self { errno: None, text: format!("{error:#}"), log: String::new() };
        for cause in error.chain() {
            if let Some(ProgramError::LoadError { verifier_log, .. }) = cause.downcast_ref() {
                refusal.log = verifier_log.to_string();
                refusal.text = "bpf(BPF_PROG_LOAD)".to_owned();
            } else if let Some(MapError::CreateError { .. }) = cause.downcast_ref() {
                refusal.text = "bpf(BPF_MAP_CREATE)".to_owned();
            } else if let Some(BtfError::LoadError { .. }) = cause.downcast_ref() {
                refusal.text = "bpf(BPF_BTF_LOAD)".to_owned();
            } else if let Some(kernel) = cause.downcast_ref::<std::io::Error>() {
                refusal.errno = kernel.raw_os_error();
                if refusal.text.starts_with("bpf(") {
                    refusal.text += &format!(": {kernel}");
                }
            }
        }
        refusal
    }
}

impl Trials {
    pub(super) fn run() -> Result<Self> {
        let call = Ksyscall::new(CALL)?;
        let null = File::open("/dev/null").context("/dev/null")?;
        let (program, memlock) = load_with_memlock();
        let kprobe = probe(call, &null);
        let both = kprobe.as_ref().ok().and(program.as_ref().ok());
        let attached = |call| both.map(|program| attach(call, program));
        Ok(Self {
            tracefs: probe(call.retprobe(true).max_active(2), &null),
            link: attached(call),
            cookie: attached(call.cookie(1)).map(|cookie| cookie.map(drop)),
            kprobe: kprobe.clone(),
            program: program.as_ref().map(drop).map_err(Clone::clone),
            memlock,
        })
    }
}

/// Opens a perf event and tries to attach a file that is not a program. The error shows whether the
/// event was opened, so the trial works even if no program can be loaded.
fn probe(call: Ksyscall, null: &File) -> Result<(), Refusal> {
    match call.attach(null) {
        Ok(_) | Err(Error::LinkCreate { .. } | Error::SetBpf { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Attaches the program. Returns true if the kernel created a BPF link.
fn attach(call: Ksyscall, program: &Ebpf) -> Result<bool, Refusal> {
    let link = call.attach(program_fd(program)?)?;
    let name = fs::read_link(format!("/proc/self/fd/{}", link.as_fd().as_raw_fd()));
    Ok(name.is_ok_and(|name| name.to_string_lossy().contains("bpf_link")))
}

/// Loads the program, and raises the limit on locked memory if necessary.
fn load_with_memlock() -> (Result<Ebpf, Refusal>, Memlock) {
    let limit = getrlimit(Resource::Memlock);
    let with_limit = |limit: Rlimit, then: &dyn Fn() -> Result<Ebpf>| {
        setrlimit(Resource::Memlock, limit)?;
        then()
    };
    let unlimited = Rlimit { current: None, maximum: None };
    let most = Rlimit { current: limit.maximum, ..limit };
    let program = load()
        .or_else(|error| with_limit(unlimited, &load).map_err(|_| error))
        .or_else(|error| with_limit(most, &load).map_err(|_| error));
    let raised = getrlimit(Resource::Memlock);
    let is_counted = program.is_ok().then(|| {
        let none = Rlimit { current: Some(0), ..raised };
        let is_refused = with_limit(none, &load).is_err();
        // Later trials also need the raised limit.
        let _ = setrlimit(Resource::Memlock, raised);
        is_refused
    });
    (program.map_err(Refusal::from), Memlock { limit: limit.current, is_counted })
}

fn load() -> Result<Ebpf> {
    let mut object = loader()?.load(OBJECT)?;
    let program: &mut KProbe =
        object.program_mut("count_run").context("the program is missing")?.try_into()?;
    program.load()?;
    Ok(object)
}

fn program_fd(object: &Ebpf) -> Result<&ProgramFd> {
    let program: &KProbe =
        object.program("count_run").context("the program is missing")?.try_into()?;
    Ok(program.fd()?)
}

/// Attaches a program to a call, makes the call, and checks that the program ran once. Returns the
/// kernel function.
pub(super) fn run_a_program() -> Result<String, Refusal> {
    // `Trials::run` has already raised the limit on locked memory as far as possible.
    let mut object = load()?;
    Ok(run_once(&mut object)?)
}

fn run_once(object: &mut Ebpf) -> Result<String> {
    let link = Ksyscall::new(CALL)?.attach(program_fd(object)?)?;
    let mut runs: HashMap<_, [u8; 16], u64> =
        object.map_mut("runs").context("the map is missing")?.try_into()?;
    // The kernel's TASK_COMM_LEN is 16, including the NUL.
    let name = format!("{:.15}", format!("ks{:016x}", RandomState::new().hash_one(0)));
    let mut key = [0; 16];
    key[..name.len()].copy_from_slice(name.as_bytes());
    runs.insert(key, 0, 0)?;
    let caller = std::thread::Builder::new().name(name).spawn(rustix::process::getppid)?;
    let _ = caller.join();
    let function = link.symbol().to_string();
    match runs.get(&key, 0)? {
        1 => Ok(function),
        0 => bail!("attached to {function}, but the program did not run when the call was made"),
        times => bail!("attached to {function}, but the program ran {times} times for one call"),
    }
}

/// Until a trial has removed what it created, defers signals that would end the process.
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    /// `ignored` is the set of signals that the process ignores, for example because of nohup(1).
    pub(super) fn new(ignored: u64) -> std::io::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            if ignored >> (number - 1) & 1 == 0 {
                // A second signal kills the process at once, in case the kernel hangs.
                let is_second = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register_conditional_default(number, is_second.clone())?;
                signal_hook::flag::register(number, is_second)?;
                signal_hook::flag::register_usize(number, received.clone(), number as usize)?;
            }
        }
        Ok(Self(received))
    }

    pub(super) fn received(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed) as u8).filter(|number| *number != 0)
    }
}
