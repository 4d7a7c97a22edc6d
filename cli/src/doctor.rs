//! `doctor`: what is missing for attaching here, and whether preloading reaches a tool.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use ksyscall::Architecture;
use serde_json::json;

use crate::args;
use crate::count;
use crate::tool::{self, Reach, Verdict};

/// Something that attaching depends on.
#[derive(Debug)]
struct Check {
    level: Level,
    name: &'static str,
    found: String,
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Good,
    /// Something does not work that few need.
    Less,
    /// Attaching cannot work.
    Bad,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Good => "ok",
            Level::Less => "note",
            Level::Bad => "FAIL",
        }
    }
}

pub(crate) fn doctor(arguments: &args::Doctor) -> Result<ExitCode> {
    let mut checks = System::running().checks();
    if arguments.is_tried {
        checks.push(tried());
    }
    let can_attach = checks.iter().all(|check| check.level != Level::Bad);
    let verdict =
        arguments.tool.as_deref().map(|tool| verdict_on(tool, arguments.library.as_deref()));
    let verdict = verdict.transpose()?;
    let mut out = io::stdout().lock();
    let written = match arguments.json {
        true => write_json(&mut out, &checks, can_attach, arguments, verdict.as_ref()),
        false => write_text(&mut out, &checks, can_attach, arguments, verdict.as_ref()),
    };
    written.context(crate::WRITING)?;
    let is_reached = verdict.is_none_or(|verdict| verdict.reach != Reach::No);
    Ok(if can_attach && is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict_on(tool: &Path, library: Option<&Path>) -> Result<Verdict> {
    let program = tool::find(tool.as_os_str())?;
    let library = tool::find_library(library)?;
    let mut verdict = tool::judge(&program, library.as_deref())?;
    // That the library is not installed yet is no obstacle to judging the tool.
    if library.is_none() {
        let lacks = tool::NOT_INSTALLED.to_owned();
        verdict.advice =
            Some(verdict.advice.map_or(lacks.clone(), |advice| format!("{advice}; {lacks}")));
    }
    Ok(verdict)
}

fn tried() -> Check {
    let (level, found, advice) = match count::try_one() {
        Ok(function) => {
            (Level::Good, format!("a program on {function} ran when the call was made"), None)
        }
        Err(error) => {
            let advice = "the lines above may say why; else the kernel's log (dmesg) may";
            (Level::Bad, format!("{error:#}"), Some(advice.to_owned()))
        }
    };
    Check { level, name: "try", found, advice }
}

fn write_text(
    out: &mut impl Write,
    checks: &[Check],
    can_attach: bool,
    arguments: &args::Doctor,
    verdict: Option<&Verdict>,
) -> Result<()> {
    for check in checks {
        writeln!(out, "{:4}  {:11} {}", check.level.word(), check.name, check.found)?;
        if let Some(advice) = &check.advice {
            writeln!(out, "{:18}-> {advice}", "")?;
        }
    }
    let sentence = match can_attach {
        true => "Nothing is missing for attaching to system calls here.",
        false => "Attaching to system calls cannot work here until what FAILs is mended.",
    };
    writeln!(out, "\n{sentence}")?;
    if let (Some(verdict), Some(tool)) = (verdict, &arguments.tool) {
        let word = verdict.reach.lead();
        writeln!(out, "{word} {}: {}.", tool.display(), verdict.found)?;
        if let Some(advice) = &verdict.advice {
            writeln!(out, "{:18}-> {advice}", "")?;
        }
    }
    Ok(())
}

fn write_json(
    out: &mut impl Write,
    checks: &[Check],
    can_attach: bool,
    arguments: &args::Doctor,
    verdict: Option<&Verdict>,
) -> Result<()> {
    let checks = checks.iter().map(|check| {
        json!({
            "name": check.name,
            "level": check.level.word().to_lowercase(),
            "found": check.found,
            "advice": check.advice,
        })
    });
    let tool = verdict.zip(arguments.tool.as_ref()).map(|(verdict, tool)| {
        json!({
            "file": tool.display().to_string(),
            "reached": verdict.reach.word(),
            "found": verdict.found,
            "advice": verdict.advice,
        })
    });
    let result = json!({
        "can_attach": can_attach,
        "checks": checks.collect::<Vec<_>>(),
        "tool": tool,
    });
    serde_json::to_writer_pretty(&mut *out, &result)?;
    Ok(writeln!(out)?)
}

/// The system that is looked at: its files are below a folder, which tests make.
struct System {
    root: PathBuf,
    release: String,
}

const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

impl System {
    fn running() -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        Self { root: "/".into(), release }
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.kernel()];
        checks.extend(self.proc());
        checks.extend([
            self.kprobes(),
            self.tracefs(),
            self.permission(),
            self.lockdown(),
            self.armed(),
            self.links(),
            self.symbols(),
        ]);
        checks.extend(self.seccomp());
        checks.extend([self.bpffs(), self.btf()]);
        checks
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> Option<String> {
        Some(fs::read_to_string(self.path(path)).ok()?.trim().to_owned())
    }

    fn is_since(&self, major: u32, minor: u32) -> bool {
        let mut numbers =
            self.release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
    }

    /// Where a file system of this type is mounted.
    fn mounted(&self, kind: &str) -> Option<String> {
        let mounts = self.read("/proc/self/mounts")?;
        let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines.find(|fields| fields.get(2) == Some(&kind))?.get(1).map(|place| (*place).to_owned())
    }

    /// A field of /proc/self/status.
    fn status(&self, field: &str) -> Option<String> {
        let status = self.read("/proc/self/status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(value.trim().to_owned())
    }

    fn kernel(&self) -> Check {
        let arch = std::env::consts::ARCH;
        let found = format!("Linux {} on {arch}", self.release);
        let (level, advice) = match (self.is_since(4, 1), Architecture::native()) {
            (false, _) => (Level::Bad, Some("BPF programs on kprobes need Linux 4.1".to_owned())),
            (true, None) => {
                let advice = "there is no table of its calls: only calls whose function has their own name are found";
                (Level::Less, Some(advice.to_owned()))
            }
            (true, Some(_)) => (Level::Good, None),
        };
        Check { level, name: "kernel", found, advice }
    }

    fn proc(&self) -> Option<Check> {
        let is_there = self.path("/proc/self/status").exists();
        (!is_there).then(|| Check {
            level: Level::Bad,
            name: "proc",
            found: "/proc is not mounted, without which little can be told".to_owned(),
            advice: Some("mount -t proc proc /proc".to_owned()),
        })
    }

    fn has_pmu(&self) -> bool {
        self.path("/sys/bus/event_source/devices/kprobe/type").exists()
    }

    /// tracefs's list of probes; true if it can be written.
    fn kprobe_events(&self) -> Option<(String, bool)> {
        let places = [("tracefs", ""), ("debugfs", "/tracing")];
        places.iter().find_map(|(kind, inside)| {
            let file = format!("{}{inside}/kprobe_events", self.mounted(kind)?);
            let path = self.path(&file);
            let is_writable = rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok();
            path.exists().then_some((file, is_writable))
        })
    }

    fn kprobes(&self) -> Check {
        let name = "kprobes";
        let bad = |found: &str, advice: &str| Check {
            level: Level::Bad,
            name,
            found: found.to_owned(),
            advice: Some(advice.to_owned()),
        };
        if self.has_pmu() {
            return Check {
                level: Level::Good,
                name,
                found: "perf events: the kprobe PMU".to_owned(),
                advice: None,
            };
        }
        let is_sysfs_missing = self.mounted("sysfs").is_none();
        match self.kprobe_events() {
            Some((file, true)) => Check {
                level: if is_sysfs_missing { Level::Less } else { Level::Good },
                name,
                found: format!("by {file}: there is no kprobe PMU"),
                advice: is_sysfs_missing.then(|| "mount -t sysfs sysfs /sys".to_owned()),
            },
            Some((file, false)) => {
                bad(&format!("no kprobe PMU, and {file} may not be written"), "be root")
            }
            None if is_sysfs_missing => {
                bad("neither sysfs nor tracefs is mounted", "mount -t sysfs sysfs /sys")
            }
            None if self.mounted("tracefs").is_none() && !self.is_since(4, 17) => bad(
                "no kprobe PMU (Linux 4.17), and tracefs is not mounted",
                "mount -t tracefs tracefs /sys/kernel/tracing",
            ),
            None => bad(
                "the kernel has no kprobe events",
                "it takes one that was built with CONFIG_KPROBE_EVENTS and CONFIG_PERF_EVENTS; \
                 or, if /sys/bus/event_source is hidden in a container, run it outside",
            ),
        }
    }

    fn tracefs(&self) -> Check {
        let name = "tracefs";
        match self.kprobe_events() {
            Some((file, true)) => Check { level: Level::Good, name, found: file, advice: None },
            Some((file, false)) => Check {
                level: Level::Less,
                name,
                found: format!("{file} may not be written: no max_active"),
                advice: Some("be root".to_owned()),
            },
            None => Check {
                level: Level::Less,
                name,
                found:
                    "not mounted, or not for you to see: no max_active, which watches more returns"
                        .to_owned(),
                advice: Some("as root, mount -t tracefs tracefs /sys/kernel/tracing".to_owned()),
            },
        }
    }

    fn permission(&self) -> Check {
        let name = "permission";
        let bad = |found: String, advice: String| Check {
            level: Level::Bad,
            name,
            found,
            advice: Some(advice),
        };
        let Some(paranoid) = self.read("/proc/sys/kernel/perf_event_paranoid") else {
            let advice = "it takes a kernel that was built with CONFIG_PERF_EVENTS, and /proc";
            return bad("the kernel has no perf events".to_owned(), advice.to_owned());
        };
        let capabilities = self.status("CapEff").unwrap_or_default();
        let capabilities = u64::from_str_radix(&capabilities, 16).unwrap_or(0);
        let has = |number: u32| capabilities >> number & 1 != 0;
        let is_initial = self.read("/proc/self/uid_map").is_none_or(|map| {
            map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"]
        });
        if !is_initial {
            let advice =
                "run it outside of the user namespace: of a rootless container, for instance";
            return bad(
                "in a user namespace, whose capabilities do not count for this".to_owned(),
                advice.to_owned(),
            );
        }
        if has(SYS_ADMIN) {
            return Check {
                level: Level::Good,
                name,
                found: "CAP_SYS_ADMIN".to_owned(),
                advice: None,
            };
        }
        if !self.is_since(5, 8) {
            return bad("without CAP_SYS_ADMIN".to_owned(), "be root".to_owned());
        }
        let is_strict = paranoid.parse::<i32>().is_ok_and(|paranoid| paranoid > 2);
        let lacking = [(PERFMON, "CAP_PERFMON"), (BPF, "CAP_BPF")];
        let lacking: Vec<_> =
            lacking.into_iter().filter(|(number, _)| !has(*number)).map(|(_, name)| name).collect();
        let mut found = Vec::new();
        if !lacking.is_empty() {
            found.push(format!("without CAP_SYS_ADMIN and without {}", lacking.join(" and ")));
        }
        if is_strict {
            found.push(format!(
                "kernel.perf_event_paranoid is {paranoid}: only CAP_SYS_ADMIN suffices"
            ));
        }
        if found.is_empty() {
            let found =
                format!("CAP_PERFMON and CAP_BPF, kernel.perf_event_paranoid is {paranoid}");
            return Check { level: Level::Good, name, found, advice: None };
        }
        let mut advice = "be root".to_owned();
        if is_strict {
            advice += "; or, as root, sysctl kernel.perf_event_paranoid=2";
        }
        if !lacking.is_empty() {
            advice += if is_strict { ", and then" } else { "; or, as root," };
            advice += " setcap cap_perfmon,cap_bpf=ep on the program";
        }
        bad(found.join("; "), advice)
    }

    fn lockdown(&self) -> Check {
        let name = "lockdown";
        let modes = self.read("/sys/kernel/security/lockdown");
        let mode = modes.as_deref().and_then(|modes| modes.split(['[', ']']).nth(1));
        match mode {
            Some("confidentiality") => Check {
                level: Level::Bad,
                name,
                found: "confidentiality: nobody may read the kernel's memory by BPF".to_owned(),
                advice: Some("boot with lockdown=integrity, or none".to_owned()),
            },
            Some(mode) => Check { level: Level::Good, name, found: mode.to_owned(), advice: None },
            None => Check {
                level: Level::Good,
                name,
                found: "none that is known".to_owned(),
                advice: None,
            },
        }
    }

    fn armed(&self) -> Check {
        let name = "probes run";
        let bad = |found: &str, advice: &str| Check {
            level: Level::Bad,
            name,
            found: format!("{found}: attaching succeeds, and no program runs"),
            advice: Some(advice.to_owned()),
        };
        if self.read("/proc/sys/kernel/ftrace_enabled").as_deref() == Some("0") {
            return bad(
                "kernel.ftrace_enabled is 0",
                "sysctl kernel.ftrace_enabled=1, before anything is detached",
            );
        }
        if self.read("/sys/kernel/debug/kprobes/enabled").as_deref() == Some("0") {
            return bad("kprobes are switched off", "echo 1 > /sys/kernel/debug/kprobes/enabled");
        }
        Check {
            level: Level::Good,
            name,
            found: "neither ftrace nor kprobes are switched off".to_owned(),
            advice: None,
        }
    }

    fn links(&self) -> Check {
        let name = "BPF links";
        match self.is_since(5, 15) {
            true => Check {
                level: Level::Good,
                name,
                found: "of perf events, with cookies".to_owned(),
                advice: None,
            },
            false => Check {
                level: Level::Less,
                name,
                found: "none of perf events: no cookies, no pins, no `ksyscall count`".to_owned(),
                advice: Some("those need Linux 5.15; attaching works without".to_owned()),
            },
        }
    }

    fn symbols(&self) -> Check {
        let name = "symbols";
        let mut start = [0; 64];
        let read = fs::File::open(self.path("/proc/kallsyms"))
            .and_then(|mut file| io::Read::read(&mut file, &mut start));
        match read {
            Ok(1..) => Check { level: Level::Good, name, found: "/proc/kallsyms".to_owned(), advice: None },
            _ => Check {
                level: Level::Less,
                name,
                found: "/proc/kallsyms cannot be read, or is empty: calls that a kernel may lack are refused".to_owned(),
                advice: Some("mount /proc, be root; the kernel needs CONFIG_KALLSYMS".to_owned()),
            },
        }
    }

    fn seccomp(&self) -> Option<Check> {
        let is_filtered = self.status("Seccomp").as_deref() == Some("2");
        is_filtered.then(|| Check {
            level: Level::Less,
            name: "seccomp",
            found: "a filter is in force, which may forbid perf_event_open(2) and bpf(2)"
                .to_owned(),
            advice: Some(
                "`ksyscall doctor --try` tells; containers have an option to leave it out"
                    .to_owned(),
            ),
        })
    }

    fn bpffs(&self) -> Check {
        let name = "bpffs";
        match self.mounted("bpf") {
            Some(place) => Check { level: Level::Good, name, found: place, advice: None },
            None => Check {
                level: Level::Less,
                name,
                found: "not mounted: links cannot be pinned".to_owned(),
                advice: Some("mount -t bpf bpf /sys/fs/bpf".to_owned()),
            },
        }
    }

    fn btf(&self) -> Check {
        let name = "BTF";
        let file = "/sys/kernel/btf/vmlinux";
        match self.path(file).exists() {
            true => Check { level: Level::Good, name, found: file.to_owned(), advice: None },
            false => Check {
                level: Level::Less,
                name,
                found: format!(
                    "no {file}: no `ksyscall count ... -- COMMAND`, nor what else needs the kernel's types"
                ),
                advice: Some(
                    "it takes a kernel that was built with CONFIG_DEBUG_INFO_BTF, and sysfs"
                        .to_owned(),
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system of these files, with Linux 6.12 unless said otherwise.
    struct Fake(#[allow(dead_code, reason = "it goes with this")] tempfile::TempDir, System);

    /// One on which root can attach.
    const GOOD: &[(&str, &str)] = &[
        ("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"),
        ("proc/self/uid_map", "         0          0 4294967295\n"),
        (
            "proc/self/mounts",
            "sysfs /sys sysfs rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n\
             bpf /sys/fs/bpf bpf rw 0 0\n",
        ),
        ("proc/sys/kernel/perf_event_paranoid", "3\n"),
        ("proc/sys/kernel/ftrace_enabled", "1\n"),
        ("proc/kallsyms", "0 T _text\n"),
        ("sys/bus/event_source/devices/kprobe/type", "8\n"),
        ("sys/kernel/tracing/kprobe_events", ""),
        ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
        ("sys/kernel/btf/vmlinux", ""),
    ];

    /// CAP_PERFMON and CAP_BPF alone, or nothing.
    const TWO: &str = "CapEff:\t000000c000000000\nSeccomp:\t0\n";
    const NO_RIGHTS: &str = "CapEff:\t0000000000000000\nSeccomp:\t0\n";
    const STATUS: &str = "proc/self/status";
    const PARANOID: &str = "proc/sys/kernel/perf_event_paranoid";
    const MOUNTS: &str = "proc/self/mounts";
    const PMU: &str = "sys/bus/event_source/devices/kprobe/type";

    impl Fake {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let system = System { root: folder.path().to_owned(), release: "6.12.1".to_owned() };
            let fake = Self(folder, system);
            GOOD.iter().for_each(|(path, text)| fake.set(path, text));
            fake
        }

        fn set(&self, path: &str, text: &str) {
            let path = self.1.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn remove(&self, path: &str) {
            fs::remove_file(self.1.path(path)).unwrap();
        }

        /// What is not good: (level, name, advice).
        fn bad(&self) -> Vec<(Level, &'static str, String)> {
            let checks = self.1.checks().into_iter().filter(|check| check.level != Level::Good);
            checks
                .map(|check| (check.level, check.name, check.advice.expect("an advice")))
                .collect()
        }

        #[track_caller]
        fn expect(&self, level: Level, name: &str, advice: &str) {
            let bad = self.bad();
            let is_it = |bad: &&(Level, &str, String)| bad.1 == name;
            let found = bad.iter().find(is_it).unwrap_or_else(|| panic!("{name} is good: {bad:?}"));
            assert_eq!(found.0, level, "{found:?}");
            assert!(found.2.contains(advice), "{found:?}");
        }
    }

    #[test]
    fn nothing_is_wrong_where_nothing_is() {
        assert_eq!(Fake::new().bad(), []);
    }

    #[test]
    fn rights_are_told_apart() {
        let fake = Fake::new();
        fake.set(STATUS, TWO);
        fake.expect(Level::Bad, "permission", "sysctl kernel.perf_event_paranoid=2");
        fake.set(PARANOID, "2\n");
        assert_eq!(fake.bad(), []);
        fake.set(STATUS, NO_RIGHTS);
        fake.expect(Level::Bad, "permission", "setcap cap_perfmon,cap_bpf=ep");
        fake.set(STATUS, GOOD[0].1);
        fake.set("proc/self/uid_map", "0 1000 1\n");
        fake.expect(Level::Bad, "permission", "outside of the user namespace");
        fake.set("proc/self/uid_map", GOOD[1].1);
        fake.remove(PARANOID);
        fake.expect(Level::Bad, "permission", "CONFIG_PERF_EVENTS");
    }

    #[test]
    fn what_is_not_mounted_is_to_be_mounted() {
        let fake = Fake::new();
        fake.set(MOUNTS, "sysfs /sys sysfs rw 0 0\n");
        fake.expect(Level::Less, "tracefs", "mount -t tracefs");
        fake.expect(Level::Less, "bpffs", "mount -t bpf");
        fake.remove(PMU);
        fake.expect(Level::Bad, "kprobes", "CONFIG_KPROBE_EVENTS");
        fake.set(MOUNTS, "");
        fake.expect(Level::Bad, "kprobes", "mount -t sysfs");
        // By tracefs, without the PMU.
        fake.set(MOUNTS, "t /sys/kernel/tracing tracefs rw 0 0\n");
        fake.expect(Level::Less, "kprobes", "mount -t sysfs");
        fake.set(MOUNTS, "d /d debugfs rw 0 0\ns /sys sysfs rw 0 0\nb /b bpf rw 0 0\n");
        fake.set("d/tracing/kprobe_events", "");
        assert_eq!(fake.bad(), []);
    }

    #[test]
    fn states_in_which_no_program_runs_are_seen() {
        let fake = Fake::new();
        fake.set("proc/sys/kernel/ftrace_enabled", "0\n");
        fake.expect(Level::Bad, "probes run", "ftrace_enabled=1");
        fake.set("proc/sys/kernel/ftrace_enabled", "1\n");
        fake.set("sys/kernel/debug/kprobes/enabled", "0\n");
        fake.expect(Level::Bad, "probes run", "echo 1 >");
    }

    #[test]
    fn lockdown_seccomp_symbols_and_types() {
        let fake = Fake::new();
        fake.set("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
        fake.expect(Level::Bad, "lockdown", "lockdown=integrity");
        fake.set("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        assert_eq!(fake.bad(), []);
        fake.set(STATUS, &GOOD[0].1.replace("Seccomp:\t0", "Seccomp:\t2"));
        fake.expect(Level::Less, "seccomp", "--try");
        fake.set("proc/kallsyms", "");
        fake.expect(Level::Less, "symbols", "CONFIG_KALLSYMS");
        fake.remove("sys/kernel/btf/vmlinux");
        fake.expect(Level::Less, "BTF", "CONFIG_DEBUG_INFO_BTF");
    }

    #[test]
    fn old_kernels_have_less() {
        let mut fake = Fake::new();
        fake.1.release = "5.10.0-32-amd64".to_owned();
        fake.expect(Level::Less, "BPF links", "Linux 5.15");
        fake.1.release = "5.4.0".to_owned();
        fake.set(PARANOID, "2\n");
        fake.set(STATUS, TWO);
        fake.expect(Level::Bad, "permission", "be root");
        fake.1.release = "4.0.9".to_owned();
        fake.expect(Level::Bad, "kernel", "Linux 4.1");
        fake.1.release = "4.9.0".to_owned();
        fake.remove(PMU);
        fake.set(MOUNTS, "sysfs /sys sysfs rw 0 0\n");
        fake.expect(Level::Bad, "kprobes", "mount -t tracefs");
    }

    #[test]
    fn without_proc_it_says_so() {
        let fake = Fake::new();
        fs::remove_dir_all(fake.1.path("proc")).unwrap();
        fake.expect(Level::Bad, "proc", "mount -t proc");
    }
}
