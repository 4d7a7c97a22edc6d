//! Attaches to the functions that serve the calls. `count` uses this method on kernels without the
//! tracepoints and with `--probes`, which avoids slowing other calls down.

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ksyscall::{Architecture, Batch, Error, Links, Symbol};

use super::bpf::{Call, Counter};
use super::signals::Signals;
use super::wanted::{Wanted, is_compat_alone};
use crate::args::{self, Callers};
use crate::say;

/// The number of in-flight calls that a return probe tracks by default. With this default, each
/// return probe requires 64 kB of kernel memory (docs/returns.md).
const MAX_ACTIVE: u32 = 1024;

/// The result of attaching: the probed calls, the links, and the calls that could not be probed.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) calls: Vec<Call>,
    /// Calls that exist in this kernel, but to which the programs could not be attached.
    pub(super) failures: Vec<(Wanted, anyhow::Error)>,
    /// Calls that this kernel does not have.
    absent: Vec<(Wanted, anyhow::Error)>,
    links: Vec<Links>,
    /// The index in `links` of each call's return probe, in the order of `calls`.
    returns: Vec<Option<usize>>,
    batches: Vec<Links>,
}

/// Attaches the return probes first, so that the return of every counted call is seen.
///
/// If a signal arrives before all probes are attached, detaches those already attached and returns
/// None.
pub(super) fn attach(
    counter: &Counter,
    calls: &[Wanted],
    arguments: &args::Count,
    signals: &Signals,
) -> Result<Option<Attached>> {
    let bar = progress_bar(2 * calls.len() as u64);
    let mut attached = Attached::default();
    let is_done = match arguments.all {
        true => attach_all(counter, calls, signals, &bar, &mut attached),
        false => attach_each(counter, calls, arguments, signals, &bar, &mut attached),
    };
    bar.finish_and_clear();
    if !is_done? {
        attached.detach()?;
        return Ok(None);
    }
    Ok(Some(attached))
}

fn progress_bar(length: u64) -> ProgressBar {
    let is_seen = super::is_screen(&std::io::stderr());
    let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    // On a terminal with 40 columns, the bar fits but the call's name does not.
    let style = ProgressStyle::with_template("attaching {bar:20} {pos}/{len} {wide_msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Attaches to named calls. Each call must exist for at least one kind of caller. Returns false if
/// a signal arrives before all probes are attached.
fn attach_each(
    counter: &Counter,
    calls: &[Wanted],
    arguments: &args::Count,
    signals: &Signals,
    bar: &ProgressBar,
    attached: &mut Attached,
) -> Result<bool> {
    for (index, call) in calls.iter().enumerate() {
        bar.set_message(call.name.to_string());
        match attach_call(counter, index, call, arguments.max_active, attached) {
            Ok(()) => {}
            // The call may exist for the other kind of caller.
            Err(error) if is_absent(&error) && arguments.callers == Callers::All => {
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

/// Attaches to one named call.
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
        say(&format!(
            "{call}: this kernel allows no probe at its return, so its errors and times are unknown"
        ));
    }
    attached.calls.push(Call {
        index: index as u32,
        wanted: *call,
        function: Some(first_function(&enter)),
        has_returns: is_seen,
        missed_by_kernel: None,
    });
    attached.returns.push(is_seen.then_some(attached.links.len()));
    attached.links.extend(leave.into_iter().chain([enter]));
    Ok(())
}

/// Returns the first of a call's functions to which a program was attached.
fn first_function(links: &Links) -> Symbol {
    *links.attached().next().expect("a call that is attached to").1
}

/// Whether an error means that the kernel lacks the call.
fn is_absent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref();
    error.is_some_and(|error| {
        matches!(
            error,
            Error::NotFound { .. } | Error::NoCompatCall { .. } | Error::NoCompatCallers { .. }
        )
    })
}

/// Adds the call's name to an error that does not contain it.
fn named(what: &str, error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(Error::NotFound { .. } | Error::NoCompatCall { .. }) => error,
        Some(other) if other.errno() == libc::EMFILE => anyhow!(
            "{what}: {error:#}: each call requires two descriptors (`ulimit -n` prints the limit)"
        ),
        Some(Error::PerfEvent { .. } | Error::Tracefs { .. }) => {
            anyhow!("{what}: {error:#} (`ksyscall doctor` reports what is missing)")
        }
        _ => error.context(what.to_owned()),
    }
}

/// Adds advice to the error for a name that matches no call.
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
        false => anyhow!("{error}; `ksyscall list` shows all calls"),
    }
}

/// Attaches to a call's return. Returns None if the kernel does not allow the return probe.
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

/// Attaches to every call that can be probed. Returns false if a signal arrives before all probes
/// are attached.
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
            // One function may serve two 32-bit calls. The program distinguishes these calls by
            // their numbers.
            let number = call.number.filter(|_| call.is_compat);
            if let (Err(Error::SameFunction { .. }), Some(_)) = (&result, number) {
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
                    function: Some(function),
                    has_returns: has_return[index],
                    missed_by_kernel: None,
                }),
                // A second name for the same function is not another call.
                Err(Error::SameFunction { .. }) => {}
                Err(_) if is_return => {}
                Err(error) => {
                    let error = error.into();
                    // The table also contains calls that this kernel lacks.
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
        let why = why.unwrap_or_else(|| anyhow::anyhow!("the kernel has none of the calls"));
        return Err(why.context("cannot attach to any call"));
    }
    Ok(true)
}

impl Attached {
    /// Updates the number of returns that the kernel missed.
    pub(super) fn update_missed(&mut self) {
        for (call, link) in self.calls.iter_mut().zip(&self.returns) {
            let link = link.and_then(|link| self.links.get(link));
            call.missed_by_kernel = link.and_then(Links::missed);
        }
    }

    /// Detaches the programs concurrently, because each detach waits in the kernel.
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
