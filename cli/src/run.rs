//! `run`: executes a tool with the library preloaded.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::args;
use crate::tool::{self, Reach};

/// As env(1) and others that run commands.
const OWN_FAILURE: u8 = 125;
const NOT_EXECUTED: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(crate) fn run(arguments: &args::Run) -> ExitCode {
    let program = match tool::find(&arguments.tool[0]) {
        Ok(program) => program,
        Err(error) => {
            eprintln!("ksyscall: {error:#}");
            return NOT_FOUND.into();
        }
    };
    match command(arguments, &program) {
        Ok(mut command) => {
            let error: io::Error = command.exec();
            eprintln!("ksyscall: {:#}", tool::not_executed(&program, error));
            NOT_EXECUTED.into()
        }
        Err(error) => {
            eprintln!("ksyscall: {error:#}");
            OWN_FAILURE.into()
        }
    }
}

fn command(arguments: &args::Run, program: &Path) -> Result<Command> {
    let library = tool::find_library(arguments.library.as_deref())?;
    let verdict = tool::judge(program, Some(&library));
    let shown = program.display();
    match &verdict {
        Err(error) if !arguments.force => {
            anyhow::bail!(
                "whether preloading reaches {shown} is not known: {error:#}; --force runs it all the same"
            )
        }
        Ok(verdict) if verdict.reach == Reach::No && !arguments.force => {
            let advice = verdict.advice.as_deref().unwrap_or_default();
            anyhow::bail!(
                "preloading does not reach {shown}: {} (--force runs it all the same); {advice}",
                verdict.found
            )
        }
        Ok(verdict) if verdict.reach == Reach::Perhaps => {
            let advice = verdict.advice.as_deref().unwrap_or_default();
            eprintln!("ksyscall: {shown}: {}; {advice}", verdict.found);
        }
        _ => {}
    }
    let mut preload = OsString::from(&library);
    if let Some(before) = std::env::var_os("LD_PRELOAD").filter(|before| !before.is_empty()) {
        preload.push(":");
        preload.push(before);
    }
    let mut command = Command::new(program);
    command.arg0(&arguments.tool[0]).args(&arguments.tool[1..]).env("LD_PRELOAD", preload);
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
