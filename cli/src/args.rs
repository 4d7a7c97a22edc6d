//! Parses the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use ksyscall::SyscallName;

/// Looks up and counts system calls, and runs libbpf tools with libksyscall
///
/// A call's name comes from its man page, from <asm/unistd.h> or from the kernel's sources.
#[derive(Debug, Parser)]
#[command(name = "ksyscall", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Examples:\n  \
    ksyscall resolve stat umount2            show which kernel functions serve two calls\n  \
    ksyscall doctor                          check whether programs can be attached here\n  \
    ksyscall count openat -- make            count the calls of a command and its children\n  \
    ksyscall count --all -d 5                count all calls of the system for five seconds\n  \
    ksyscall run ./tool                      run a libbpf tool with libksyscall preloaded")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Parses a command line.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let words: Vec<_> = words.into_iter().collect();
        let cli = Self::try_parse_from(&words)?;
        let is_without_command =
            matches!(&cli.command, Command::Count(count) if count.command.is_empty());
        // If $COMMAND is empty, `-- $COMMAND` would count all processes.
        if is_without_command && words.last().is_some_and(|word| word == "--") {
            let why = "a COMMAND is missing after `--`; omit `--` to count all processes";
            let mut command = Self::command();
            command.build();
            let count = command.find_subcommand_mut("count").map(std::mem::take);
            let mut command = count.unwrap_or(command);
            return Err(command.error(ErrorKind::MissingRequiredArgument, why));
        }
        Ok(cli)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show which kernel function serves a call, and how libbpf resolves its name
    Resolve(Resolve),
    /// List all calls with their numbers and functions
    List(List),
    /// Report what is missing for attaching here, and whether preloading reaches a tool
    ///
    /// It tries to attach a program that changes nothing, and removes everything again. The exit
    /// status is 1 if attaching does not work, or if preloading does not reach the tool.
    Doctor(Doctor),
    /// Count calls and their errors, and how long they take
    ///
    /// It stops when COMMAND ends, after SECONDS or at Ctrl-C, and leaves nothing attached.
    Count(Count),
    /// Run a libbpf tool with libksyscall preloaded, so that its programs see each call
    Run(Run),
    /// Print the completions for a shell
    #[command(hide = true)]
    Completion { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The calls
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) of: Of,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) of: Of,
}

#[derive(Debug, Args)]
pub(crate) struct Of {
    /// Answer from ARCH's table, without the running kernel: x86_64, aarch64, riscv64, s390x,
    /// powerpc64, mips64, loongarch64, x86, arm, powerpc
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// A program or script: report whether preloading libksyscall reaches it
    pub(crate) tool: Option<PathBuf>,
    /// Also make a call, and check that the attached program runs
    #[arg(long = "try")]
    pub(crate) is_tried: bool,
    /// Print the verifier's log if the kernel refuses the program
    #[arg(short = 'v', long = "verbose")]
    pub(crate) is_verbose: bool,
    /// The library to preload
    #[arg(long, value_name = "FILE")]
    pub(crate) library: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Default, Args)]
#[command(override_usage = "ksyscall count [OPTIONS] <NAME>...|--all [-- <COMMAND>...]")]
pub(crate) struct Count {
    /// Calls: names, patterns ('epoll_*') or classes as in strace(1) (%file, %network)
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Count all calls that this kernel has
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Count only calls that fail
    #[arg(short = 'x', long, help_heading = CALLS)]
    pub(crate) failed: bool,
    /// Count only calls that fail with this error, such as ENOENT
    #[arg(short, long, value_name = "ERRNO", value_parser = errno, help_heading = CALLS)]
    pub(crate) errno: Option<i32>,
    /// Whose calls to count. With any value but native, each line shows who made the calls
    #[arg(long, default_value = "native", hide_default_value = true, help_heading = CALLS)]
    pub(crate) callers: Callers,
    /// Count the calls of this process and its threads, not of its children; can be repeated
    #[arg(short, long = "pid", value_name = "PID", conflicts_with = "command",
          allow_negative_numbers = true, value_parser = pid, help_heading = PROCESSES)]
    pub(crate) pids: Vec<i32>,
    /// Count the calls of processes in this cgroup (version 2) and in its descendants
    #[arg(long, value_name = "PATH", conflicts_with_all = ["command", "pids"],
          help_heading = PROCESSES)]
    pub(crate) cgroup: Option<PathBuf>,
    /// Run this command, and count its calls and those of all its children
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// Print a line for each process instead of each call
    #[arg(short = 'P', long = "process", help_heading = RESULT)]
    pub(crate) is_by_process: bool,
    /// Sort the lines by this column
    #[arg(long, default_value = "calls", value_name = "COLUMN", help_heading = RESULT)]
    pub(crate) sort: Sort,
    /// Print only the first LINES lines
    #[arg(short = 'T', long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..),
          help_heading = RESULT)]
    pub(crate) top: Option<u32>,
    /// Print histograms of the calls' duration, and each error
    #[arg(short = 'H', long, help_heading = RESULT)]
    pub(crate) histogram: bool,
    /// Print JSON; with --interval, one line for each interval
    #[arg(long, help_heading = RESULT)]
    pub(crate) json: bool,
    /// Write the result to FILE. The default is standard output, or standard error if there is a
    /// COMMAND
    #[arg(short, long, value_name = "FILE", help_heading = RESULT)]
    pub(crate) output: Option<PathBuf>,
    /// Stop after this number of seconds
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true,
          value_parser = seconds, help_heading = TIME)]
    pub(crate) duration: Option<std::time::Duration>,
    /// Print a separate result after each interval of this length
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true,
          value_parser = seconds, help_heading = TIME)]
    pub(crate) interval: Option<std::time::Duration>,
    /// Probe the functions of the calls, which does not slow other calls down. By default the
    /// tracepoints sys_enter and sys_exit are used, if the kernel has them
    #[arg(long = "probes", help_heading = PROBES)]
    pub(crate) is_by_probes: bool,
    /// How many calls in progress each return probe tracks: 1 to 4096, or 0 for the kernel's
    /// default. By default 1024, if the kernel supports it
    #[arg(long, value_name = "CALLS", requires = "is_by_probes", conflicts_with = "all",
          allow_negative_numbers = true, value_parser = calls_or_none, help_heading = PROBES)]
    pub(crate) max_active: Option<u32>,
}

const CALLS: &str = "Which calls";
const PROCESSES: &str = "Which processes";
const RESULT: &str = "Result";
const TIME: &str = "Time";
const PROBES: &str = "Probes";

/// The column that determines the order of the result's lines, largest value first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// The number of calls
    #[default]
    Calls,
    /// The total time of the calls
    Time,
    /// The number of errors
    Errors,
    /// The longest call
    Longest,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The library to preload. By default libksyscall.so.1 in the folder lib next to this
    /// program's folder, or in the system's folders
    #[arg(long, value_name = "FILE")]
    pub(crate) library: Option<PathBuf>,
    /// Keep each perf event open in addition to the link, for `bpftool perf show`: sets
    /// KSYSCALL_KEEP_EVENT=1
    #[arg(long)]
    pub(crate) keep_event: bool,
    /// How many calls in progress each return probe of the tool tracks: sets
    /// KSYSCALL_MAX_ACTIVE
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true, value_parser = calls)]
    pub(crate) max_active: Option<u32>,
    /// Whose calls the tool's programs see: sets KSYSCALL_CALLERS
    #[arg(long)]
    pub(crate) callers: Option<Callers>,
    /// Run the tool even if preloading does not reach it
    #[arg(long)]
    pub(crate) force: bool,
    /// The tool and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "TOOL"
    )]
    pub(crate) tool: Vec<OsString>,
}

/// The kind of caller whose calls are counted, or are seen by a tool's programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Callers {
    /// Processes of this architecture
    #[default]
    Native,
    /// 32-bit processes, and calls by int 0x80 on x86-64
    Compat,
    /// Both
    All,
}

impl Callers {
    /// The spelling of this value on the command line and in the library's environment variable.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Callers::Native => "native",
            Callers::Compat => "compat",
            Callers::All => "all",
        }
    }
}

fn pid(text: &str) -> Result<i32, String> {
    let pid = text.parse().ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| "must be a process ID, as ps(1) shows it".to_owned())
}

fn errno(text: &str) -> Result<i32, String> {
    crate::errno::named(text).ok_or_else(|| "must be an error such as ENOENT".to_owned())
}

/// Equal to KRETPROBE_MAXACTIVE_MAX in the kernel's kernel/trace/trace_kprobe.c.
const MOST_ACTIVE: u32 = 4096;

fn calls(text: &str) -> Result<u32, String> {
    let calls = text.parse().ok().filter(|calls| (1..=MOST_ACTIVE).contains(calls));
    calls.ok_or_else(|| format!("must be a number from 1 to {MOST_ACTIVE}"))
}

fn calls_or_none(text: &str) -> Result<u32, String> {
    let calls = text.parse().ok().filter(|calls| *calls <= MOST_ACTIVE);
    calls.ok_or_else(|| {
        format!("must be a number from 1 to {MOST_ACTIVE}, or 0 for the kernel's default")
    })
}

/// The name of a call.
pub(crate) fn syscall_name(text: &str) -> Result<SyscallName> {
    SyscallName::new(text).map_err(|error| {
        let lower = text.to_lowercase();
        match SyscallName::new(&lower) {
            Ok(_) => anyhow!("{error}; did you mean {lower}?"),
            Err(_) => error.into(),
        }
    })
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let duration = seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "must be a number of seconds greater than 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_lists_the_architectures() {
        let names: Vec<_> = ksyscall::Architecture::all().map(|arch| arch.name()).collect();
        for command in Cli::command().get_subcommands() {
            let arch = command.get_arguments().find(|argument| argument.get_id() == "arch");
            let help = arch.and_then(clap::Arg::get_help).map(ToString::to_string);
            assert!(help.is_none_or(|help| help.ends_with(&names.join(", "))));
        }
    }

    /// fish expands variables in these descriptions.
    #[test]
    fn the_descriptions_of_values_contain_no_dollar() {
        for command in Cli::command().get_subcommands() {
            for value in command.get_arguments().flat_map(|argument| argument.get_possible_values())
            {
                let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.contains('$'), "{}: {help}", command.get_name());
            }
        }
    }

    /// The man page is written by hand, because it contains more than the help text.
    #[test]
    fn the_man_page_has_every_command_and_option() {
        let page = include_str!("../../man/ksyscall.1");
        let commands = Cli::command();
        for command in commands.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(page.contains(&format!(".It Cm {name}\n")), "{name}");
            for argument in command.get_arguments() {
                let long = argument.get_long().map(|long| format!("Fl -{long}"));
                let short = argument.get_short().map(|short| format!(".It Fl {short} "));
                for option in long.into_iter().chain(short) {
                    assert!(page.contains(&option), "{option} of {name}");
                }
            }
        }
    }

    fn refused(line: &str) -> ErrorKind {
        Cli::read(line.split(' ').map(Into::into)).expect_err(line).kind()
    }

    #[test]
    fn invalid_command_lines_are_refused() {
        for line in [
            "ksyscall resolve",
            "ksyscall count",
            "ksyscall count openat --",
            "ksyscall count --all --json --",
            "ksyscall run",
        ] {
            assert_eq!(refused(line), ErrorKind::MissingRequiredArgument, "{line}");
        }
        for line in [
            "ksyscall count --all openat",
            "ksyscall count openat -p 1 -- true",
            "ksyscall count --all --probes --max-active 10",
            "ksyscall count --all --cgroup / -p 1",
        ] {
            assert_eq!(refused(line), ErrorKind::ArgumentConflict, "{line}");
        }
        for line in [
            "ksyscall count openat -d 0",
            "ksyscall count openat -d -1",
            "ksyscall count openat -d soon",
            "ksyscall count openat -p me",
            "ksyscall count openat -p 0",
            "ksyscall count openat -p -5",
            "ksyscall count openat --probes --max-active 4097",
            "ksyscall count openat -e ENOTHING",
            "ksyscall count openat -i 0",
            "ksyscall count openat -T 0",
            "ksyscall count openat --callers some",
            "ksyscall run --max-active 0 tool",
        ] {
            let kind = refused(line);
            let is_about_the_value =
                matches!(kind, ErrorKind::ValueValidation | ErrorKind::InvalidValue);
            assert!(is_about_the_value, "{line}: {kind:?}");
        }
    }

    #[test]
    fn options_after_the_tool_belong_to_the_tool() {
        let cli = Cli::try_parse_from(["ksyscall", "run", "--keep-event", "tool", "--json", "-p"]);
        let Command::Run(run) = cli.unwrap().command else { panic!("no run") };
        assert!(run.keep_event);
        assert_eq!(run.tool, ["tool", "--json", "-p"]);
        let cli = Cli::try_parse_from(["ksyscall", "count", "stat", "-d", "0.5", "--", "ls", "-l"]);
        let Command::Count(count) = cli.unwrap().command else { panic!("no count") };
        assert_eq!(count.command, ["ls", "-l"]);
        assert_eq!(count.duration.unwrap().as_millis(), 500);
    }
}
