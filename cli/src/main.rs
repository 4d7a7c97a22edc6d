//! The command `ksyscall`: looks up and counts system calls, checks the system, and runs tools.

mod args;
mod count;
mod doctor;
mod elf;
mod errno;
mod loader;
mod resolve;
mod run;
mod tool;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;

use args::{Cli, Command};

const OUTPUT: &str = "standard output";
/// The context for errors that occur while writing to standard output.
const WRITING: &str = "writing to standard output";

fn main() -> ExitCode {
    let result = match Cli::read(std::env::args_os()) {
        Ok(cli) => run(cli),
        Err(error) if error.use_stderr() => error.exit(),
        // --help and --version print to standard output.
        Err(help) => help.print().context(WRITING).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        // The process that reads from the pipe, for example `head`, has ended.
        Err(error) if is_of_a_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
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
            let mut words = Vec::new();
            clap_complete::generate(shell, &mut command, "ksyscall", &mut words);
            std::io::stdout().write_all(&words).context(WRITING)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints a message to standard error. Ignores write errors.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "ksyscall: {}", printable(text));
}

/// Escapes control characters, and characters that are invisible or reorder other characters: text
/// from a file or process must neither control the terminal nor pass for other text.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '"' | '\'' | '\\') { out.push(c) } else { out.extend(c.escape_debug()) }
    }
    out
}

fn is_of_a_closed_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| {
        let of_json = || cause.downcast_ref().and_then(serde_json::Error::io_error_kind);
        cause.downcast_ref().map(std::io::Error::kind).or_else(of_json)
    });
    kinds.into_iter().any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn hidden_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}b\nc"), "a\\u{1b}b\\nc");
        // Right-to-left override, zero-width space.
        assert_eq!(printable("x\u{202e}y\u{200b}"), "x\\u{202e}y\\u{200b}");
        assert_eq!(printable("Größe \"数\" '\\'"), "Größe \"数\" '\\'");
    }
}
