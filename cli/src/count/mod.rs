//! `count`: attaches to the calls, waits, and reports what was counted.

mod bpf;
mod btf;
mod held;
mod limits;
mod output;
mod probes;
mod processes;
mod signals;
mod table;
mod tally;
mod wanted;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use serde_json::json;

use crate::args::{self, Callers};
use crate::say;
use bpf::{Call, Counter, Engine, Whom};
use held::Held;
use limits::Limits;
use output::Output;
use processes::Process;
use signals::Signals;
pub(crate) use signals::ignore_as_before;
use table::{Counted, Plan};
use tally::{Lost, Row};
pub(crate) use wanted::{compat_architecture, is_compat_alone};

/// The interval at which the table on a terminal is redrawn.
const REFRESH: Duration = Duration::from_secs(1);
/// The interval at which to check whether the processes given with `-p` have ended, if the kernel
/// does not support pidfds.
const LOOK: Duration = Duration::from_millis(200);

/// Why the count ended.
enum End {
    Command(ExitStatus),
    Time,
    Processes,
    Signal(i32),
}

/// The programs, and what they are attached to.
struct Count {
    counter: Counter,
    /// The calls that tracepoints count; empty if probes count the calls.
    calls: Vec<Call>,
    probes: Option<probes::Attached>,
    plan: Plan,
}

pub(crate) fn count(arguments: &args::Count) -> Result<ExitCode> {
    let calls = wanted::wanted(arguments)?;
    // Find the program here, so that the child makes only one execve(2) and a wrong name is
    // reported early.
    let program = arguments.command.first().map(|name| crate::tool::find(name)).transpose()?;
    let whom = whom(arguments)?;
    let mut output = Output::new(arguments)?;
    let signals = Signals::new(program.is_some())?;
    let limits = Limits::current();
    let Some(mut count) = Count::attach(&calls, &whom, arguments, &signals, limits)? else {
        say("interrupted while attaching; nothing is left attached");
        return Ok(ExitCode::from(128 + signals.received().unwrap_or(0) as u8));
    };

    let held = program.map(|program| Held::start(&program, &arguments.command, limits));
    let held = held.transpose()?;
    if let Some(held) = &held {
        count.counter.set_root(held.pid())?;
    }
    count.counter.run(true)?;
    if arguments.command.is_empty() {
        // Tell users that counting has started; scripts can wait for this line.
        let end = if arguments.duration.is_some() { "" } else { "; Ctrl-C ends it" };
        say(&format!("counting{end}"));
    }
    let begun = Instant::now();
    let mut child = held.map(Held::release).transpose()?;

    let processes = if let Whom::Processes(processes) = whom { processes } else { Vec::new() };
    let mut shown = Shown::new(arguments, begun, signals.continued());
    let end = wait(&mut child, arguments, &signals, begun, processes, &mut |event| match event {
        Event::Shown => shown.show(&mut count, &mut output),
        Event::Ended(process) => count.counter.remove_process(&process),
    });
    let stopped = count.counter.run(false);
    if let (Some(child), false) = (&child, matches!(end, Ok(End::Command(_)))) {
        // The command may have ended in the meantime. A stopped command receives SIGTERM only when
        // it continues.
        for signal in [Signal::TERM, Signal::CONT] {
            let _ = rustix::process::kill_process(pid_of(child), signal);
        }
    }
    let reported = end.and_then(|end| {
        stopped?;
        Ok((shown.finish(&mut count, &mut output, &end), end))
    });
    let detached = count.probes.map_or(Ok(()), probes::Attached::detach);
    // Wait even if the result could not be written.
    if let Some(child) = &mut child {
        child.wait()?;
    }
    let (written, end) = reported?;
    detached.context("an error while detaching, though nothing is left attached")?;
    let status = ExitCode::from(status(&end, child.is_some()));
    match written {
        // The process that reads the result has ended.
        Err(error) if crate::is_of_a_closed_pipe(&error) => Ok(status),
        written => written.map(|()| status),
    }
}

/// Whose calls are counted.
fn whom(arguments: &args::Count) -> Result<Whom> {
    Ok(if !arguments.command.is_empty() {
        Whom::Family
    } else if let Some(path) = &arguments.cgroup {
        let name = || format!("the cgroup {}", path.display());
        Whom::Cgroup(File::open(path).with_context(name)?)
    } else if arguments.pids.is_empty() {
        Whom::Everyone
    } else {
        let mut pids = arguments.pids.clone();
        pids.sort_unstable();
        pids.dedup();
        Whom::Processes(pids.into_iter().map(Process::open).collect::<Result<_>>()?)
    })
}

impl Count {
    /// Attaches the programs. If a signal arrives before all programs are attached, detaches those
    /// already attached and returns None.
    fn attach(
        calls: &[wanted::Wanted],
        whom: &Whom,
        arguments: &args::Count,
        signals: &Signals,
        limits: Limits,
    ) -> Result<Option<Self>> {
        let mut callers = arguments.callers;
        if callers != Callers::Native {
            match (bpf::check_compat_callers(), callers) {
                (Err(error), Callers::All) => {
                    say(&format!("{error}; only native callers are counted"));
                    callers = Callers::Native;
                }
                (result, _) => result?,
            }
        }
        let is_counted = |call: &&wanted::Wanted| !call.is_compat || callers != Callers::Native;
        let calls: Vec<_> = calls.iter().filter(is_counted).copied().collect();
        limits.raise_locked_memory();
        let mut engine = if arguments.is_by_probes { Engine::Probes } else { Engine::Tracepoints };
        let mut counter = Counter::load(&calls, whom, arguments, engine)?;
        let mut counted = Vec::new();
        if engine == Engine::Tracepoints {
            match counter.attach(&calls)? {
                Some(calls) => counted = calls,
                None => {
                    say("this kernel lacks the tracepoints sys_enter and sys_exit; using probes");
                    engine = Engine::Probes;
                    counter = Counter::load(&calls, whom, arguments, engine)?;
                }
            }
        }
        let mut probes = None;
        if engine == Engine::Probes {
            limits.raise_open_files();
            probes = probes::attach(&counter, &calls, arguments, signals)?;
            if probes.is_none() {
                return Ok(None);
            }
        }
        let all = probes.as_ref().map_or(&counted, |probes| &probes.calls);
        // The summary's number of calls excludes calls that have no known name.
        let named = all.iter().filter(|call| !call.wanted.name.as_str().starts_with("nr_"));
        let (compat, native): (Vec<&Call>, _) = named.partition(|call| call.wanted.is_compat);
        let plan = Plan {
            callers: arguments.callers,
            engine,
            counts: (native.len(), compat.len()),
            failures: probes
                .as_mut()
                .map(|probes| std::mem::take(&mut probes.failures))
                .unwrap_or_default(),
            is_by_process: arguments.is_by_process,
            sort: arguments.sort,
            top: arguments.top.map(|top| top as usize),
            with_histograms: arguments.histogram,
        };
        Ok(Some(Self { counter, calls: counted, probes, plan }))
    }

    /// What was counted so far.
    fn rows(&mut self, interval: u32) -> Result<Vec<Row>> {
        let calls = match &mut self.probes {
            Some(probes) => {
                probes.update_missed();
                &probes.calls
            }
            None => &self.calls,
        };
        self.counter.rows(calls, interval)
    }
}

/// Returns the exit status. If counting stopped because the command exited, this is the command's
/// exit status.
fn status(end: &End, has_command: bool) -> u8 {
    let code = match end {
        End::Command(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        End::Signal(number) if has_command => 128 + number,
        End::Signal(_) | End::Time | End::Processes => 0,
    };
    code as u8
}

/// An event that occurs while calls are being counted.
enum Event {
    /// It is time to show what was counted.
    Shown,
    /// A process given with `-p` has ended.
    Ended(Process),
}

fn wait(
    child: &mut Option<Child>,
    arguments: &args::Count,
    signals: &Signals,
    begun: Instant,
    mut processes: Vec<Process>,
    tell: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<End> {
    let interval = arguments.interval.unwrap_or(REFRESH);
    // None means never: the time is beyond the clock's range.
    let mut next_show = begun.checked_add(interval);
    let deadline = arguments.duration.and_then(|duration| begun.checked_add(duration));
    loop {
        if let Some(status) = child.as_mut().map(Child::try_wait).transpose()?.flatten() {
            return Ok(End::Command(status));
        }
        if let Some(number) = signals.received() {
            return Ok(End::Signal(number));
        }
        let (ended, others) = processes.into_iter().partition(Process::has_ended);
        processes = others;
        for process in ended {
            tell(Event::Ended(process))?;
        }
        if !arguments.pids.is_empty() && processes.is_empty() {
            return Ok(End::Processes);
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(End::Time);
        }
        if next_show.is_some_and(|next| now >= next) {
            tell(Event::Shown)?;
            next_show = now.checked_add(interval);
        }
        let left = |until: Option<Instant>| {
            until.map_or(Duration::MAX, |until| until.saturating_duration_since(now))
        };
        let has_all_fds = processes.iter().all(|process| process.fd().is_some());
        let look = if has_all_fds { Duration::MAX } else { LOOK };
        let time = left(deadline).min(left(next_show)).min(look);
        signals.wait(time, processes.iter().filter_map(Process::fd))?;
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Whether lines can be redrawn on a stream.
fn is_screen(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The state of the output: a table that is redrawn each second, or a table for each interval.
struct Shown {
    begun: Instant,
    with_intervals: bool,
    as_json: bool,
    is_screen: bool,
    is_terminal: bool,
    /// The width of each line on the screen.
    lines: Vec<usize>,
    /// Set when this process continues after a stop. The shell has then written below the table.
    continued: Arc<AtomicBool>,
    /// The start time of the interval, and what had been counted before the interval.
    interval_begun: Instant,
    before: (Vec<Row>, Lost),
}

impl Shown {
    fn new(arguments: &args::Count, begun: Instant, continued: Arc<AtomicBool>) -> Self {
        let with_intervals = arguments.interval.is_some();
        // Output from a command would be mixed into the table.
        let is_free = arguments.command.is_empty() && arguments.output.is_none() && !arguments.json;
        let is_terminal = arguments.output.is_none() && io::stdout().is_terminal();
        Self {
            begun,
            with_intervals,
            as_json: arguments.json,
            is_screen: is_free && !with_intervals && is_screen(&io::stdout()),
            is_terminal,
            lines: Vec::new(),
            continued,
            interval_begun: begun,
            before: Default::default(),
        }
    }

    fn show(&mut self, count: &mut Count, output: &mut Output) -> Result<()> {
        if self.with_intervals {
            return self.show_interval(count, output, None);
        }
        if !self.is_screen {
            return Ok(());
        }
        let interval = count.counter.interval();
        let mut rows = count.rows(interval)?;
        count.plan.sort(&mut rows);
        let (lost, seconds) = (count.counter.lost()?, self.begun.elapsed().as_secs_f64());
        let (width, height) = size();
        let text = Counted { plan: &count.plan, rows, lost, seconds }.live(width, height);
        self.clear()?;
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.context(crate::WRITING)?;
        self.lines = text.lines().map(|line| line.chars().count()).collect();
        Ok(())
    }

    /// Shows the final result: the total counts, or the counts of the last, incomplete interval.
    fn finish(&mut self, count: &mut Count, output: &mut Output, end: &End) -> Result<()> {
        self.clear()?;
        self.show_interval(count, output, Some(end))
    }

    fn show_interval(
        &mut self,
        count: &mut Count,
        output: &mut Output,
        end: Option<&End>,
    ) -> Result<()> {
        let interval = count.counter.next_interval()?;
        let all = count.rows(interval)?;
        let now = Instant::now();
        let all_lost = count.counter.lost()?;
        let before = self.before.0.iter().map(|row| (row.subject.key(), row));
        let before: std::collections::HashMap<_, _> = before.collect();
        let since = |row: &Row| match before.get(&row.subject.key()) {
            Some(before) => row.since(before),
            None => row.clone(),
        };
        let mut rows: Vec<_> = all.iter().map(since).collect();
        count.plan.sort(&mut rows);
        let seconds = now.duration_since(self.interval_begun).as_secs_f64();
        let lost = all_lost.since(&self.before.1);
        let counted = Counted { plan: &count.plan, rows, lost, seconds };
        let width = self.is_terminal.then(|| size().0);
        let text = match self.as_json {
            true => json(&counted, end, !self.with_intervals)?,
            false if self.with_intervals => counted.text(width) + "\n",
            false => counted.text(width),
        };
        self.interval_begun = now;
        self.before = (all, all_lost);
        output.write(text.as_bytes())
    }

    fn clear(&mut self) -> Result<()> {
        use crossterm::cursor::MoveToPreviousLine;
        use crossterm::terminal::{Clear, ClearType};
        if self.continued.swap(false, Ordering::Relaxed) {
            self.lines.clear();
        }
        if !self.lines.is_empty() {
            let up = MoveToPreviousLine(height_of(&self.lines, size().0));
            crossterm::execute!(io::stdout(), up, Clear(ClearType::FromCursorDown))?;
            self.lines.clear();
        }
        Ok(())
    }
}

/// The terminal's width in columns, and its height in lines.
fn size() -> (usize, usize) {
    match crossterm::terminal::size().unwrap_or_default() {
        // A serial console, for example, reports no size.
        (0, _) | (_, 0) => (80, 24),
        (width, height) => (width.into(), height.into()),
    }
}

/// The number of screen rows that the lines occupy on a terminal of this width. The terminal wraps
/// longer lines.
fn height_of(lines: &[usize], width: usize) -> u16 {
    let heights = lines.iter().map(|columns| columns.div_ceil(width).max(1));
    heights.sum::<usize>().try_into().unwrap_or(u16::MAX)
}

/// The JSON for a result. For an interval, the JSON is a single line with the same rows as the
/// table.
fn json(counted: &Counted, end: Option<&End>, is_whole: bool) -> Result<String> {
    let plan = counted.plan;
    let failures = plan.failures.iter();
    let failures: Vec<_> = failures
        .map(|(call, error)| {
            json!({
                "name": call.name.as_str(),
                "caller": call.caller(),
                "error": format!("{error:#}"),
            })
        })
        .collect();
    let rows = if is_whole { counted.named() } else { counted.shown() };
    let result = json!({
        "seconds": counted.seconds,
        "ended_by": end.map(|end| match end {
            End::Command(_) => "command",
            End::Time => "time",
            End::Processes => "processes",
            End::Signal(_) => "signal",
        }),
        "exit_status": match end {
            Some(End::Command(status)) => status.code(),
            _ => None,
        },
        "engine": plan.engine.words(),
        if plan.is_by_process { "processes" } else { "calls" }:
            rows.iter().map(|row| row.json()).collect::<Vec<_>>(),
        "not_attached": failures,
        "not_counted": counted.lost.json(),
    });
    let text = match is_whole {
        true => serde_json::to_string_pretty(&result)?,
        false => serde_json::to_string(&result)?,
    };
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_count_as_several_rows() {
        let lines = [80, 0, 40, 41];
        assert_eq!(height_of(&lines, 200), 4);
        assert_eq!(height_of(&lines, 80), 4);
        assert_eq!(height_of(&lines, 79), 5);
        assert_eq!(height_of(&lines, 40), 2 + 1 + 1 + 2);
    }
}
