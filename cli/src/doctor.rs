//! `doctor`: reports why attaching would fail on this system, and whether the library can be
//! preloaded into a tool.

mod checks;
mod trials;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use crate::args;
use crate::tool::{self, Reach, Verdict};
use crate::{printable, say};
use checks::{Check, Level, System};
use trials::{Held, Refusal, Trials};

/// What the command prints.
struct Report<'a> {
    checks: Vec<Check>,
    can_attach: bool,
    /// The verifier's log, if the user requested it and the kernel returned a log.
    log: Option<String>,
    tool: Option<(&'a Path, Verdict)>,
}

pub(crate) fn doctor(arguments: &args::Doctor) -> Result<ExitCode> {
    let system = System::running();
    let held = Held::new(system.status_bits("SigIgn"))?;
    let may_try = !system.is_ftrace_off();
    let trials = may_try.then(Trials::run).transpose()?;
    let run = (may_try && arguments.is_tried).then(trials::run_a_program);
    if let Some(number) = held.received() {
        say("interrupted; nothing is left attached");
        return Ok(ExitCode::from(128 + number));
    }
    let mut checks = system.checks(trials.as_ref());
    checks.extend(run.map(check_of_run));
    let refusal = trials.and_then(|trials| trials.program.err());
    let log = refusal.filter(|refusal| arguments.is_verbose && !refusal.log.is_empty());
    let tool = arguments
        .tool
        .as_deref()
        .map(|tool| anyhow::Ok((tool, verdict_on(tool, arguments.library.as_deref())?)));
    let report = Report {
        can_attach: checks.iter().all(|check| check.level != Level::Bad),
        checks,
        log: log.map(|refusal| refusal.log),
        tool: tool.transpose()?,
    };
    let mut out = io::stdout().lock();
    let written = if arguments.json { report.write_json(&mut out) } else { report.write(&mut out) };
    written.context(crate::WRITING)?;
    let is_reached = report.tool.is_none_or(|(_, verdict)| verdict.reach != Reach::No);
    Ok(if report.can_attach && is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict_on(tool: &Path, library: Option<&Path>) -> Result<Verdict> {
    let program = tool::find(tool.as_os_str())?;
    let library = tool::find_library(library)?;
    let mut verdict = tool::judge(&program, library.as_deref())?;
    // The tool can be checked even if the library is not installed yet.
    if library.is_none() {
        let lacks = tool::NOT_INSTALLED.to_owned();
        verdict.advice =
            Some(verdict.advice.map_or(lacks.clone(), |advice| format!("{advice}; {lacks}")));
    }
    Ok(verdict)
}

fn check_of_run(run: Result<String, Refusal>) -> Check {
    let name = "try";
    match run {
        Ok(function) => {
            Check::good(name, format!("a program on {function} ran when the call was made"))
        }
        Err(refusal) => {
            let advice = "see the lines above; the kernel's log (dmesg) may say more";
            Check::bad(name, refusal.text, advice)
        }
    }
}

impl Report<'_> {
    fn write(&self, out: &mut impl Write) -> Result<()> {
        for check in &self.checks {
            let found = printable(&check.found);
            writeln!(out, "{:4}  {:11} {found}", check.level.word(), check.name)?;
            write_advice(out, check.advice.as_deref())?;
        }
        if let Some(log) = &self.log {
            writeln!(out, "\nThe verifier's log:\n{}", log.trim_end())?;
        }
        let sentence = match self.can_attach {
            true => "Nothing is missing for attaching to system calls here.",
            false => "Attaching to system calls does not work here until the FAIL items are fixed.",
        };
        writeln!(out, "\n{sentence}")?;
        if let Some((tool, verdict)) = &self.tool {
            let lead = verdict.reach.lead();
            let verdict_on_tool = format!("{lead} {}: {}.", tool.display(), verdict.found);
            writeln!(out, "{}", printable(&verdict_on_tool))?;
            write_advice(out, verdict.advice.as_deref())?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut impl Write) -> Result<()> {
        let checks = self.checks.iter().map(|check| {
            json!({
                "name": check.name,
                "level": check.level.word().to_lowercase(),
                "found": check.found,
                "advice": check.advice,
            })
        });
        let tool = self.tool.as_ref().map(|(tool, verdict)| {
            json!({
                "file": tool.display().to_string(),
                "reached": verdict.reach.word(),
                "found": verdict.found,
                "advice": verdict.advice,
            })
        });
        let mut result = json!({
            "can_attach": self.can_attach,
            "checks": checks.collect::<Vec<_>>(),
            "tool": tool,
        });
        if let Some(log) = &self.log {
            result["verifier_log"] = json!(log);
        }
        serde_json::to_writer_pretty(&mut *out, &result)?;
        Ok(writeln!(out)?)
    }
}

fn write_advice(out: &mut impl Write, advice: Option<&str>) -> io::Result<()> {
    advice.map_or(Ok(()), |advice| writeln!(out, "{:18}-> {}", "", printable(advice)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For example, the name of a library that the tool's file requires.
    #[test]
    fn a_tools_file_does_not_control_the_terminal() {
        let verdict = Verdict {
            reach: Reach::No,
            found: "it requires libbpf.so\u{1b}[2J, which is not found".to_owned(),
            advice: Some("\u{1b}[2J".to_owned()),
        };
        let tool = Some((Path::new("\u{1b}[2J"), verdict));
        let checks = vec![Check::bad("kernel", "\u{1b}[2J", "\u{1b}[2J")];
        let report = Report { checks, can_attach: false, log: None, tool };
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("it requires libbpf.so\\u{1b}[2J, which"), "{text:?}");
    }
}
