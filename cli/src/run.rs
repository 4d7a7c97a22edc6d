//! `run`: executes a tool with the library preloaded.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::args;
use crate::count::ignore_as_before;
use crate::say;
use crate::tool::{self, Reach, Verdict};

// The conventional exit statuses of programs that run commands, such as env(1).
const OWN_FAILURE: u8 = 125;
const NOT_EXECUTED: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(crate) fn run(arguments: &args::Run) -> ExitCode {
    let program = match tool::find(&arguments.tool[0]) {
        Ok(program) => program,
        Err(error) => {
            say(&error.to_string());
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            return if is_missing { NOT_FOUND } else { NOT_EXECUTED }.into();
        }
    };
    match command(arguments, &program) {
        Ok(mut command) => {
            let error: io::Error = command.exec();
            say(&format!("{:#}", tool::not_executed(&program, error)));
            NOT_EXECUTED.into()
        }
        Err(error) => {
            say(&format!("{error:#}"));
            OWN_FAILURE.into()
        }
    }
}

fn command(arguments: &args::Run, program: &Path) -> Result<Command> {
    let library = tool::find_library(arguments.library.as_deref())?;
    let library = library.context(tool::NOT_INSTALLED)?;
    let verdict = tool::judge(program, Some(&library));
    let shown = program.display();
    match &verdict {
        _ if arguments.force => {}
        Err(error) => bail!(
            "cannot tell whether preloading reaches {shown}: {error:#}; --force runs it anyway"
        ),
        Ok(verdict) => {
            let Verdict { reach, found, advice } = verdict;
            let advice = advice.as_deref().unwrap_or_default();
            let has_options = arguments.keep_event
                || arguments.max_active.is_some()
                || arguments.callers.is_some();
            match reach {
                Reach::No => bail!(
                    "preloading does not reach {shown}: {found} (--force runs it anyway); {advice}"
                ),
                Reach::Probes if has_options => bail!(
                    "{shown}: {found}: --keep-event, --max-active and --callers have no effect on \
                     such a tool; --force runs it anyway"
                ),
                Reach::Perhaps => say(&format!("{shown}: {found}; {advice}")),
                Reach::Yes | Reach::Probes => {}
            }
        }
    }
    let mut command = Command::new(program);
    command.arg0(&arguments.tool[0]).args(&arguments.tool[1..]);
    command.env("LD_PRELOAD", preload(env::var_os("LD_PRELOAD"), &library));
    // The standard library resets SIGPIPE before it executes a program.
    // SAFETY: the function only makes system calls, and does not allocate.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| {
            ignore_as_before();
            Ok(())
        })
    };
    if arguments.keep_event {
        command.env("KSYSCALL_KEEP_EVENT", "1");
    }
    if let Some(calls) = arguments.max_active {
        command.env("KSYSCALL_MAX_ACTIVE", calls.to_string());
    }
    if let Some(callers) = arguments.callers {
        command.env("KSYSCALL_CALLERS", callers.word());
    }
    Ok(command)
}

/// Appends the library to the user's list, because some libraries (for example AddressSanitizer)
/// must come first.
fn preload(users: Option<OsString>, library: &Path) -> OsString {
    match users {
        Some(mut list) if !list.is_empty() => {
            list.push(":");
            list.push(library);
            list
        }
        _ => library.into(),
    }
}
