//! The BPF program of bpf/count.bpf.c: loading and attaching it, and reading what it counts.

use anyhow::{Context, Result, anyhow};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::{KProbe, RawTracePoint};
use aya::{Btf, Ebpf, EbpfLoader};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ksyscall::{Architecture, Batch, Error, Links, Symbol};

use super::signals::Signals;
use super::tally::{NUMBERS, Row, Tally};
use super::wanted::{Wanted, compat_architecture, is_compat_alone};
use crate::args::{self, Callers};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/count.bpf.o"));

/// As in bpf/count.bpf.c.
const NO_RETURN: u64 = 1 << 32;
const NATIVE: u64 = 1 << 33;
const COMPAT: u64 = 1 << 34;
const NUMBER_SHIFT: u32 = 48;
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
    /// Whether the programs know who calls.
    tells_callers: bool,
}

/// The calls that the programs are attached to.
pub(super) struct Attached {
    /// Whose calls were asked for.
    pub(super) callers: Callers,
    calls: Vec<Call>,
    /// Calls that could not be attached to, though the kernel has them.
    pub(super) failures: Vec<(Wanted, anyhow::Error)>,
    /// Calls that this kernel does not have.
    absent: Vec<(Wanted, anyhow::Error)>,
    links: Vec<Links>,
    batches: Vec<Links>,
}

struct Call {
    /// Its place among the names, which is the cookie.
    index: u32,
    wanted: Wanted,
    function: Symbol,
    has_returns: bool,
    /// Of `links`, that of the return.
    link: Option<usize>,
}

impl Counter {
    /// Loads the programs, for these calls.
    pub(super) fn load(calls: &[Wanted], whom: &Whom) -> Result<Self> {
        let is_family = matches!(whom, Whom::Family);
        // The kernel's types: to follow a command's children, and to ask who calls, which
        // KSYSCALL_IS_COMPAT of ksyscall.bpf.h does by them on x86-64.
        let asks_by_types = cfg!(target_arch = "x86_64");
        let is_needed_for = match calls.iter().any(|call| call.is_compat) && asks_by_types {
            true => Some("--callers"),
            false => is_family.then_some("counting a COMMAND"),
        };
        let btf = match (Btf::from_sys_fs(), is_needed_for) {
            (Ok(btf), _) => Some(btf),
            (Err(_), None) => None,
            (Err(error), Some(what)) => {
                let why = format!(
                    "/sys/kernel/btf/vmlinux, which {what} needs, cannot be read: is sysfs \
                     mounted, and the kernel built with CONFIG_DEBUG_INFO_BTF?"
                );
                return Err(anyhow::Error::from(error).context(why));
            }
        };
        let tells_callers = compat_architecture().is_some() && (btf.is_some() || !asks_by_types);
        let mut loader = EbpfLoader::new();
        loader.btf(btf.as_ref()).set_max_entries("tallies", calls.len() as u32);
        let object = loader.load(OBJECT).map_err(|error| explained(error.into()))?;
        let mut counter = Self { object, tells_callers };
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
                call: call.wanted,
                function: call.function.to_string(),
                tally,
                errnos,
                missed_by_kernel: link.and_then(Links::missed),
                has_returns: call.has_returns,
            })
        };
        let mut rows = attached.calls.iter().map(row).collect::<Result<Vec<_>>>()?;
        rows.sort_by_key(|row| std::cmp::Reverse(row.tally.calls));
        Ok(rows)
    }

    /// What the programs get at a call's functions.
    fn cookie(&self, index: usize, call: &Wanted, has_return: bool) -> u64 {
        let mut cookie = index as u64 | if has_return { 0 } else { NO_RETURN };
        if self.tells_callers {
            cookie |= if call.is_compat { COMPAT } else { NATIVE };
            cookie |= call.number.map_or(0, |number| (u64::from(number) + 1) << NUMBER_SHIFT);
        }
        cookie
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
    let error = match errno_of(&error) {
        // All that is to be said of it, where aya says it twice.
        Some(libc::EPERM) => std::io::Error::from_raw_os_error(libc::EPERM).into(),
        _ => error,
    };
    let is_a_refusal = matches!(errno_of(&error), Some(libc::EPERM | libc::EACCES));
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

fn errno_of(error: &anyhow::Error) -> Option<i32> {
    let mut errors = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    errors.find_map(std::io::Error::raw_os_error)
}

/// Attaches to the returns first, so that no call is counted whose return is not.
///
/// None if a signal came meanwhile: nothing is left attached then.
pub(super) fn attach(
    counter: &Counter,
    calls: &[Wanted],
    arguments: &args::Count,
    signals: &Signals,
) -> Result<Option<Attached>> {
    let bar = progress_bar(2 * calls.len() as u64);
    let mut attached = Attached::none(arguments.callers);
    let is_done = match arguments.all {
        true => attach_all(counter, calls, signals, &bar, &mut attached),
        false => attach_each(counter, calls, arguments.max_active, signals, &bar, &mut attached),
    };
    bar.finish_and_clear();
    if !is_done? {
        attached.detach()?;
        return Ok(None);
    }
    attached.tell_of_native_alone();
    Ok(Some(attached))
}

fn progress_bar(length: u64) -> ProgressBar {
    let is_seen = super::is_screen(&std::io::stderr());
    let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    // In 40 columns there is room for the bar, if not for the call's name.
    let style = ProgressStyle::with_template("attaching {bar:20} {pos}/{len} {wide_msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A few calls, which must all be there, for one kind of callers at least: each with as many
/// returns as are asked for. False if a signal came meanwhile.
fn attach_each(
    counter: &Counter,
    calls: &[Wanted],
    max_active: Option<u32>,
    signals: &Signals,
    bar: &ProgressBar,
    attached: &mut Attached,
) -> Result<bool> {
    for (index, call) in calls.iter().enumerate() {
        bar.set_message(call.name.to_string());
        match attach_call(counter, index, call, max_active, attached) {
            Ok(()) => {}
            // The other kind of callers may have it.
            Err(error) if is_absent(&error) && attached.callers == Callers::All => {
                attached.absent.push((*call, error));
            }
            Err(error) => return Err(with_hint(call, error)),
        }
        bar.inc(2);
        if signals.received().is_some() {
            return Ok(false);
        }
    }
    let is_there = |call: &Wanted| attached.calls.iter().any(|it| it.wanted.name == call.name);
    match attached.absent.iter().position(|(call, _)| !is_there(call)) {
        Some(missing) => {
            let (call, error) = attached.absent.swap_remove(missing);
            Err(with_hint(&call, error))
        }
        None => Ok(true),
    }
}

/// One of a few.
fn attach_call(
    counter: &Counter,
    index: usize,
    call: &Wanted,
    max_active: Option<u32>,
    attached: &mut Attached,
) -> Result<()> {
    let batch = |has_return| {
        let batch = Batch::new([call.name.as_str()])?.callers(call.callers());
        Ok::<_, Error>(batch.cookies(|_, _| counter.cookie(index, call, has_return)))
    };
    let leave = match call.returns() {
        true => attach_return(batch(true)?, counter, max_active),
        false => Ok(None),
    };
    let leave = leave.map_err(|error| named(&format!("the return of {call}"), error))?;
    let is_seen = leave.is_some();
    let enter = batch(is_seen)?.attach(counter.program_fd("enter")?);
    let enter = enter.map_err(|error| named(&call.to_string(), error.into()))?;
    if call.returns() && !is_seen {
        eprintln!(
            "ksyscall: {call}: this kernel allows no probe at its return, so that its errors and \
             times are not known"
        );
    }
    attached.calls.push(Call {
        index: index as u32,
        wanted: *call,
        function: first_function(&enter),
        has_returns: is_seen,
        link: is_seen.then_some(attached.links.len()),
    });
    attached.links.extend(leave.into_iter().chain([enter]));
    Ok(())
}

/// The function of one call, of several the first.
fn first_function(links: &Links) -> Symbol {
    *links.attached().next().expect("a call that is attached to").1
}

/// Whether it says that there is no such call.
fn is_absent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref();
    error.is_some_and(|error| {
        matches!(
            error,
            Error::NotFound { .. } | Error::NoCompatCall { .. } | Error::NoCompatCallers { .. }
        )
    })
}

/// An error of a call, with its name if it does not say that itself.
fn named(what: &str, error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(Error::NotFound { .. } | Error::NoCompatCall { .. }) => error,
        Some(other) if other.errno() == libc::EMFILE => anyhow!(
            "{what}: {error:#}: each call takes two descriptors, and `ulimit -n` shows how many \
             there may be"
        ),
        Some(Error::PerfEvent { .. } | Error::Tracefs { .. }) => {
            anyhow!("{what}: {error:#} (`ksyscall doctor` says what is missing)")
        }
        _ => error.context(what.to_owned()),
    }
}

/// What to do about a name that no call has.
fn with_hint(call: &Wanted, error: anyhow::Error) -> anyhow::Error {
    let Some(Error::NotFound { .. }) = error.downcast_ref() else { return error };
    if !call.is_compat && is_compat_alone(&call.name) {
        return anyhow!("{error}; 32-bit processes have such a call: --callers compat counts it");
    }
    let arch = Architecture::native();
    let is_near_one =
        |arch: Architecture| arch.call(&call.name).is_known || !arch.nearest(&call.name).is_empty();
    match arch.is_some_and(is_near_one) {
        true => error,
        false => anyhow!("{error}; `ksyscall list` shows all that there are"),
    }
}

/// None if the kernel allows no probe there.
fn attach_return(call: Batch, counter: &Counter, max_active: Option<u32>) -> Result<Option<Links>> {
    let program = counter.program_fd("leave")?;
    let call = call.retprobe(true);
    let watched = call.clone().max_active(max_active.unwrap_or(MAX_ACTIVE)).attach(program);
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

/// All that can be attached to. False if a signal came meanwhile.
fn attach_all(
    counter: &Counter,
    calls: &[Wanted],
    signals: &Signals,
    bar: &ProgressBar,
    attached: &mut Attached,
) -> Result<bool> {
    let mut has_return = vec![false; calls.len()];
    for (is_return, is_compat) in [(true, false), (true, true), (false, false), (false, true)] {
        let of_callers = (0..calls.len()).filter(|index| calls[*index].is_compat == is_compat);
        let (which, passed_over): (Vec<usize>, Vec<usize>) =
            of_callers.partition(|index| !is_return || calls[*index].returns());
        bar.inc(passed_over.len() as u64);
        let Some(first) = which.first().map(|index| calls[*index]) else { continue };
        let cookie =
            |index: usize| counter.cookie(index, &calls[index], is_return || has_return[index]);
        let batch = Batch::new(which.iter().map(|index| calls[*index].name.as_str()))?;
        let batch = batch.callers(first.callers()).retprobe(is_return);
        let batch = batch.cookies(|position, _| cookie(which[position]));
        let program = counter.program_fd(if is_return { "leave" } else { "enter" })?;
        let mut attaching = batch.attaching(program).context("attaching to all calls")?;
        for &index in &which {
            let call = calls[index];
            let Some((name, mut result)) = attaching.next() else { break };
            bar.set_message(name.to_string());
            bar.inc(1);
            // The call's number tells which of two calls by one function it is.
            if let (Err(Error::SameFunction { .. }), Some(_)) = (&result, call.number) {
                let again = Batch::new([name.as_str()])?.callers(call.callers());
                let cookie = counter.cookie(index, &call, is_return || has_return[index]);
                let again = again.retprobe(is_return).cookies(|_, _| cookie).attach(program);
                result = again.map(|links| {
                    let function = first_function(&links);
                    attached.links.push(links);
                    function
                });
            }
            match result {
                Ok(_) if is_return => has_return[index] = true,
                Ok(function) => attached.calls.push(Call {
                    index: index as u32,
                    wanted: call,
                    function,
                    has_returns: has_return[index],
                    link: None,
                }),
                // A second name of a function is no call more.
                Err(Error::SameFunction { .. }) => {}
                Err(_) if is_return => {}
                Err(error) => {
                    let error = error.into();
                    // No table is of one kernel alone.
                    let list = match is_absent(&error) {
                        true => &mut attached.absent,
                        false => &mut attached.failures,
                    };
                    list.push((call, error));
                }
            }
            if signals.received().is_some() {
                return Ok(false);
            }
        }
        attached.batches.push(attaching.finish());
    }
    if attached.calls.is_empty() {
        let mut why = attached.failures.drain(..).chain(attached.absent.drain(..));
        let why = why.next().map(|(_, error)| error);
        let why = why.unwrap_or_else(|| anyhow::anyhow!("the kernel has none of them"));
        return Err(why.context("no call could be attached to"));
    }
    Ok(true)
}

impl Attached {
    fn none(callers: Callers) -> Self {
        Self {
            callers,
            calls: Vec::new(),
            failures: Vec::new(),
            absent: Vec::new(),
            links: Vec::new(),
            batches: Vec::new(),
        }
    }

    /// Says so if 32-bit callers were asked for, too, and the kernel serves none.
    fn tell_of_native_alone(&self) {
        let mut errors = self.absent.iter().filter_map(|(_, error)| error.downcast_ref());
        if let Some(error) = errors.find(|error| matches!(error, Error::NoCompatCallers { .. })) {
            eprintln!("ksyscall: {error}; native callers alone are counted");
        }
    }

    /// How many calls are counted, of native callers and of 32-bit ones.
    pub(super) fn counts(&self) -> (usize, usize) {
        let compat = self.calls.iter().filter(|call| call.wanted.is_compat).count();
        (self.calls.len() - compat, compat)
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
