//! Loads the BPF programs in bpf/count.bpf.c, attaches them to tracepoints, and reads what they
//! count.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuHashMap};
use aya::programs::{KProbe, ProgramFd, RawTracePoint};
use ksyscall::{Architecture, Callers, KernelFunctions, SubCall, Symbol, SyscallName};

use super::btf;
use super::processes::{Namespace, Process};
use super::tally::{Lost, NUMBERS, Row, Subject, Tally};
use super::wanted::{FIRST_X32, Wanted, X32, compat_architecture};
use crate::args;
use crate::loader::loader;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/count.bpf.o"));

// These constants must match bpf/count.bpf.c.
const PAGE: u32 = 1024;
const SUB_CALLS: u32 = 3 * PAGE;
const MAX_SUB_CALLS: u32 = 32;
const SOCKETCALL: u32 = 1 << 27;
const IPC: u32 = 1 << 28;
const NO_RETURN: u32 = 1 << 24;
const NO_ERROR: u32 = 1 << 25;
const RESULT_IS_INT: u32 = 1 << 26;
const NATIVE: u64 = 1 << 33;
const COMPAT: u64 = 1 << 34;
const NUMBER_SHIFT: u32 = 48;
const OWN: u32 = 0;
const ROOT: u32 = 1;
const PROCESS: u32 = 2;

/// The maximum number of entries in the map of threads. Each entry requires about 80 bytes.
const MOST_THREADS: u32 = 1 << 18;
/// The maximum total size, in bytes, of the per-process tallies across all CPUs.
const MOST_BYTES: usize = 64 << 20;

/// Whose calls are counted.
pub(super) enum Whom {
    /// All processes except this one.
    Everyone,
    Processes(Vec<Process>),
    /// A command and all its children.
    Family,
    /// The processes in a cgroup and its descendants.
    Cgroup(File),
}

/// The kind of event that the programs are attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// The tracepoints sys_enter and sys_exit, which fire for every call.
    Tracepoints,
    /// The functions that serve the calls.
    Probes,
}

impl Engine {
    pub(super) fn words(self) -> &'static str {
        match self {
            Engine::Tracepoints => "tracepoints",
            Engine::Probes => "probes",
        }
    }
}

pub(super) struct Counter {
    object: Ebpf,
    pub(super) engine: Engine,
    settings: Settings,
    /// The number of processes that the BPF program `search` looks for.
    searched: u32,
    is_by_process: bool,
}

/// `struct settings` in bpf/count.bpf.c.
#[derive(Clone, Copy)]
#[repr(C)]
struct Settings {
    is_running: u32,
    filter: u32,
    failing: i32,
    is_by_process: u32,
    interval: u32,
    status_offset: u32,
    searched: u32,
}

/// `struct searched` in bpf/count.bpf.c.
#[derive(Clone, Copy)]
#[repr(C)]
struct Searched {
    device: u64,
    inode: u64,
    process: u32,
    role: u32,
}

// SAFETY: the struct consists of integers of one size, without padding.
#[allow(unsafe_code)]
unsafe impl aya::Pod for Settings {}
// SAFETY: the struct consists of integers, the larger ones first, without padding.
#[allow(unsafe_code)]
unsafe impl aya::Pod for Searched {}

/// A call that the attached programs count.
pub(super) struct Call {
    /// The call's index in the tallies.
    pub(super) index: u32,
    pub(super) wanted: Wanted,
    /// If probes count the call, the first of the call's functions to which a program is attached.
    pub(super) function: Option<Symbol>,
    pub(super) has_returns: bool,
    /// The number of returns from this call that the kernel missed, in all processes.
    pub(super) missed_by_kernel: Option<u64>,
}

impl Counter {
    /// Loads the programs that count these calls.
    pub(super) fn load(
        calls: &[Wanted],
        whom: &Whom,
        arguments: &args::Count,
        engine: Engine,
    ) -> Result<Self> {
        let namespace = Namespace::own()?;
        let status_offset = if cfg!(target_arch = "x86_64") { status_offset() } else { None };
        let threads = most_threads();
        let processes = if arguments.is_by_process { most_processes() } else { 1 };
        let tallies = if arguments.is_by_process { 1 } else { calls.len() as u32 };
        let counted = if let Whom::Processes(these) = whom { these.len() as u32 } else { 1 };
        let mut loader = loader()?;
        loader.allow_unsupported_maps();
        for (map, size) in [
            ("tallies", tallies),
            ("process_tallies", processes),
            ("process_names", processes),
            ("processes", counted),
            ("threads", threads),
        ] {
            loader.set_max_entries(map, size);
        }
        let object = loader.load(OBJECT).map_err(|error| explained(error.into(), engine))?;
        let settings = Settings {
            is_running: 0,
            filter: match whom {
                Whom::Everyone => 0,
                Whom::Processes(_) => 1,
                Whom::Family => 2,
                Whom::Cgroup(_) => 3,
            },
            failing: arguments.errno.unwrap_or(if arguments.failed { -1 } else { 0 }),
            is_by_process: arguments.is_by_process.into(),
            interval: 1,
            status_offset: status_offset.unwrap_or(0),
            searched: 0,
        };
        let is_by_process = arguments.is_by_process;
        let mut counter = Self { object, engine, settings, searched: 0, is_by_process };
        counter.set()?;
        counter.map_of::<Array<_, u32>>("roles")?.set(OWN, std::process::id(), 0)?;
        if !namespace.is_initial() {
            counter.trace("search", "sys_enter").context(
                "counting in a PID namespace (a container) requires Linux 5.7; run this outside of the \
                 container",
            )?;
            counter.map_of::<Array<_, u32>>("roles")?.set(OWN, 0, 0)?;
            counter.search(&namespace, std::process::id(), OWN)?;
            // Any call by this process triggers the BPF program that looks for the process.
            let _ = rustix::process::getppid();
            if counter.map_of::<Array<_, u32>>("roles")?.get(&OWN, 0)? == 0 {
                bail!("the BPF program does not find this process in its PID namespace");
            }
        }
        match whom {
            Whom::Processes(processes) => {
                for process in processes {
                    counter.add_process(process, &namespace)?;
                }
            }
            Whom::Cgroup(cgroup) => set_cgroup(counter.map("cgroups")?, cgroup)?,
            Whom::Everyone | Whom::Family => {}
        }
        counter.trace("on_end", "sched_process_exit")?;
        if matches!(whom, Whom::Family) {
            counter.trace("on_fork", "sched_process_fork")?;
        }
        if is_by_process {
            counter.trace("on_exec", "sched_process_exec")?;
        }
        if engine == Engine::Probes {
            for name in ["enter", "leave"] {
                let program: &mut KProbe = counter.program(name)?.try_into()?;
                program.load().map_err(|error| explained(error.into(), engine))?;
            }
        }
        Ok(counter)
    }

    /// Attaches to the tracepoints, and returns the calls that are counted. Returns None if this
    /// kernel lacks the tracepoints.
    pub(super) fn attach(&mut self, calls: &[Wanted]) -> Result<Option<Vec<Call>>> {
        let mut places = BTreeMap::new();
        let mut counted = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let place = place_of(index, call);
            let sub_call = call.sub_call();
            if let Some(sub_call) = sub_call {
                places.insert(index_of(sub_call, call.is_compat), place);
            }
            let number = match call.number {
                Some(number) => in_page(number),
                None if sub_call.is_some() => None,
                None => return Err(super::wanted::unknown(call)),
            };
            // Skip the few 32-bit Arm calls whose numbers are above 0xf0000.
            if number.is_none() && sub_call.is_none() {
                continue;
            }
            if let Some(number) = number {
                places.insert(number + page_of(call.is_compat), place);
                if cfg!(target_arch = "x86_64") && !call.is_compat && number < FIRST_X32 {
                    places.insert(number + 2 * PAGE, place);
                }
            }
            if call.is_compat {
                let names = (FIRST_X32..).zip(X32).filter(|(_, name)| *name == call.name.as_str());
                places.extend(names.map(|(number, _)| (number + 2 * PAGE, place)));
            }
            counted.push(Call {
                index: index as u32,
                wanted: *call,
                function: None,
                has_returns: call.returns(),
                missed_by_kernel: None,
            });
        }
        for is_compat in [false, true] {
            let arch = if is_compat { compat_architecture() } else { Architecture::native() };
            for (name, flag) in [("socketcall", SOCKETCALL), ("ipc", IPC)] {
                let number = arch.and_then(|arch| arch.call(&SyscallName::new(name).ok()?).number);
                if let Some(number) = number.and_then(in_page) {
                    *places.entry(number + page_of(is_compat)).or_default() |= flag;
                }
            }
        }
        let mut map: Array<_, u32> = self.map("places")?.try_into()?;
        for (index, place) in places {
            map.set(index, place, 0)?;
        }
        // Attach to sys_exit first, so that the return of every counted call is seen.
        for (program, event) in [("on_exit", "sys_exit"), ("on_enter", "sys_enter")] {
            match self.trace(program, event) {
                Err(error) if errno_of(&error) == Some(libc::ENOENT) => return Ok(None),
                other => other?,
            }
        }
        Ok(Some(counted))
    }

    /// Loads a program and attaches it to a tracepoint.
    fn trace(&mut self, program: &str, event: &str) -> Result<()> {
        let engine = self.engine;
        let program: &mut RawTracePoint = self.program(program)?.try_into()?;
        program.load().map_err(|error| explained(error.into(), engine))?;
        program.attach(event).with_context(|| format!("attaching to the tracepoint {event}"))?;
        Ok(())
    }

    fn set(&mut self) -> Result<()> {
        let settings = self.settings;
        let mut map: Array<_, Settings> = self.map("settings_map")?.try_into()?;
        Ok(map.set(0, settings, 0)?)
    }

    /// Lets the programs find a process by its ID in a PID namespace.
    fn search(&mut self, namespace: &Namespace, process: u32, role: u32) -> Result<()> {
        let index = self.searched;
        let searched = Searched { device: namespace.device, inode: namespace.inode, process, role };
        let mut map: Array<_, Searched> = self.map("searched_map")?.try_into()?;
        if index >= map.len() {
            // One entry is for this process.
            let most = map.len() - 1;
            bail!("at most {most} processes can be counted in a PID namespace");
        }
        map.set(index, searched, 0)?;
        self.searched += 1;
        self.settings.searched = self.searched;
        self.set()
    }

    fn add_process(&mut self, process: &Process, own: &Namespace) -> Result<()> {
        if own.is_initial() {
            let mut processes: HashMap<_, u32, u32> = self.map("processes")?.try_into()?;
            return Ok(processes.insert(process.number, 0, 0)?);
        }
        let (namespace, number) = process.innermost()?;
        self.search(&namespace, number, PROCESS)
    }

    /// Stops counting a process that has ended, because its ID can be reused.
    pub(super) fn remove_process(&mut self, process: &Process) -> Result<()> {
        let mut processes: HashMap<_, u32, u32> = self.map("processes")?.try_into()?;
        // Ignore errors: if this process is not in the initial PID namespace, it cannot determine
        // the IDs in the map, which are IDs in the initial namespace.
        let _ = processes.remove(&process.number);
        Ok(())
    }

    /// Sets the root of the process tree that is counted.
    pub(super) fn set_root(&mut self, process: u32) -> Result<()> {
        let own = Namespace::own()?;
        match own.is_initial() {
            true => Ok(self.map_of::<Array<_, u32>>("roles")?.set(ROOT, process, 0)?),
            false => self.search(&own, process, ROOT),
        }
    }

    /// Starts or stops counting.
    pub(super) fn run(&mut self, is_running: bool) -> Result<()> {
        self.settings.is_running = is_running.into();
        self.set()
    }

    /// Begins a new interval, and returns the number of the previous one.
    pub(super) fn next_interval(&mut self) -> Result<u32> {
        self.settings.interval += 1;
        self.set()?;
        Ok(self.settings.interval - 1)
    }

    pub(super) fn interval(&self) -> u32 {
        self.settings.interval
    }

    /// Returns what has been counted so far for each call or process. `longest` covers only
    /// `interval`.
    pub(super) fn rows(&self, calls: &[Call], interval: u32) -> Result<Vec<Row>> {
        let counts: HashMap<&MapData, u64, u64> = self.read("errnos")?.try_into()?;
        let errnos = counts.iter().collect::<Result<Vec<_>, _>>()?;
        let errnos = |key: u32| {
            let of_key = errnos.iter().filter(|(both, _)| both >> 32 == u64::from(key));
            let mut errnos: Vec<_> =
                of_key.map(|(both, count)| (*both as u32 as i32, *count)).collect();
            errnos.sort_by_key(|(errno, count)| (std::cmp::Reverse(*count), *errno));
            errnos
        };
        if self.is_by_process {
            let tallies: PerCpuHashMap<&MapData, u32, [u64; NUMBERS]> =
                self.read("process_tallies")?.try_into()?;
            let names: HashMap<&MapData, u32, [u8; 16]> = self.read("process_names")?.try_into()?;
            let row = |found: Result<(u32, _), _>| {
                let (id, tally): (u32, aya::maps::PerCpuValues<_>) = found?;
                let name = names.get(&id, 0).unwrap_or_default();
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                let name = String::from_utf8_lossy(name).into_owned();
                Ok(Row {
                    subject: Subject::Process { id, name },
                    function: None,
                    tally: Tally::sum(&tally, interval),
                    errnos: errnos(id),
                    missed_by_kernel: None,
                    has_returns: true,
                })
            };
            return tallies.iter().map(row).collect();
        }
        let tallies: PerCpuArray<&MapData, [u64; NUMBERS]> = self.read("tallies")?.try_into()?;
        let row = |call: &Call| {
            Ok(Row {
                subject: Subject::Call(call.wanted),
                function: call.function,
                tally: Tally::sum(&tallies.get(&call.index, 0)?, interval),
                errnos: errnos(call.index),
                missed_by_kernel: call.missed_by_kernel,
                has_returns: call.has_returns,
            })
        };
        calls.iter().map(row).collect()
    }

    /// What was not counted.
    pub(super) fn lost(&self) -> Result<Lost> {
        let lost: PerCpuArray<&MapData, u64> = self.read("lost")?.try_into()?;
        let sum = |what| lost.get(&what, 0).map(|counts| counts.iter().sum::<u64>());
        let programs: &[&str] = match self.engine {
            Engine::Tracepoints => &["on_enter", "on_exit"],
            Engine::Probes => &["enter", "leave"],
        };
        let skipped = programs.iter().map(|name| {
            let fd = self.program_fd(name).ok()?;
            ksyscall::recursion_misses(fd)
        });
        let [entries, returns] = skipped.collect::<Vec<_>>().try_into().unwrap_or_default();
        Ok(Lost { entries, returns, threads: sum(0)?, processes: sum(1)?, errnos: sum(2)? })
    }

    /// Returns the cookie that the programs receive from the probes on a call's functions.
    pub(super) fn cookie(&self, index: usize, call: &Wanted, has_return: bool) -> u64 {
        let mut cookie = u64::from(place_of(index, call));
        cookie |= if has_return { 0 } else { NO_RETURN.into() };
        if compat_architecture().is_some() {
            cookie |= if call.is_compat { COMPAT } else { NATIVE };
            let number = call.number.filter(|_| call.is_compat);
            cookie |= number.map_or(0, |number| (u64::from(number) + 1) << NUMBER_SHIFT);
        }
        cookie
    }

    fn program(&mut self, name: &str) -> Result<&mut aya::programs::Program> {
        self.object.program_mut(name).context("a program is missing")
    }

    pub(super) fn program_fd(&self, name: &str) -> Result<&ProgramFd> {
        Ok(self.object.program(name).context("a program is missing")?.fd()?)
    }

    fn map(&mut self, name: &str) -> Result<&mut Map> {
        self.object.map_mut(name).context("a map is missing")
    }

    fn map_of<'a, M>(&'a mut self, name: &str) -> Result<M>
    where
        M: TryFrom<&'a mut Map, Error = aya::maps::MapError>,
    {
        Ok(self.map(name)?.try_into()?)
    }

    fn read(&self, name: &str) -> Result<&Map> {
        self.object.map(name).context("a map is missing")
    }
}

/// The index of a call number within a page of `places`.
fn in_page(number: u32) -> Option<u32> {
    let first = if cfg!(target_arch = "mips64") { 5000 } else { 0 };
    number.checked_sub(first).filter(|number| *number < PAGE)
}

fn page_of(is_compat: bool) -> u32 {
    if is_compat { PAGE } else { 0 }
}

fn index_of(call: SubCall, is_compat: bool) -> u32 {
    let callers = if is_compat { 2 * MAX_SUB_CALLS } else { 0 };
    let multiplexer = if call.multiplexer == "ipc" { MAX_SUB_CALLS } else { 0 };
    SUB_CALLS + callers + multiplexer + call.number
}

/// The place of a call: a tally's index plus 1, combined with flags (bpf/count.bpf.c).
fn place_of(index: usize, call: &Wanted) -> u32 {
    let mut place = index as u32 + 1;
    for (is_so, flag) in [
        (!call.returns(), NO_RETURN),
        (call.is_sigreturn(), NO_ERROR),
        (call.is_compat, RESULT_IS_INT),
    ] {
        place |= if is_so { flag } else { 0 };
    }
    place
}

/// Checks that the kernel supports 32-bit callers. If /proc/kallsyms cannot be read, assumes so.
pub(super) fn check_compat_callers() -> Result<()> {
    let name = SyscallName::new("openat")?;
    let Ok(functions) = KernelFunctions::read() else { return Ok(()) };
    match functions.serving_callers(&name, Callers::Compat) {
        Err(error @ ksyscall::Error::NoCompatCallers { .. }) => Err(error.into()),
        _ => Ok(()),
    }
}

/// The offset of thread_info.status in the task_struct of an x86-64 kernel.
fn status_offset() -> Option<u32> {
    let types = fs::read(btf::FILE).ok()?;
    Some(
        btf::offset_of(&types, "task_struct", "thread_info")?
            + btf::offset_of(&types, "thread_info", "status")?,
    )
}

/// The maximum number of threads that the kernel's limits allow.
fn most_threads() -> u32 {
    let bound = |file: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(file)).ok()?;
        text.trim().parse::<u32>().ok()
    };
    let bounds = ["threads-max", "pid_max"].map(|file| bound(file).unwrap_or(MOST_THREADS));
    bounds[0].min(bounds[1]).clamp(1024, MOST_THREADS)
}

fn most_processes() -> u32 {
    let processors = aya::util::nr_cpus().unwrap_or(64);
    let most = MOST_BYTES / (NUMBERS * 8 * processors);
    most.clamp(1024, 16384) as u32
}

fn set_cgroup(map: &Map, cgroup: &File) -> Result<()> {
    /// The fields of union bpf_attr (linux/bpf.h) that BPF_MAP_UPDATE_ELEM uses.
    #[repr(C)]
    struct Update {
        map: u32,
        padding: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
    let Map::Unsupported(map) = map else { bail!("the map of cgroups has another type") };
    let (key, value) = (0_u32, cgroup.as_raw_fd());
    let update = Update {
        map: map.fd().as_fd().as_raw_fd() as u32,
        padding: 0,
        key: std::ptr::from_ref(&key) as u64,
        value: std::ptr::from_ref(&value) as u64,
        flags: 0,
    };
    // SAFETY: the kernel reads `update`, and the four-byte key and value that `update` points to.
    // All three outlive the call.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_MAP_UPDATE_ELEM, &raw const update, size_of::<Update>())
    };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::EBADF) => error.into(),
            _ => anyhow::Error::from(error),
        }
        .context("--cgroup requires the directory of a version 2 cgroup"));
    }
    Ok(())
}

/// Adds context to a program-loading error: what failed and what to do about it.
fn explained(error: anyhow::Error, engine: Engine) -> anyhow::Error {
    let errno = errno_of(&error);
    // Keep only the errno, because aya's error repeats the errno's message.
    let error = errno.map_or(error, |errno| std::io::Error::from_raw_os_error(errno).into());
    let what = match (errno, engine) {
        (Some(libc::EPERM | libc::EACCES), _) => {
            "loading the BPF program requires root, or CAP_BPF and CAP_PERFMON (`ksyscall doctor` \
             reports what is missing)"
        }
        (Some(libc::EMFILE), _) => {
            "loading the BPF program: the limit of open files is too low (`ulimit -n` prints it)"
        }
        (_, Engine::Probes) => {
            "loading the BPF program, which requires Linux 5.15 for probes (`ksyscall doctor` reports \
             what is missing)"
        }
        (_, Engine::Tracepoints) => {
            "loading the BPF program, which requires Linux 4.17 (`ksyscall doctor` reports what is \
             missing)"
        }
    };
    error.context(what)
}

fn errno_of(error: &anyhow::Error) -> Option<i32> {
    let mut errors = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    errors.find_map(std::io::Error::raw_os_error)
}
