//! `count`: attaches to the calls, waits, and says what was counted.

mod bpf;
mod held;
mod signals;
mod table;
mod tally;
mod wanted;

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Signal};
use serde_json::json;

use crate::args;
use bpf::{Attached, Counter, Whom};
use held::Held;
use signals::Signals;
use tally::Row;
pub(crate) use wanted::{compat_architecture, is_compat_alone};

/// How often the table on a terminal is made anew.
const REFRESH: Duration = Duration::from_secs(1);
/// How often it is looked whether the processes of `-p` are there.
const LOOK: Duration = Duration::from_millis(200);

/// Why it ended.
enum End {
    Command(ExitStatus),
    Time,
    Processes,
    Signal(i32),
}

pub(crate) fn count(arguments: &args::Count) -> Result<ExitCode> {
    let calls = wanted::wanted(arguments)?;
    let command = match arguments.command.split_first() {
        // Here, so that it makes one execve(2), and that a name that is none fails early.
        Some((program, rest)) => Some((crate::tool::find(program)?, rest)),
        None => None,
    };
    let whom = match (&command, &arguments.pids[..]) {
        (Some(_), _) => Whom::Family,
        (None, []) => Whom::Everyone,
        (None, pids) => Whom::Processes(checked_processes(pids)?),
    };
    if !matches!(whom, Whom::Everyone) {
        has_the_kernels_pids()?;
    }
    let mut output = Output::open(arguments)?;
    let signals = Signals::new(command.is_some())?;
    open_files_as_allowed();

    let mut counter = Counter::load(&calls, &whom)?;
    let Some(attached) = bpf::attach(&counter, &calls, arguments, &signals)? else {
        eprintln!("ksyscall: interrupted while attaching; nothing is left attached");
        return Ok(ExitCode::from(128 + signals.received().unwrap_or(0) as u8));
    };

    let held = command.map(|(program, rest)| Held::start(&program, rest)).transpose()?;
    if let Some(held) = &held {
        counter.add_process(held.pid())?;
    }
    counter.run(true)?;
    if arguments.command.is_empty() {
        // For people, and for scripts that wait for it.
        let end = if arguments.duration.is_some() { "" } else { "; Ctrl-C ends it" };
        eprintln!("ksyscall: counting{end}");
    }
    let begun = Instant::now();
    let mut child = held.map(Held::release).transpose()?;

    let mut screen = Screen::new(arguments);
    let end = wait(&mut child, arguments, &signals, begun, &mut |seconds| {
        screen.show(&counter.rows(&attached)?, seconds, &attached)
    })?;
    counter.run(false)?;
    let seconds = begun.elapsed().as_secs_f64();
    let rows = counter.rows(&attached)?;
    screen.clear()?;
    if let (Some(child), false) = (&child, matches!(end, End::Command(_))) {
        // It may have ended by itself meanwhile.
        let _ = rustix::process::kill_process(pid_of(child), Signal::TERM);
    }
    let written = match arguments.json {
        true => write_json(&mut output, &rows, seconds, &attached, &end),
        false => table::write(&mut output, &rows, seconds, &attached, arguments.histogram),
    };
    attached.detach().context("detaching, after which nothing is attached")?;
    written.with_context(|| format!("writing to {}", output.name))?;
    finish(child, end)
}

/// The exit status is the command's, if it has ended by itself.
fn finish(child: Option<Child>, end: End) -> Result<ExitCode> {
    let code = match &end {
        End::Command(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        End::Signal(number) if child.is_some() => 128 + number,
        End::Signal(_) | End::Time | End::Processes => 0,
    };
    if let Some(mut child) = child {
        child.wait()?;
    }
    Ok(ExitCode::from(code as u8))
}

fn wait(
    child: &mut Option<Child>,
    arguments: &args::Count,
    signals: &Signals,
    begun: Instant,
    show: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<End> {
    let mut next_show = begun + REFRESH;
    loop {
        if let Some(status) = child.as_mut().map(Child::try_wait).transpose()?.flatten() {
            return Ok(End::Command(status));
        }
        if let Some(number) = signals.received() {
            return Ok(End::Signal(number));
        }
        let is_gone = |pid: &i32| !Path::new(&format!("/proc/{pid}")).exists();
        if !arguments.pids.is_empty() && arguments.pids.iter().all(is_gone) {
            return Ok(End::Processes);
        }
        let now = Instant::now();
        let left =
            arguments.duration.map(|duration| (begun + duration).saturating_duration_since(now));
        if left == Some(Duration::ZERO) {
            return Ok(End::Time);
        }
        if now >= next_show {
            show(begun.elapsed().as_secs_f64())?;
            next_show = now + REFRESH;
        }
        let look = if arguments.pids.is_empty() { REFRESH } else { LOOK };
        let until_show = next_show.saturating_duration_since(now);
        signals.wait(left.unwrap_or(REFRESH).min(look).min(until_show))?;
    }
}

fn checked_processes(pids: &[i32]) -> Result<Vec<u32>> {
    let checked = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        let Ok(status) = status else { bail!("there is no process {pid}; nothing was attached") };
        let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")).map(str::trim);
        match process {
            Some(process) if process != pid.to_string() => {
                bail!("{pid} is a thread of the process {process}: name that, with -p {process}")
            }
            _ => Ok(*pid as u32),
        }
    };
    pids.iter().map(checked).collect()
}

/// In a PID namespace processes have other numbers than the kernel's BPF programs see.
fn has_the_kernels_pids() -> Result<()> {
    // PROC_PID_INIT_INO of include/linux/proc_ns.h.
    const INITIAL: &str = "pid:[4026531836]";
    let namespace = fs::read_link("/proc/self/ns/pid").context("/proc/self/ns/pid: mount /proc")?;
    if namespace != Path::new(INITIAL) {
        bail!(
            "this is a PID namespace of its own, a container: processes cannot be told apart here; \
             count outside of it, or without -p and COMMAND"
        );
    }
    Ok(())
}

/// Each call takes two file descriptors, and --all takes several hundred.
fn open_files_as_allowed() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If not, attaching says how many it takes.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Where the result goes.
struct Output {
    name: String,
    file: Box<dyn Write>,
}

impl Output {
    fn open(arguments: &args::Count) -> Result<Self> {
        Ok(match &arguments.output {
            Some(path) => {
                let name = path.display().to_string();
                let file = File::create(path)
                    .with_context(|| format!("{name}, for the result, cannot be written"))?;
                Self { name, file: Box::new(file) }
            }
            None if arguments.command.is_empty() => {
                Self { name: crate::OUTPUT.to_owned(), file: Box::new(io::stdout()) }
            }
            None => Self { name: "the standard error".to_owned(), file: Box::new(io::stderr()) },
        })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether lines can be drawn anew there.
fn is_screen(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The table that is made anew each second, on a terminal.
struct Screen {
    is_used: bool,
    /// Of each line that is shown, how many columns it has.
    shown: Vec<usize>,
}

impl Screen {
    fn new(arguments: &args::Count) -> Self {
        // A command's own output would come between.
        let is_free = arguments.command.is_empty() && arguments.output.is_none() && !arguments.json;
        Self { is_used: is_free && is_screen(&io::stdout()), shown: Vec::new() }
    }

    fn show(&mut self, rows: &[Row], seconds: f64, attached: &Attached) -> Result<()> {
        if !self.is_used {
            return Ok(());
        }
        let (width, height) = size();
        let text = table::live(rows, seconds, attached, width, height);
        self.clear()?;
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        self.shown = text.lines().map(|line| line.chars().count()).collect();
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        use crossterm::cursor::MoveToPreviousLine;
        use crossterm::terminal::{Clear, ClearType};
        if !self.shown.is_empty() {
            let up = MoveToPreviousLine(height_of(&self.shown, size().0));
            crossterm::execute!(io::stdout(), up, Clear(ClearType::FromCursorDown))?;
            self.shown.clear();
        }
        Ok(())
    }
}

/// The columns and the lines of the terminal.
fn size() -> (usize, usize) {
    match crossterm::terminal::size().unwrap_or_default() {
        // As of a serial console.
        (0, _) | (_, 0) => (80, 24),
        (width, height) => (width.into(), height.into()),
    }
}

/// How high lines stand on a terminal that has become so narrow: it breaks the longer ones.
fn height_of(lines: &[usize], width: usize) -> u16 {
    let heights = lines.iter().map(|columns| columns.div_ceil(width).max(1));
    heights.sum::<usize>().try_into().unwrap_or(u16::MAX)
}

fn write_json(
    out: &mut Output,
    rows: &[Row],
    seconds: f64,
    attached: &Attached,
    end: &End,
) -> Result<()> {
    let failures = attached.failures.iter();
    let failures: Vec<_> = failures
        .map(|(call, error)| {
            json!({
                "name": call.name.as_str(),
                "caller": call.caller(),
                "error": format!("{error:#}"),
            })
        })
        .collect();
    let result = json!({
        "seconds": seconds,
        "ended_by": match end {
            End::Command(_) => "command",
            End::Time => "time",
            End::Processes => "processes",
            End::Signal(_) => "signal",
        },
        "exit_status": match end {
            End::Command(status) => status.code(),
            _ => None,
        },
        "calls": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "not_attached": failures,
    });
    serde_json::to_writer_pretty(&mut *out, &result)?;
    Ok(writeln!(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_narrower_terminal_breaks_are_cleared_whole() {
        let lines = [80, 0, 40, 41];
        assert_eq!(height_of(&lines, 200), 4);
        assert_eq!(height_of(&lines, 80), 4);
        assert_eq!(height_of(&lines, 79), 5);
        assert_eq!(height_of(&lines, 40), 2 + 1 + 1 + 2);
    }
}
