//! The BPF program of bpf/count.bpf.c: loading and attaching it, and reading what it counts.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::{KProbe, RawTracePoint};
use aya::{Btf, Ebpf, EbpfLoader};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ksyscall::{Batch, Error, Ksyscall, Link, Links, Symbol, SyscallName};

use super::signals::Signals;
use super::tally::{NUMBERS, Row, Tally};
use crate::args;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/count.bpf.o"));

/// As in bpf/count.bpf.c.
const NO_RETURN: u64 = 1 << 32;
const RUNNING: u32 = 0;
const FILTERED: u32 = 1;
const OWN_PROCESS: u32 = 2;

/// How many calls in progress are watched for their return, by default. It takes 64 kB of
/// each call (docs/returns.md).
const MAX_ACTIVE: u32 = 1024;

/// Whose calls are counted.
pub(super) enum Whom {
    /// All processes' but this one's.
    Everyone,
    Processes(Vec<u32>),
    /// A command's, and its children's.
    Family,
}

pub(super) struct Counter {
    object: Ebpf,
}

/// The calls that the programs are attached to.
pub(super) struct Attached {
    calls: Vec<Call>,
    /// Calls that could not be attached to, though the kernel has them.
    pub(super) failures: Vec<(SyscallName, Error)>,
    links: Vec<Link>,
    batches: Vec<Links>,
}

struct Call {
    /// Its place among the names, which is the cookie.
    index: u32,
    name: SyscallName,
    function: Symbol,
    has_returns: bool,
    /// Of `links`, that of the return.
    link: Option<usize>,
}

impl Counter {
    /// Loads the programs, for so many calls.
    pub(super) fn load(calls: usize, whom: &Whom) -> Result<Self> {
        let is_family = matches!(whom, Whom::Family);
        // The kernel's types, which following a command's children needs.
        let btf = match is_family {
            true => Some(Btf::from_sys_fs().context(
                "/sys/kernel/btf/vmlinux, which counting a COMMAND needs, cannot be read: is \
                 sysfs mounted, and the kernel built with CONFIG_DEBUG_INFO_BTF?",
            )?),
            false => None,
        };
        let mut loader = EbpfLoader::new();
        loader.btf(btf.as_ref()).set_max_entries("tallies", calls as u32);
        let object = loader.load(OBJECT).map_err(|error| explained(error.into()))?;
        let mut counter = Self { object };
        for name in ["enter", "leave"] {
            counter.kprobe(name)?.load().map_err(|error| explained(error.into()))?;
        }
        if is_family {
            for (name, event) in
                [("forked", "sched_process_fork"), ("exited", "sched_process_exit")]
            {
                let program: &mut RawTracePoint =
                    counter.object.program_mut(name).context("a program is missing")?.try_into()?;
                program.load().map_err(|error| explained(error.into()))?;
                program
                    .attach(event)
                    .with_context(|| format!("attaching to the tracepoint {event}"))?;
            }
        }
        let mut settings: Array<_, u32> = counter.map("settings")?.try_into()?;
        settings.set(OWN_PROCESS, std::process::id(), 0)?;
        settings.set(FILTERED, u32::from(!matches!(whom, Whom::Everyone)), 0)?;
        if let Whom::Processes(processes) = whom {
            for process in processes {
                counter.add_process(*process)?;
            }
        }
        Ok(counter)
    }

    pub(super) fn add_process(&mut self, process: u32) -> Result<()> {
        let mut processes: HashMap<_, u32, u32> = self.map("processes")?.try_into()?;
        Ok(processes.insert(process, 1, 0)?)
    }

    /// Begins or ends the counting of what is attached.
    pub(super) fn run(&mut self, is_running: bool) -> Result<()> {
        let mut settings: Array<_, u32> = self.map("settings")?.try_into()?;
        Ok(settings.set(RUNNING, u32::from(is_running), 0)?)
    }

    /// What was counted so far of each call, the most frequent first.
    pub(super) fn rows(&self, attached: &Attached) -> Result<Vec<Row>> {
        let map = |name| self.object.map(name).context("a map is missing");
        let tallies: PerCpuArray<&MapData, [u64; NUMBERS]> = map("tallies")?.try_into()?;
        let counts: HashMap<&MapData, u64, u64> = map("errnos")?.try_into()?;
        let errnos = counts.iter().collect::<Result<Vec<_>, _>>()?;
        let row = |call: &Call| {
            let tally = Tally::sum(&tallies.get(&call.index, 0)?);
            let of_call = errnos.iter().filter(|(key, _)| key >> 32 == u64::from(call.index));
            let mut errnos: Vec<_> =
                of_call.map(|(key, count)| (*key as u32 as i32, *count)).collect();
            errnos.sort_by_key(|(errno, count)| (std::cmp::Reverse(*count), *errno));
            let link = call.link.and_then(|link| attached.links.get(link));
            Ok(Row {
                name: call.name,
                function: call.function,
                tally,
                errnos,
                missed_by_kernel: link.and_then(Link::missed),
                has_returns: call.has_returns,
            })
        };
        let mut rows = attached.calls.iter().map(row).collect::<Result<Vec<_>>>()?;
        rows.sort_by_key(|row| std::cmp::Reverse(row.tally.calls));
        Ok(rows)
    }

    fn kprobe(&mut self, name: &str) -> Result<&mut KProbe> {
        Ok(self.object.program_mut(name).context("a program is missing")?.try_into()?)
    }

    fn program_fd(&self, name: &str) -> Result<&aya::programs::ProgramFd> {
        let program: &KProbe =
            self.object.program(name).context("a program is missing")?.try_into()?;
        Ok(program.fd()?)
    }

    fn map(&mut self, name: &str) -> Result<&mut Map> {
        self.object.map_mut(name).context("a map is missing")
    }
}

/// An error of loading, with what to do about it.
fn explained(error: anyhow::Error) -> anyhow::Error {
    let is_a_refusal = error.chain().any(|cause| {
        let errno = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        matches!(errno, Some(libc::EPERM | libc::EACCES))
    });
    let what = match is_a_refusal {
        true => {
            "loading the BPF program: not permitted; be root, or have CAP_BPF and CAP_PERFMON \
             (`ksyscall doctor` says what is missing)"
        }
        false => {
            "loading the BPF program, which needs Linux 5.15 (`ksyscall doctor` says what is missing)"
        }
    };
    error.context(what)
}

/// Attaches to one call alone.
pub(super) fn attach_one(counter: &Counter, name: &SyscallName) -> Result<Attached> {
    let link =
        Ksyscall::new(name.as_str())?.cookie(NO_RETURN).attach(counter.program_fd("enter")?)?;
    let mut attached = Attached::none();
    let function = *link.symbol();
    attached.calls.push(Call { index: 0, name: *name, function, has_returns: false, link: None });
    attached.links.push(link);
    Ok(attached)
}

/// Attaches to the returns first, so that no call is counted whose return is not.
///
/// None if a signal came meanwhile: nothing is left attached then.
pub(super) fn attach(
    counter: &Counter,
    names: &[SyscallName],
    arguments: &args::Count,
    signals: &Signals,
) -> Result<Option<Attached>> {
    let bar = progress_bar(2 * names.len() as u64);
    let attached = match arguments.all {
        true => attach_all(counter, names, signals, &bar),
        false => attach_each(counter, names, arguments.max_active, signals, &bar),
    };
    bar.finish_and_clear();
    attached
}

fn progress_bar(length: u64) -> ProgressBar {
    let is_seen = std::io::stderr().is_terminal();
    let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template("attaching {wide_bar} {pos}/{len} {msg:24}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A few calls, which must all be there: each with as many returns as are asked for.
fn attach_each(
    counter: &Counter,
    names: &[SyscallName],
    max_active: Option<u32>,
    signals: &Signals,
    bar: &ProgressBar,
) -> Result<Option<Attached>> {
    let mut attached = Attached::none();
    for (index, name) in names.iter().enumerate() {
        bar.set_message(name.to_string());
        let call = Ksyscall::new(name.as_str())?;
        let has_returns = returns(name);
        let leave = match has_returns {
            true => attach_return(call.cookie(index as u64), counter, max_active),
            false => Ok(None),
        };
        let leave = leave.map_err(|error| named(&format!("the return of {name}"), error))?;
        bar.inc(1);
        let is_seen = leave.is_some();
        let cookie = index as u64 | if is_seen { 0 } else { NO_RETURN };
        let enter = call.cookie(cookie).attach(counter.program_fd("enter")?);
        let enter = enter.map_err(|error| named(name.as_str(), error.into()))?;
        bar.inc(1);
        if has_returns && !is_seen {
            eprintln!(
                "ksyscall: {name}: this kernel allows no probe at its return, so that its errors and \
                 times are not known"
            );
        }
        attached.calls.push(Call {
            index: index as u32,
            name: *name,
            function: *enter.symbol(),
            has_returns: is_seen,
            link: is_seen.then_some(attached.links.len()),
        });
        attached.links.extend(leave.into_iter().chain([enter]));
        if signals.received().is_some() {
            attached.detach()?;
            return Ok(None);
        }
    }
    Ok(Some(attached))
}

/// An error of a call, with its name if it does not say that itself.
fn named(name: &str, error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(Error::NotFound { .. }) => error,
        _ => error.context(name.to_owned()),
    }
}

/// None if the kernel allows no probe there.
fn attach_return(
    call: Ksyscall,
    counter: &Counter,
    max_active: Option<u32>,
) -> Result<Option<Link>> {
    let program = counter.program_fd("leave")?;
    let call = call.retprobe(true);
    let watched = call.max_active(max_active.unwrap_or(MAX_ACTIVE)).attach(program);
    let link = match watched {
        Err(Error::MaxActiveUnsupported | Error::Tracefs { .. }) if max_active.is_none() => {
            call.attach(program)
        }
        other => other,
    };
    match link {
        Ok(link) => Ok(Some(link)),
        Err(Error::NoReturnProbe { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All that can be attached to.
fn attach_all(
    counter: &Counter,
    names: &[SyscallName],
    signals: &Signals,
    bar: &ProgressBar,
) -> Result<Option<Attached>> {
    let mut attached = Attached::none();
    let mut has_return = vec![false; names.len()];
    for is_return in [true, false] {
        let which: Vec<usize> =
            (0..names.len()).filter(|index| !is_return || returns(&names[*index])).collect();
        bar.inc((names.len() - which.len()) as u64);
        let cookie = |position: usize| {
            let index: usize = which[position];
            index as u64 | if is_return || has_return[index] { 0 } else { NO_RETURN }
        };
        let batch = Batch::new(which.iter().map(|index| names[*index].as_str()))?;
        let batch = batch.retprobe(is_return).cookies(|position, _| cookie(position));
        let program = counter.program_fd(if is_return { "leave" } else { "enter" })?;
        let mut attaching = batch.attaching(program).context("attaching to all calls")?;
        for index in &which {
            let Some((name, result)) = attaching.next() else { break };
            bar.set_message(name.to_string());
            bar.inc(1);
            match result {
                Ok(_) if is_return => has_return[*index] = true,
                Ok(function) => attached.calls.push(Call {
                    index: *index as u32,
                    name,
                    function,
                    has_returns: has_return[*index],
                    link: None,
                }),
                // No table is of one kernel alone; and a second name of a function is no call more.
                Err(Error::NotFound { .. } | Error::SameFunction { .. }) => {}
                Err(error) if !is_return => attached.failures.push((name, error)),
                Err(_) => {}
            }
            if signals.received().is_some() {
                drop(attaching);
                attached.detach()?;
                return Ok(None);
            }
        }
        attached.batches.push(attaching.finish());
    }
    if attached.calls.is_empty() {
        let why = attached.failures.into_iter().next();
        let why = why.map_or_else(
            || anyhow::anyhow!("the kernel has none of them"),
            |(_, error)| error.into(),
        );
        return Err(why.context("no call could be attached to"));
    }
    Ok(Some(attached))
}

/// Whether the call can return to who makes it.
fn returns(name: &SyscallName) -> bool {
    !matches!(name.as_str(), "exit" | "exit_group" | "_exit")
}

impl Attached {
    fn none() -> Self {
        Self { calls: Vec::new(), failures: Vec::new(), links: Vec::new(), batches: Vec::new() }
    }

    /// How many calls are counted.
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Detaches the programs: concurrently, for the kernel lets each detaching wait.
    pub(super) fn detach(self) -> Result<(), Error> {
        let Self { links, batches, .. } = self;
        std::thread::scope(|scope| {
            let links = links.into_iter().map(|link| scope.spawn(|| link.detach()));
            let all: Vec<_> = links.collect();
            let ends = all.into_iter().map(|thread| thread.join().unwrap_or(Ok(())));
            let ends: Vec<_> = ends.chain(batches.into_iter().map(Links::detach)).collect();
            ends.into_iter().collect()
        })
    }
}
