//! The command `ksyscall`: what the crate knows and does, for people.

mod args;
mod count;
mod doctor;
mod elf;
mod resolve;
mod run;
mod tool;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        // Whoever reads has enough, as `head`.
        Err(error) if is_of_a_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ksyscall: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Resolve(arguments) => resolve::resolve(&arguments),
        Command::List(arguments) => resolve::list(&arguments),
        Command::Count(arguments) => count::count(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Run(arguments) => Ok(run::run(&arguments)),
        Command::Completion { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "ksyscall", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn is_of_a_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
