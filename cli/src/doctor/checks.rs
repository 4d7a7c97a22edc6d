//! Derives the lines of the report from the results of the trials and from the system's files.

use std::fs;
use std::io;
use std::path::PathBuf;

use ksyscall::Architecture;

use super::trials::{Refusal, Trials};

/// The result of checking one requirement for attaching.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) level: Level,
    pub(super) name: &'static str,
    pub(super) found: String,
    pub(super) advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Good,
    /// A feature that few tools need does not work.
    Note,
    /// Attaching cannot work.
    Bad,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Good => "ok",
            Level::Note => "note",
            Level::Bad => "FAIL",
        }
    }
}

impl Check {
    pub(super) fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Good, name, found: found.into(), advice: None }
    }

    fn note(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Note, name, found: found.into(), advice: Some(advice.into()) }
    }

    pub(super) fn bad(
        name: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Bad, name, found: found.into(), advice: Some(advice.into()) }
    }
}

const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

const DISARMED: &str = "attaching succeeds, but no program runs";
const NO_MAX_ACTIVE: &str = "no max_active, which tracks more returns";

/// The system's files. Tests use a temporary folder as the root.
pub(super) struct System {
    pub(super) root: PathBuf,
}

/// The location of tracefs's list of probes, or the reason why the list cannot be used.
enum ProbeList {
    Writable(String),
    /// This process lacks permission to write to the list or even to look it up.
    Forbidden(String),
    /// tracefs is mounted at this folder, but does not contain the list.
    Absent(String),
    NotMounted,
}

impl System {
    pub(super) fn running() -> Self {
        Self { root: "/".into() }
    }

    /// All checks, in the order of the report. `trials` is None if the trials must not run.
    pub(super) fn checks(&self, trials: Option<&Trials>) -> Vec<Check> {
        let mut checks = vec![self.kernel()];
        checks.extend(self.proc());
        if let Some(trials) = trials {
            checks.extend([self.kprobes(trials), self.tracefs(trials)]);
            checks.extend(self.programs(trials));
            checks.extend(self.memlock(trials));
            checks.extend([self.permission(trials), self.lockdown(trials)]);
        }
        checks.push(self.armed());
        checks.extend(trials.and_then(links));
        checks.extend([self.symbols(), self.bpffs(), self.btf()]);
        checks
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> Option<String> {
        Some(fs::read_to_string(self.path(path)).ok()?.trim().to_owned())
    }

    /// The mount point of a file system of this type.
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

    /// A field of /proc/self/status that contains a bit mask.
    pub(super) fn status_bits(&self, field: &str) -> u64 {
        self.status(field).and_then(|bits| u64::from_str_radix(&bits, 16).ok()).unwrap_or(0)
    }

    fn has_capability(&self, number: u32) -> bool {
        self.status_bits("CapEff") >> number & 1 != 0
    }

    /// The kernel's release. `setarch --uname-2.6` changes the result of uname(2), but not this
    /// file.
    fn release(&self) -> String {
        self.read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "of unknown version".to_owned())
    }

    /// Whether a sysctl disables probes. While probes are disabled, attaching and detaching can
    /// make the kernel disable ftrace until a reboot (Linux 6.1 and 6.12).
    pub(super) fn is_ftrace_off(&self) -> bool {
        self.read("/proc/sys/kernel/ftrace_enabled").as_deref() == Some("0")
    }

    fn kernel(&self) -> Check {
        let found = format!("Linux {} on {}", self.release(), std::env::consts::ARCH);
        match Architecture::native() {
            Some(_) => Check::good("kernel", found),
            None => Check::note(
                "kernel",
                found,
                "there is no syscall table for this architecture: only calls whose function has \
                 the call's name are found",
            ),
        }
    }

    fn proc(&self) -> Option<Check> {
        (!self.path("/proc/self/status").exists()).then(|| {
            let found = "/proc is not mounted: most reasons cannot be found without it";
            Check::bad("proc", found, "mount -t proc proc /proc")
        })
    }

    fn has_pmu(&self) -> bool {
        self.path("/sys/bus/event_source/devices/kprobe/type").exists()
    }

    fn probe_list(&self) -> ProbeList {
        let mut found = ProbeList::NotMounted;
        for (kind, inside) in [("tracefs", ""), ("debugfs", "/tracing")] {
            let Some(place) = self.mounted(kind) else { continue };
            let folder = format!("{place}{inside}");
            let file = format!("{folder}/kprobe_events");
            let path = self.path(&file);
            match fs::metadata(&path) {
                Ok(_) if rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok() => {
                    return ProbeList::Writable(file);
                }
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                    // A debugfs that lacks the folder `tracing` does not show where tracefs is
                    // mounted.
                    if kind == "tracefs" {
                        found = ProbeList::Absent(folder);
                    }
                }
                _ => return ProbeList::Forbidden(file),
            }
        }
        found
    }

    fn kprobes(&self, trials: &Trials) -> Check {
        let name = "kprobes";
        let is_sysfs_missing = self.mounted("sysfs").is_none();
        let list = self.probe_list();
        let refusal = match &trials.kprobe {
            Ok(()) if self.has_pmu() => return Check::good(name, "perf events of the kprobe PMU"),
            Ok(()) => {
                let file = match list {
                    ProbeList::Writable(file) => file,
                    _ => "tracefs".to_owned(),
                };
                let found = format!("through {file}: there is no kprobe PMU");
                return match is_sysfs_missing {
                    true => Check::note(name, found, "mount -t sysfs sysfs /sys"),
                    false => Check::good(name, found),
                };
            }
            // The `permission` line of the report already explains this refusal.
            Err(refusal) if refusal.is_permission() && self.has_pmu() => {
                return Check::good(name, "the kernel has the kprobe PMU");
            }
            Err(refusal) => refusal,
        };
        match list {
            _ if self.has_pmu() => {
                Check::bad(name, &refusal.text, "the kernel's log (dmesg) may say why")
            }
            ProbeList::Forbidden(file) => {
                Check::bad(name, format!("no kprobe PMU, and {file} is not writable"), "be root")
            }
            _ if is_sysfs_missing => {
                Check::bad(name, "sysfs is not mounted", "mount -t sysfs sysfs /sys")
            }
            ProbeList::NotMounted => Check::bad(
                name,
                "no kprobe PMU (Linux 4.17 and later have one), and tracefs is not mounted",
                "as root, mount -t tracefs tracefs /sys/kernel/tracing; in a container that hides \
                 /sys/bus/event_source, run this outside",
            ),
            ProbeList::Writable(_) | ProbeList::Absent(_) => Check::bad(
                name,
                format!("the kernel has no kprobe events: {}", refusal.text),
                "use a kernel built with CONFIG_KPROBE_EVENTS and CONFIG_PERF_EVENTS; in a \
                 container that hides /sys/bus/event_source, run this outside",
            ),
        }
    }

    fn tracefs(&self, trials: &Trials) -> Check {
        let name = "tracefs";
        match (self.probe_list(), &trials.tracefs) {
            (ProbeList::Writable(file), Ok(())) => Check::good(name, file),
            (ProbeList::Writable(file), Err(_)) if !self.has_pmu() => Check::good(name, file),
            (_, Ok(())) => Check::good(name, "return probes through kprobe_events"),
            (ProbeList::Forbidden(file), Err(_)) => {
                Check::note(name, format!("{file} is not writable: {NO_MAX_ACTIVE}"), "be root")
            }
            (ProbeList::Absent(folder), Err(_)) => Check::note(
                name,
                format!("mounted at {folder}, but without kprobe_events: {NO_MAX_ACTIVE}"),
                "use a kernel built with CONFIG_KPROBE_EVENTS; a locked-down kernel empties tracefs",
            ),
            (ProbeList::NotMounted, Err(_)) => Check::note(
                name,
                format!("not mounted: {NO_MAX_ACTIVE}"),
                "as root, mount -t tracefs tracefs /sys/kernel/tracing",
            ),
            (ProbeList::Writable(_), Err(refusal)) => Check::note(
                name,
                format!("{}: {NO_MAX_ACTIVE}", refusal.text),
                "the kernel's log (dmesg) may say why",
            ),
        }
    }

    /// Returns None if the `permission` or `memlock` line of the report explains the refusal.
    fn programs(&self, trials: &Trials) -> Option<Check> {
        let name = "programs";
        let refusal = match &trials.program {
            Ok(()) => return Some(Check::good(name, "a program of type kprobe can be loaded")),
            Err(refusal) if refusal.is_permission() => return None,
            Err(refusal) => refusal,
        };
        let advice = match refusal.errno {
            Some(libc::ENOSYS) => {
                "use a kernel built with CONFIG_BPF_SYSCALL; a seccomp filter may also return ENOSYS"
            }
            Some(libc::EINVAL) => {
                "use Linux 4.1 or later, built with CONFIG_BPF_EVENTS; `ksyscall doctor -v` prints \
                 the verifier's log"
            }
            _ => "`ksyscall doctor -v` prints the verifier's log",
        };
        Some(Check::bad(name, &refusal.text, advice))
    }

    /// Whether RLIMIT_MEMLOCK explains why no program can be loaded. If a program can be loaded,
    /// loading it again with a limit of 0 shows whether the kernel counts BPF memory toward the
    /// limit. Otherwise, only the kernel's version shows this.
    fn is_memlock_to_blame(&self, trials: &Trials) -> bool {
        let release = self.release();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
        let is_refused = trials.program.as_ref().is_err_and(Refusal::is_permission);
        is_refused
            && trials.memlock.limit.is_some()
            && (next(), next()) < (5, 11)
            && self.lacking().is_empty()
    }

    fn memlock(&self, trials: &Trials) -> Option<Check> {
        let name = "memlock";
        let limit = match trials.memlock.limit {
            None => "unlimited".to_owned(),
            Some(bytes) => format!("{} KiB", bytes / 1024),
        };
        let found =
            format!("this kernel counts BPF memory toward RLIMIT_MEMLOCK, which is {limit}");
        match trials.memlock.is_counted {
            Some(true) if trials.memlock.limit.is_none() => Some(Check::good(name, found)),
            Some(true) => Some(Check::note(
                name,
                found,
                "ulimit -l unlimited, for tools that do not raise the limit as libbpf 1.0 does",
            )),
            None if self.is_memlock_to_blame(trials) => Some(Check::bad(
                name,
                format!("{found}: no program can be loaded"),
                "as root, ulimit -l unlimited (Linux 5.11 and later do not count it)",
            )),
            _ => None,
        }
    }

    /// The missing capabilities that would let this process attach without CAP_SYS_ADMIN.
    fn lacking(&self) -> Vec<&'static str> {
        let needed = [(PERFMON, "CAP_PERFMON"), (BPF, "CAP_BPF")];
        let lacking = needed.into_iter().filter(|(number, _)| !self.has_capability(*number));
        match self.has_capability(SYS_ADMIN) {
            true => Vec::new(),
            false => lacking.map(|(_, name)| name).collect(),
        }
    }

    fn permission(&self, trials: &Trials) -> Check {
        let name = "permission";
        let is_refused =
            |trial: &Result<(), Refusal>| trial.as_ref().is_err_and(Refusal::is_permission);
        let mut refused = Vec::new();
        if is_refused(&trials.kprobe) {
            refused.push("perf_event_open(2)");
        }
        if is_refused(&trials.program) && !self.is_memlock_to_blame(trials) {
            refused.push("bpf(2)");
        }
        if refused.is_empty() {
            return Check::good(
                name,
                match self.has_capability(SYS_ADMIN) {
                    true => "CAP_SYS_ADMIN",
                    false if self.lacking().is_empty() => "CAP_PERFMON and CAP_BPF",
                    false => "granted, although capabilities are missing",
                },
            );
        }
        let lead = format!("the kernel forbids {}", refused.join(" and "));
        let (why, advice) = self.why_forbidden();
        Check::bad(name, format!("{lead}: {why}"), advice)
    }

    /// The most likely reason for EPERM, and what to do.
    fn why_forbidden(&self) -> (String, String) {
        let is_initial = self.read("/proc/self/uid_map").is_none_or(|map| {
            map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"]
        });
        if !is_initial {
            return (
                "in a user namespace, whose capabilities do not count".to_owned(),
                "run this outside the user namespace, for instance outside a rootless container"
                    .to_owned(),
            );
        }
        if !self.has_capability(SYS_ADMIN) {
            return self.why_forbidden_without_sys_admin();
        }
        if self.lockdown_mode().as_deref() == Some("confidentiality") {
            return ("the kernel is locked down".to_owned(), UNLOCK.to_owned());
        }
        if self.is_filtered() {
            return (
                "a seccomp filter is in force".to_owned(),
                "allow both calls in the filter; container runtimes have an option for that"
                    .to_owned(),
            );
        }
        match self.lockdown_mode() {
            None => (
                "the kernel may be locked down".to_owned(),
                format!(
                    "as root, mount -t securityfs securityfs /sys/kernel/security, and run this \
                     again; if it is locked down, {UNLOCK}"
                ),
            ),
            Some(_) => (
                "a security module may be the reason".to_owned(),
                "the kernel's log (dmesg) and the audit log may say more".to_owned(),
            ),
        }
    }

    fn why_forbidden_without_sys_admin(&self) -> (String, String) {
        let lacking = self.lacking();
        let paranoid = self.read("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
        let is_strict = paranoid.parse::<i32>().is_ok_and(|paranoid| paranoid > 2);
        let mut why = match &lacking[..] {
            [] => "this process has CAP_PERFMON and CAP_BPF, but not CAP_SYS_ADMIN".to_owned(),
            _ => format!("this process has neither CAP_SYS_ADMIN nor {}", lacking.join(" nor ")),
        };
        let mut advice = "be root".to_owned();
        if is_strict {
            why += &format!(
                ", and kernel.perf_event_paranoid is {paranoid}, which can require CAP_SYS_ADMIN"
            );
            advice += "; or, as root, sysctl kernel.perf_event_paranoid=2";
        }
        if !lacking.is_empty() {
            advice += if is_strict { ", and then" } else { "; or, as root," };
            advice += " setcap cap_perfmon,cap_bpf=ep on the program (Linux 5.8)";
        }
        (why, advice)
    }

    fn is_filtered(&self) -> bool {
        self.status("Seccomp").as_deref() == Some("2")
    }

    fn lockdown_mode(&self) -> Option<String> {
        let modes = self.read("/sys/kernel/security/lockdown")?;
        Some(modes.split(['[', ']']).nth(1)?.to_owned())
    }

    fn lockdown(&self, trials: &Trials) -> Check {
        let name = "lockdown";
        match (self.lockdown_mode().as_deref(), &trials.kprobe) {
            (Some("confidentiality"), Ok(())) => Check::note(
                name,
                "confidentiality: programs may not read the kernel's memory",
                UNLOCK,
            ),
            (Some("confidentiality"), Err(_)) => {
                Check::bad(name, "confidentiality: the kernel allows no kprobes", UNLOCK)
            }
            (Some(mode), _) => Check::good(name, mode),
            // Even a kernel that is not locked down may refuse a process without CAP_SYS_ADMIN.
            (None, Err(refusal)) if refusal.is_permission() && self.has_capability(SYS_ADMIN) => {
                Check::note(
                    name,
                    "unknown: securityfs, which shows it, is not mounted, or the kernel has none",
                    "as root, mount -t securityfs securityfs /sys/kernel/security",
                )
            }
            (None, Ok(())) => Check::good(name, "none that forbids kprobes"),
            (None, Err(_)) => Check::good(name, "unknown"),
        }
    }

    fn armed(&self) -> Check {
        let name = "probes run";
        if self.is_ftrace_off() {
            let found = format!("kernel.ftrace_enabled is 0: {DISARMED}; nothing was tried");
            let advice = "as root, sysctl kernel.ftrace_enabled=1, before anything is detached";
            return Check::bad(name, found, advice);
        }
        if self.read("/sys/kernel/debug/kprobes/enabled").as_deref() == Some("0") {
            let found = format!("kprobes are disabled: {DISARMED}");
            return Check::bad(name, found, "echo 1 > /sys/kernel/debug/kprobes/enabled");
        }
        Check::good(name, "neither ftrace nor kprobes are disabled")
    }

    fn symbols(&self) -> Check {
        let (name, file) = ("symbols", "/proc/kallsyms");
        let mut start = [0; 64];
        let read = fs::File::open(self.path(file))
            .and_then(|mut file| io::Read::read(&mut file, &mut start));
        match read {
            Ok(1..) => Check::good(name, file),
            _ => Check::note(
                name,
                format!("{file} is unreadable or empty: calls that a kernel may lack are refused"),
                "mount /proc, or be root; the kernel must be built with CONFIG_KALLSYMS",
            ),
        }
    }

    fn bpffs(&self) -> Check {
        match self.mounted("bpf") {
            Some(place) => Check::good("bpffs", place),
            None => Check::note(
                "bpffs",
                "not mounted: links cannot be pinned",
                "as root, mount -t bpf bpf /sys/fs/bpf",
            ),
        }
    }

    fn btf(&self) -> Check {
        let file = "/sys/kernel/btf/vmlinux";
        match self.path(file).exists() {
            true => Check::good("BTF", file),
            false => Check::note(
                "BTF",
                format!("no {file}: programs that use the kernel's types (CO-RE) do not load"),
                "use a kernel built with CONFIG_DEBUG_INFO_BTF, and mount sysfs",
            ),
        }
    }
}

const UNLOCK: &str = "boot without lockdown=confidentiality";

fn links(trials: &Trials) -> Option<Check> {
    let name = "BPF links";
    Some(match (trials.link.as_ref()?, trials.cookie.as_ref()?) {
        (Err(refusal), _) => Check::bad(
            name,
            format!("no program can be attached: {}", refusal.text),
            "the kernel's log (dmesg) may say why",
        ),
        (Ok(true), Ok(())) => Check::good(name, "for perf events, with cookies"),
        (Ok(true), Err(refusal)) => Check::note(
            name,
            format!("for perf events, without cookies: {}", refusal.text),
            "attaching works without cookies",
        ),
        (Ok(false), _) => Check::note(
            name,
            "none for perf events: no cookies, and attachments cannot be pinned",
            "Linux 5.15 and later have them; attaching works without them",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::trials::Memlock;
    use super::*;

    /// A simulated system: its files, and the results of the trials.
    struct Fake {
        system: System,
        trials: Trials,
        _folder: tempfile::TempDir,
    }

    /// A system on which root can attach.
    const GOOD: &[(&str, &str)] = &[
        ("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"),
        ("proc/self/uid_map", "         0          0 4294967295\n"),
        (
            "proc/self/mounts",
            "sysfs /sys sysfs rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n\
             bpf /sys/fs/bpf bpf rw 0 0\n",
        ),
        ("proc/sys/kernel/osrelease", "6.12.1\n"),
        ("proc/sys/kernel/perf_event_paranoid", "3\n"),
        ("proc/sys/kernel/ftrace_enabled", "1\n"),
        ("proc/kallsyms", "0 T _text\n"),
        ("sys/bus/event_source/devices/kprobe/type", "8\n"),
        ("sys/kernel/tracing/kprobe_events", ""),
        ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
        ("sys/kernel/btf/vmlinux", ""),
    ];

    /// /proc/self/status for a process that has only CAP_PERFMON and CAP_BPF, and for a process
    /// without capabilities.
    const TWO: &str = "CapEff:\t000000c000000000\nSeccomp:\t0\n";
    const NO_RIGHTS: &str = "CapEff:\t0000000000000000\nSeccomp:\t0\n";
    const STATUS: &str = "proc/self/status";
    const RELEASE: &str = "proc/sys/kernel/osrelease";
    const PARANOID: &str = "proc/sys/kernel/perf_event_paranoid";
    const MOUNTS: &str = "proc/self/mounts";
    const PMU: &str = "sys/bus/event_source/devices/kprobe/type";
    const LIST: &str = "sys/kernel/tracing/kprobe_events";
    const LOCKDOWN: &str = "sys/kernel/security/lockdown";

    fn refused<T>(errno: i32) -> Result<T, Refusal> {
        Err(Refusal { errno: Some(errno), text: "refused".to_owned(), log: String::new() })
    }

    impl Fake {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let system = System { root: folder.path().to_owned() };
            let trials = Trials {
                kprobe: Ok(()),
                tracefs: Ok(()),
                program: Ok(()),
                link: Some(Ok(true)),
                cookie: Some(Ok(())),
                memlock: Memlock { limit: Some(65536), is_counted: Some(false) },
            };
            let fake = Self { system, trials, _folder: folder };
            GOOD.iter().for_each(|(path, text)| fake.set(path, text));
            fake
        }

        fn set(&self, path: &str, text: &str) {
            let path = self.system.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn remove(&self, path: &str) {
            fs::remove_file(self.system.path(path)).unwrap();
        }

        /// Makes the kprobe trial and the program trial fail with EPERM. Each test sets up the
        /// cause of the failure.
        fn forbid(&mut self) {
            self.trials.kprobe = refused(libc::EPERM);
            self.forbid_programs();
        }

        fn forbid_programs(&mut self) {
            self.trials.program = refused(libc::EPERM);
            (self.trials.link, self.trials.cookie) = (None, None);
            self.trials.memlock.is_counted = None;
        }

        /// For each check whose level is not `Good`, returns the level, the name, and a string that
        /// combines the result and the advice.
        fn bad(&self) -> Vec<(Level, &'static str, String)> {
            let checks = self.system.checks(Some(&self.trials)).into_iter();
            let of = |check: Check| {
                let text = check.found + " -> " + &check.advice.expect("an advice");
                (check.level, check.name, text)
            };
            checks.filter(|check| check.level != Level::Good).map(of).collect()
        }

        #[track_caller]
        fn expect(&self, level: Level, name: &str, words: &str) {
            let bad = self.bad();
            let is_it = |bad: &&(Level, &str, String)| bad.1 == name;
            let found = bad.iter().find(is_it).unwrap_or_else(|| panic!("{name} is good: {bad:?}"));
            assert_eq!(found.0, level, "{found:?}");
            assert!(found.2.contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_good_system_has_no_findings() {
        assert_eq!(Fake::new().bad(), []);
    }

    /// Vendors backport features, and setarch(8) can make any kernel report 2.6.
    #[test]
    fn versions_do_not_matter_if_the_trials_succeed() {
        let fake = Fake::new();
        fake.set(RELEASE, "2.6.72\n");
        assert_eq!(fake.bad(), []);
        fake.set(STATUS, NO_RIGHTS);
        assert_eq!(fake.bad(), []);
    }

    #[test]
    fn permission_errors_name_their_cause() {
        let mut fake = Fake::new();
        fake.forbid();
        fake.set(STATUS, TWO);
        fake.expect(Level::Bad, "permission", "sysctl kernel.perf_event_paranoid=2");
        fake.set(PARANOID, "2\n");
        fake.set(STATUS, NO_RIGHTS);
        fake.expect(Level::Bad, "permission", "nor CAP_PERFMON nor CAP_BPF");
        fake.expect(Level::Bad, "permission", "setcap cap_perfmon,cap_bpf=ep");
        fake.set(STATUS, GOOD[0].1);
        fake.set("proc/self/uid_map", "0 1000 1\n");
        fake.expect(Level::Bad, "permission", "outside the user namespace");
        fake.set("proc/self/uid_map", GOOD[1].1);
        fake.expect(Level::Bad, "permission", "security module");
        fake.set(STATUS, &GOOD[0].1.replace("Seccomp:\t0", "Seccomp:\t2"));
        fake.expect(Level::Bad, "permission", "seccomp");
        // The report's `kprobes` line does not repeat the cause.
        assert_eq!(fake.bad().len(), 1);
    }

    #[test]
    fn lockdown_matters_only_if_it_forbids_kprobes() {
        let mut fake = Fake::new();
        fake.set(LOCKDOWN, "none [integrity] confidentiality\n");
        assert_eq!(fake.bad(), []);
        fake.forbid();
        fake.set(LOCKDOWN, "none integrity [confidentiality]\n");
        fake.expect(Level::Bad, "lockdown", "boot without lockdown=confidentiality");
        fake.expect(Level::Bad, "permission", "locked down");
        fake.remove(LOCKDOWN);
        fake.expect(Level::Note, "lockdown", "mount -t securityfs");
        fake.expect(Level::Bad, "permission", "may be locked down");
    }

    #[test]
    fn missing_mounts_are_reported() {
        let mut fake = Fake::new();
        fake.set(MOUNTS, "sysfs /sys sysfs rw 0 0\n");
        fake.trials.tracefs = refused(libc::ENOENT);
        fake.expect(Level::Note, "tracefs", "mount -t tracefs");
        fake.expect(Level::Note, "bpffs", "mount -t bpf");
        fake.remove(PMU);
        fake.trials.kprobe = refused(libc::ENOENT);
        fake.expect(Level::Bad, "kprobes", "mount -t tracefs");
        fake.set(MOUNTS, "");
        fake.expect(Level::Bad, "kprobes", "mount -t sysfs");
        // Attaching works through tracefs, without the PMU.
        fake.set(MOUNTS, "t /sys/kernel/tracing tracefs rw 0 0\n");
        fake.trials.kprobe = Ok(());
        fake.expect(Level::Note, "kprobes", "mount -t sysfs");
        fake.set(MOUNTS, "d /d debugfs rw 0 0\ns /sys sysfs rw 0 0\nb /b bpf rw 0 0\n");
        fake.set("d/tracing/kprobe_events", "");
        assert_eq!(fake.bad(), []);
    }

    #[test]
    fn an_emptied_tracefs_counts_as_mounted() {
        let mut fake = Fake::new();
        fake.remove(LIST);
        fake.trials.tracefs = refused(libc::ENOENT);
        fake.expect(Level::Note, "tracefs", "mounted at /sys/kernel/tracing, but without");
        fake.remove(PMU);
        fake.trials.kprobe = refused(libc::ENOENT);
        fake.expect(Level::Bad, "kprobes", "CONFIG_KPROBE_EVENTS");
    }

    #[test]
    fn disabled_probes_are_reported() {
        let fake = Fake::new();
        fake.set("sys/kernel/debug/kprobes/enabled", "0\n");
        fake.expect(Level::Bad, "probes run", "echo 1 >");
        fake.set("proc/sys/kernel/ftrace_enabled", "0\n");
        fake.expect(Level::Bad, "probes run", "ftrace_enabled=1");
        // No trial runs while probes are disabled, so the checks that depend on trials are left
        // out.
        let names: Vec<_> = fake.system.checks(None).iter().map(|check| check.name).collect();
        assert_eq!(names, ["kernel", "probes run", "symbols", "bpffs", "BTF"]);
    }

    #[test]
    fn symbols_and_types() {
        let fake = Fake::new();
        fake.set("proc/kallsyms", "");
        fake.expect(Level::Note, "symbols", "CONFIG_KALLSYMS");
        fake.remove("sys/kernel/btf/vmlinux");
        fake.expect(Level::Note, "BTF", "CONFIG_DEBUG_INFO_BTF");
    }

    #[test]
    fn old_kernels_lack_links_and_cookies() {
        let mut fake = Fake::new();
        fake.trials.cookie = Some(refused(libc::EOPNOTSUPP));
        fake.expect(Level::Note, "BPF links", "without cookies");
        fake.trials.link = Some(Ok(false));
        fake.expect(Level::Note, "BPF links", "Linux 5.15");
        fake.trials.link = Some(refused(libc::EINVAL));
        fake.expect(Level::Bad, "BPF links", "no program can be attached");
        fake.trials.program = refused(libc::EINVAL);
        fake.expect(Level::Bad, "programs", "Linux 4.1");
    }

    #[test]
    fn memlock_is_reported_if_it_counts() {
        let mut fake = Fake::new();
        fake.trials.memlock.is_counted = Some(true);
        fake.expect(Level::Note, "memlock", "RLIMIT_MEMLOCK, which is 64 KiB -> ulimit -l");
        fake.trials.memlock.limit = None;
        assert_eq!(fake.bad(), []);
        fake.forbid_programs();
        fake.trials.memlock.limit = Some(0);
        fake.set(STATUS, TWO);
        fake.expect(Level::Bad, "permission", "bpf(2)");
        fake.set(RELEASE, "5.10.0-32-amd64\n");
        fake.expect(Level::Bad, "memlock", "which is 0 KiB: no program can be loaded");
        assert_eq!(fake.bad().len(), 1);
        // A higher limit would not help without the capabilities.
        fake.set(STATUS, NO_RIGHTS);
        fake.expect(Level::Bad, "permission", "bpf(2)");
        assert_eq!(fake.bad().len(), 1);
    }

    #[test]
    fn a_missing_proc_is_reported() {
        let fake = Fake::new();
        fs::remove_dir_all(fake.system.path("proc")).unwrap();
        fake.expect(Level::Bad, "proc", "mount -t proc");
    }
}
