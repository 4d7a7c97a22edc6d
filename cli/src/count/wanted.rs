//! The calls that are to be counted.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};
use ksyscall::{Architecture, Batch, SyscallName};

use crate::args::{self, Callers};

/// A call of one kind of callers: 32-bit ones have a table of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: SyscallName,
    /// Of 32-bit callers on a 64-bit kernel.
    pub(super) is_compat: bool,
    /// By which 32-bit callers make it, if that is known.
    pub(super) number: Option<u32>,
}

/// The architectures of both kinds of callers, if there is a table of them.
struct Tables {
    native: Option<Architecture>,
    compat: Option<Architecture>,
}

impl Wanted {
    pub(super) fn native(name: SyscallName) -> Self {
        Self { name, is_compat: false, number: None }
    }

    /// Who makes it, in the word of --callers.
    pub(super) fn caller(&self) -> &'static str {
        if self.is_compat { Callers::Compat.word() } else { Callers::Native.word() }
    }

    /// The same for the crate.
    pub(super) fn callers(&self) -> ksyscall::Callers {
        if self.is_compat { ksyscall::Callers::Compat } else { ksyscall::Callers::Native }
    }

    /// Whether the call can return to who makes it.
    pub(super) fn returns(&self) -> bool {
        !matches!(self.name.as_str(), "exit" | "exit_group" | "_exit")
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_compat { " of 32-bit callers" } else { "" };
        write!(f, "{}{whose}", self.name)
    }
}

/// The architecture of the 32-bit callers, where a BPF program can tell them from others
/// (`KSYSCALL_IS_COMPAT` of ksyscall.bpf.h).
pub(crate) fn compat_architecture() -> Option<Architecture> {
    let name = match std::env::consts::ARCH {
        "x86_64" => "x86",
        "aarch64" => "arm",
        _ => return None,
    };
    Architecture::named(name)
}

/// The calls to count: each once, for one function counts for all its names.
pub(super) fn wanted(arguments: &args::Count) -> Result<Vec<Wanted>> {
    let tables = Tables { native: Architecture::native(), compat: compat_architecture() };
    let callers = arguments.callers;
    if callers != Callers::Native && tables.compat.is_none() {
        bail!(
            "--callers {}: the calls of 32-bit processes can be told from others on x86_64 and \
             arm64 alone, and this is {}; without --callers those of this architecture are counted",
            callers.word(),
            std::env::consts::ARCH
        );
    }
    let mut wanted = Vec::new();
    if arguments.all {
        if callers != Callers::Compat {
            let arch = tables.native.context("there is no table of this architecture's calls")?;
            wanted.extend(arch.calls().into_iter().map(Wanted::native));
        }
        if callers != Callers::Native {
            let batch = Batch::all_of(ksyscall::Callers::Compat);
            wanted.extend(batch.names().map(|name| tables.compat_call(*name)));
        }
    }
    for text in &arguments.names {
        let name = args::syscall_name(text)?;
        wanted.extend(tables.calls(name, callers));
    }
    let mut known = BTreeSet::new();
    wanted.retain(|call| known.insert(tables.key(call)));
    Ok(wanted)
}

/// Whether 32-bit callers have a call of a name that native ones do not have.
pub(crate) fn is_compat_alone(name: &SyscallName) -> bool {
    let tables = Tables { native: Architecture::native(), compat: compat_architecture() };
    tables.is_compat_alone(name)
}

impl Tables {
    fn compat_call(&self, name: SyscallName) -> Wanted {
        let number = self.compat.and_then(|arch| arch.call(&name).number);
        Wanted { name, is_compat: true, number }
    }

    /// A call by its name, of those callers that have it; or of both, if no table knows it.
    fn calls(&self, name: SyscallName, callers: Callers) -> Vec<Wanted> {
        let native = Wanted::native(name);
        let compat = self.compat_call(name);
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

    /// What is the same of two names of one call.
    fn key(&self, call: &Wanted) -> (bool, Option<u32>, String) {
        if call.number.is_some() {
            return (call.is_compat, call.number, String::new());
        }
        let arch = if call.is_compat { self.compat } else { self.native };
        let name = arch.map_or(call.name, |arch| arch.call(&call.name).name);
        (call.is_compat, None, name.to_string())
    }
}

fn has(arch: Option<Architecture>, name: &SyscallName) -> bool {
    arch.is_some_and(|arch| {
        let call = arch.call(name);
        call.is_known && call.is_served
    })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use clap::Parser;

    use super::*;

    fn calls(words: &str) -> Vec<String> {
        let line = format!("ksyscall count {words}");
        let cli = args::Cli::try_parse_from(line.split(' ')).unwrap();
        let args::Command::Count(arguments) = cli.command else { panic!("no count") };
        let calls = wanted(&arguments).unwrap();
        calls.iter().map(|call| format!("{} {}", call.name, call.caller())).collect()
    }

    #[test]
    fn a_name_is_a_call_of_those_who_have_it() {
        assert_eq!(calls("openat"), ["openat native"]);
        assert_eq!(calls("openat --callers compat"), ["openat compat"]);
        assert_eq!(calls("openat --callers all"), ["openat native", "openat compat"]);
        // arch/x86/entry/syscalls/syscall_32.tbl and syscall_64.tbl: each has one alone.
        assert_eq!(calls("socketcall --callers all"), ["socketcall compat"]);
        assert_eq!(calls("semop --callers all"), ["semop native"]);
        // One that is too new for them.
        assert_eq!(calls("brand_new --callers all"), ["brand_new native", "brand_new compat"]);
    }

    #[test]
    fn a_call_by_two_names_is_one() {
        assert_eq!(calls("umount2 sys_umount2 umount2"), ["umount2 native"]);
        assert_eq!(calls("stat newstat"), ["stat native"]);
        // They are two in 32 bits.
        let two = ["umount compat", "umount2 compat"];
        assert_eq!(calls("umount umount2 --callers compat"), two);
        assert_eq!(calls("_llseek llseek --callers compat"), ["_llseek compat"]);
    }

    #[test]
    fn names_of_one_number_are_one_call() {
        let tables =
            Tables { native: Architecture::named("arm64"), compat: Architecture::named("arm") };
        let key = |name| tables.key(&tables.compat_call(SyscallName::new(name).unwrap()));
        // __NR_arm_sync_file_range is __NR_sync_file_range2: arch/arm/include/uapi/asm/unistd.h.
        assert_eq!(key("arm_sync_file_range"), key("sync_file_range2"));
        assert_ne!(key("fcntl"), key("fcntl64"));
    }

    #[test]
    fn all_calls_are_those_of_the_callers() {
        let (native, compat) = (calls("--all"), calls("--all --callers compat"));
        assert!(native.len() > 330 && compat.len() > 400);
        assert!(compat.contains(&"socketcall compat".to_owned()));
        assert_eq!(calls("--all --callers all"), [native, compat].concat());
    }
}
