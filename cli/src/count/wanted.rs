//! Turns the command line into the list of calls to count.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use ksyscall::{Architecture, SubCall, SyscallName};

use crate::args::{self, Callers};

/// The classes of strace(1), one per line. `python3 -m tools.strace_classes` generates the file.
const CLASSES: &str = include_str!("classes.txt");

/// `--all` also counts about this many call numbers above the table's highest number, for calls
/// that newer kernels add.
const NEWER: u32 = 40;

/// Calls for which x32 processes have separate numbers (arch/x86/entry/syscalls/syscall_64.tbl).
/// Calls with these numbers count as calls by 32-bit callers.
pub(super) const FIRST_X32: u32 = 512;
pub(super) const X32: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// A call made by one kind of caller: 32-bit callers have a separate syscall table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: SyscallName,
    /// Whether the call is made by 32-bit callers on a 64-bit kernel.
    pub(super) is_compat: bool,
    /// The call's number for these callers, if known.
    pub(super) number: Option<u32>,
}

/// The tables for both kinds of callers, if they exist.
struct Tables {
    native: Option<Architecture>,
    compat: Option<Architecture>,
}

impl Wanted {
    /// The call's callers, as a value of --callers.
    pub(super) fn caller(&self) -> &'static str {
        if self.is_compat { Callers::Compat.word() } else { Callers::Native.word() }
    }

    /// The call's callers, as the library's type.
    pub(super) fn callers(&self) -> ksyscall::Callers {
        if self.is_compat { ksyscall::Callers::Compat } else { ksyscall::Callers::Native }
    }

    /// How these callers make the call through socketcall(2) or ipc(2), if they can.
    pub(super) fn sub_call(&self) -> Option<SubCall> {
        let arch = if self.is_compat { compat_architecture() } else { Architecture::native() };
        arch?.sub_calls().find(|call| call.name == self.name.as_str())
    }

    /// Whether the call can return to its caller.
    pub(super) fn returns(&self) -> bool {
        !matches!(self.name.as_str(), "exit" | "exit_group" | "_exit")
    }

    /// Whether the call's return value is the content of a restored register. This value may look
    /// like an error.
    pub(super) fn is_sigreturn(&self) -> bool {
        matches!(self.name.as_str(), "sigreturn" | "rt_sigreturn")
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_compat { " of 32-bit callers" } else { "" };
        write!(f, "{}{whose}", self.name)
    }
}

/// The architecture of the 32-bit callers, if a BPF program can recognise them
/// (`KSYSCALL_IS_COMPAT` in ksyscall.bpf.h).
pub(crate) fn compat_architecture() -> Option<Architecture> {
    let name = match std::env::consts::ARCH {
        "x86_64" => "x86",
        "aarch64" => "arm",
        _ => return None,
    };
    Architecture::named(name)
}

/// The calls to count, without duplicates.
pub(super) fn wanted(arguments: &args::Count) -> Result<Vec<Wanted>> {
    let tables = Tables { native: Architecture::native(), compat: compat_architecture() };
    let callers = arguments.callers;
    if callers != Callers::Native && tables.compat.is_none() {
        bail!(
            "--callers {}: only x86_64 and arm64 can tell the calls of 32-bit processes apart, and \
             this is {}; omit --callers to count the calls of this architecture",
            callers.word(),
            std::env::consts::ARCH
        );
    }
    let mut wanted = Vec::new();
    if arguments.all {
        if tables.native.is_none() {
            bail!("there is no table of this architecture's calls");
        }
        wanted = tables.all(callers).collect();
    }
    for text in &arguments.names {
        if let Some(class) = text.strip_prefix('%') {
            wanted.extend(tables.of_class(class, callers)?);
        } else if text.contains(['*', '?', '[']) {
            let pattern =
                glob::Pattern::new(text).with_context(|| format!("the pattern {text}"))?;
            let before = wanted.len();
            wanted.extend(tables.all(callers).filter(|call| pattern.matches(call.name.as_str())));
            if wanted.len() == before {
                bail!("{text}: no system call matches; `ksyscall list` shows all calls");
            }
        } else {
            wanted.extend(tables.calls(args::syscall_name(text)?, callers));
        }
    }
    let mut known = BTreeSet::new();
    wanted.retain(|call| known.insert(tables.key(call)));
    if arguments.is_by_probes {
        // Only the multiplexer's function serves these calls, so a probe cannot recognise them.
        let count = wanted.len();
        wanted.retain(|call| call.number.is_some() || call.sub_call().is_none());
        if wanted.is_empty() && count > 0 {
            bail!("--probes cannot count calls that socketcall or ipc carries out; omit --probes");
        }
    }
    if arguments.all && !arguments.is_by_probes {
        for is_compat in [false, true] {
            wanted.extend(newer(&wanted, is_compat));
        }
    }
    Ok(wanted)
}

/// Returns a call named `nr_NUMBER` for each number that the table lacks. If `wanted` contains no
/// calls by this kind of caller, the list is empty.
fn newer(wanted: &[Wanted], is_compat: bool) -> Vec<Wanted> {
    let of_callers = wanted.iter().filter(|call| call.is_compat == is_compat);
    // 32-bit Arm also uses a few numbers above 0xf0000.
    let numbers: BTreeSet<_> =
        of_callers.filter_map(|call| call.number).filter(|number| *number < 0xf_0000).collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return Vec::new() };
    let unknown = (*first..last + NEWER).filter(|number| !numbers.contains(number));
    let call = |number: u32| {
        let name = SyscallName::new(&format!("nr_{number}")).ok()?;
        Some(Wanted { name, is_compat, number: Some(number) })
    };
    unknown.filter_map(call).collect()
}

/// Whether a call with this name exists only for 32-bit callers.
pub(crate) fn is_compat_alone(name: &SyscallName) -> bool {
    let tables = Tables { native: Architecture::native(), compat: compat_architecture() };
    tables.is_compat_alone(name)
}

/// The error for a name that matches no call.
pub(super) fn unknown(call: &Wanted) -> anyhow::Error {
    if !call.is_compat && is_compat_alone(&call.name) {
        return anyhow!(
            "no system call {}; 32-bit processes have such a call: --callers compat counts it",
            call.name
        );
    }
    let arch = if call.is_compat { compat_architecture() } else { Architecture::native() };
    let near = arch.map(|arch| arch.nearest(&call.name)).unwrap_or_default();
    match near.first() {
        Some(near) => anyhow!("no system call {call}: did you mean {near}?"),
        None => anyhow!(
            "no system call {call} in the table; `ksyscall list` shows all calls, and --probes looks \
             for the function of a newer call"
        ),
    }
}

impl Tables {
    fn call(&self, name: SyscallName, is_compat: bool) -> Wanted {
        let arch = if is_compat { self.compat } else { self.native };
        Wanted { name, is_compat, number: arch.and_then(|arch| arch.call(&name).number) }
    }

    /// All calls that these callers can make.
    fn all(&self, callers: Callers) -> impl Iterator<Item = Wanted> {
        let of = |arch: Option<Architecture>, is_compat| {
            let numbers = arch.into_iter().flat_map(|arch| arch.numbers().collect::<Vec<_>>());
            let numbers = numbers.map(|(name, number)| (name, Some(number)));
            let sub_calls = arch.into_iter().flat_map(|arch| arch.sub_calls().collect::<Vec<_>>());
            let sub_calls = sub_calls.filter_map(|call| SyscallName::new(call.name).ok());
            let is_alone =
                move |name: &SyscallName| arch.is_some_and(|arch| arch.call(name).number.is_none());
            let alone = sub_calls.filter(is_alone).map(|name| (name, None));
            numbers.chain(alone).map(move |(name, number)| Wanted { name, is_compat, number })
        };
        let native = self.native.filter(|_| callers != Callers::Compat);
        let compat = self.compat.filter(|_| callers != Callers::Native);
        of(native, false).chain(of(compat, true))
    }

    fn of_class(&self, class: &str, callers: Callers) -> Result<Vec<Wanted>> {
        let mut lines = CLASSES.lines().filter_map(|line| line.strip_prefix('%')?.split_once(' '));
        let Some((_, names)) = lines.clone().find(|(name, _)| *name == class) else {
            let all: Vec<_> = lines.by_ref().map(|(name, _)| format!("%{name}")).collect();
            bail!("no class of system calls %{class}; the classes are {}", all.join(", "));
        };
        let names: BTreeSet<_> = names.split(' ').collect();
        Ok(self.all(callers).filter(|call| names.contains(call.name.as_str())).collect())
    }

    /// The calls with this name. `Callers::All` includes only the kinds of callers that have the
    /// call, or both kinds if no table contains the name.
    fn calls(&self, name: SyscallName, callers: Callers) -> Vec<Wanted> {
        let native = self.call(name, false);
        let compat = self.call(name, true);
        match callers {
            Callers::Native => vec![native],
            Callers::Compat => vec![compat],
            Callers::All if self.is_compat_alone(&name) => vec![compat],
            Callers::All if self.is_native_alone(&name) => vec![native],
            Callers::All => vec![native, compat],
        }
    }

    fn is_compat_alone(&self, name: &SyscallName) -> bool {
        has(self.compat, name) && !has(self.native, name)
    }

    fn is_native_alone(&self, name: &SyscallName) -> bool {
        has(self.native, name) && !has(self.compat, name)
    }

    /// A key that all names of a call share.
    fn key(&self, call: &Wanted) -> (bool, Option<u32>, String) {
        let name = if call.number.is_none() { call.name.to_string() } else { String::new() };
        (call.is_compat, call.number, name)
    }
}

fn has(arch: Option<Architecture>, name: &SyscallName) -> bool {
    arch.is_some_and(|arch| {
        let call = arch.call(name);
        call.is_known && call.is_served || arch.sub_calls().any(|call| call.name == name.as_str())
    })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use clap::Parser;

    use super::*;

    fn wanted_by(words: &str) -> Result<Vec<Wanted>> {
        let line = format!("ksyscall count {words}");
        let cli = args::Cli::try_parse_from(line.split(' ')).unwrap();
        let args::Command::Count(arguments) = cli.command else { panic!("no count") };
        wanted(&arguments)
    }

    fn calls(words: &str) -> Vec<String> {
        let calls = wanted_by(words).unwrap();
        calls.iter().map(|call| format!("{} {}", call.name, call.caller())).collect()
    }

    #[test]
    fn a_name_applies_to_the_callers_that_have_the_call() {
        assert_eq!(calls("openat"), ["openat native"]);
        assert_eq!(calls("openat --callers compat"), ["openat compat"]);
        assert_eq!(calls("openat --callers all"), ["openat native", "openat compat"]);
        // syscall_32.tbl contains socketcall, but syscall_64.tbl does not
        // (arch/x86/entry/syscalls).
        assert_eq!(calls("socketcall --callers all"), ["socketcall compat"]);
        // 32-bit processes call semop through ipc, and a probe cannot tell which call ipc carries
        // out.
        assert_eq!(calls("semop --callers all"), ["semop native", "semop compat"]);
        assert_eq!(calls("semop --callers all --probes"), ["semop native"]);
        assert!(wanted_by("semop --callers compat --probes").is_err());
        // A call that is too new to be in the tables.
        assert_eq!(calls("brand_new --callers all"), ["brand_new native", "brand_new compat"]);
    }

    #[test]
    fn two_names_of_a_call_count_once() {
        assert_eq!(calls("umount2 sys_umount2 umount2"), ["umount2 native"]);
        assert_eq!(calls("stat newstat"), ["stat native"]);
        // For 32-bit callers, umount and umount2 are different calls.
        let two = ["umount compat", "umount2 compat"];
        assert_eq!(calls("umount umount2 --callers compat"), two);
        assert_eq!(calls("_llseek llseek --callers compat"), ["_llseek compat"]);
    }

    #[test]
    fn names_with_the_same_number_are_one_call() {
        let tables =
            Tables { native: Architecture::named("arm64"), compat: Architecture::named("arm") };
        let key = |name| tables.key(&tables.call(SyscallName::new(name).unwrap(), true));
        // __NR_arm_sync_file_range is __NR_sync_file_range2: arch/arm/include/uapi/asm/unistd.h.
        assert_eq!(key("arm_sync_file_range"), key("sync_file_range2"));
        assert_ne!(key("fcntl"), key("fcntl64"));
    }

    #[test]
    fn all_covers_the_tables_of_the_callers() {
        let (native, compat) = (calls("--all"), calls("--all --callers compat"));
        assert!(native.len() > 400 && compat.len() > 460);
        assert!(compat.contains(&"socketcall compat".to_owned()));
        let both = calls("--all --callers all");
        assert_eq!(both.len(), native.len() + compat.len());
        // The table contains no name for the last call's number.
        let last = native.last().unwrap();
        assert!(last.starts_with("nr_5"), "{last}");
        assert!(!calls("--all --probes").iter().any(|call| call.starts_with("nr_")));
    }

    #[test]
    fn patterns_and_classes_expand_to_matching_calls() {
        let epoll = calls("epoll_*");
        assert!(epoll.contains(&"epoll_wait native".to_owned()) && epoll.len() > 4, "{epoll:?}");
        assert!(wanted_by("nothing*").is_err() && wanted_by("[").is_err());
        assert!(calls("%file").contains(&"openat native".to_owned()));
        assert!(calls("%ipc --callers compat").contains(&"ipc compat".to_owned()));
        let error = wanted_by("%fil").unwrap_err().to_string();
        assert!(error.contains("%file"), "{error}");
    }
}
