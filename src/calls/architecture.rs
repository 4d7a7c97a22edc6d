//! Describes the system calls of any architecture, for programs such as the `ksyscall` command.

use core::fmt;

use crate::calls::suggestions;
use crate::calls::table::{self, Column, Table, row_in};
use crate::{CLibrary, SubCall, SyscallName};

/// An architecture whose system calls are known.
///
/// ```
/// use ksyscall::{Architecture, SyscallName};
///
/// let x86_64 = Architecture::named("x86_64").unwrap();
/// let stat = x86_64.call(&SyscallName::new("stat")?);
/// assert_eq!((stat.number, stat.functions), (Some(4), vec!["sys_newstat".to_owned()]));
/// # Ok::<(), ksyscall::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Architecture {
    /// The architecture's names: Rust's name first, then the other names.
    names: &'static [&'static str],
    wrappers: Option<Wrappers>,
    table: Table,
    /// Text in which each line contains the name and number of one call.
    numbers: &'static str,
}

/// How kernels with syscall wrappers (`CONFIG_ARCH_HAS_SYSCALL_WRAPPER`) name the syscall
/// functions. In a kernel with wrappers, a syscall function's argument is the caller's
/// `struct pt_regs *`. In other kernels, the arguments of a syscall function are the call's
/// arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Wrappers {
    /// The prefix that the kernel adds to the function's name in the table.
    pub prefix: &'static str,
    /// The first Linux version that is known to have wrappers.
    pub since: &'static str,
}

/// A system call of an architecture.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The call's name in `<asm/unistd.h>`. If the name is unknown, it is kept unchanged.
    pub name: SyscallName,
    /// The call's number on the architecture, if the number is known.
    pub number: Option<u32>,
    /// Whether the table contains the name, as a call or as another spelling of a call.
    pub is_known: bool,
    /// Whether the architecture has the call at all.
    pub is_served: bool,
    /// Whether a kernel can be built without the call.
    pub is_optional: bool,
    /// The Linux version that added the call, if that version is later than 4.1.
    pub since: Option<String>,
    /// The functions that may serve the call, without the kernel's prefix. In each kernel, the call
    /// is served by the first of these functions that the kernel has.
    pub functions: Vec<String>,
    /// The functions that serve the call in a 64-bit kernel for 32-bit processes of this
    /// architecture. Empty for a 64-bit architecture.
    pub functions_in_64_bit_kernels: Vec<String>,
    /// Other names for the call in man pages, the C library, the kernel's sources and other
    /// architectures, in alphabetical order.
    pub spellings: Vec<SyscallName>,
}

const fn wrappers(prefix: &'static str, since: &'static str) -> Option<Wrappers> {
    Some(Wrappers { prefix, since })
}

/// `conventions.rs` names the kernel source files that define the wrappers.
const ALL: &[Architecture] = &[
    Architecture {
        names: &["x86_64", "amd64", "x86-64"],
        wrappers: wrappers("__x64_", "4.17"),
        table: table::X86_64,
        numbers: include_str!("numbers/x86_64.tbl"),
    },
    Architecture {
        names: &["aarch64", "arm64"],
        wrappers: wrappers("__arm64_", "4.19"),
        table: table::AARCH64,
        numbers: include_str!("numbers/aarch64.tbl"),
    },
    Architecture {
        names: &["riscv64"],
        wrappers: wrappers("__riscv_", "6.6"),
        table: table::RISCV64,
        numbers: include_str!("numbers/riscv64.tbl"),
    },
    Architecture {
        names: &["s390x"],
        wrappers: wrappers("__s390x_", "6.1"),
        table: table::S390X,
        numbers: include_str!("numbers/s390x.tbl"),
    },
    Architecture {
        names: &["powerpc64", "ppc64le", "ppc64el", "ppc64"],
        wrappers: wrappers("", "6.1"),
        table: table::POWERPC64,
        numbers: include_str!("numbers/powerpc64.tbl"),
    },
    Architecture {
        names: &["mips64", "mips64el"],
        wrappers: None,
        table: table::MIPS64,
        numbers: include_str!("numbers/mips64.tbl"),
    },
    Architecture {
        names: &["loongarch64", "loong64"],
        wrappers: None,
        table: table::LOONGARCH64,
        numbers: include_str!("numbers/loongarch64.tbl"),
    },
    Architecture {
        names: &["x86", "i386", "i686"],
        wrappers: wrappers("__ia32_", "5.7"),
        table: table::X86,
        numbers: include_str!("numbers/x86.tbl"),
    },
    Architecture {
        names: &["arm", "armhf", "armv7l"],
        wrappers: None,
        table: table::ARM,
        numbers: include_str!("numbers/arm.tbl"),
    },
    Architecture {
        names: &["powerpc", "ppc"],
        wrappers: wrappers("", "6.1"),
        table: table::POWERPC,
        numbers: include_str!("numbers/powerpc.tbl"),
    },
];

impl Architecture {
    /// Returns the calls that a function of the C library makes on this architecture: see
    /// [`CLibrary::calls`].
    pub fn c_library_calls(&self, library: CLibrary, function: &SyscallName) -> Vec<SyscallName> {
        library.calls_in(self.table, function)
    }

    /// Returns all known architectures.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().copied()
    }

    /// Finds an architecture by its name in Rust, in Debian or in the output of `uname -m`.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|it| it.names.contains(&name))
    }

    /// Returns this program's target architecture, or `None` if that architecture is unknown.
    pub fn native() -> Option<Self> {
        Self::named(std::env::consts::ARCH)
    }

    /// Returns Rust's name for the architecture, as in `std::env::consts::ARCH`.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Returns how kernels for the architecture name the syscall functions, if the kernels have
    /// wrappers.
    pub fn wrappers(&self) -> Option<Wrappers> {
        self.wrappers
    }

    /// Returns every call that the architecture has in any kernel version, in alphabetical order.
    pub fn calls(&self) -> Vec<SyscallName> {
        table::calls(self.table, Column::Native).collect()
    }

    /// Returns every call whose number is known, with that number. On mips64, the first number is
    /// 5000.
    pub fn numbers(&self) -> impl Iterator<Item = (SyscallName, u32)> {
        let lines = self.numbers.lines().filter_map(|line| line.split_once(' '));
        lines
            .filter_map(|(name, number)| Some((SyscallName::new(name).ok()?, number.parse().ok()?)))
    }

    /// Describes the call `name`.
    pub fn call(&self, name: &SyscallName) -> Call {
        let row = row_in(self.table, name.as_str());
        let call = SyscallName::new(row.name).unwrap_or(*name);
        let spellings = table::rows(self.table).filter(|row| row.alias_of() == Some(call.as_str()));
        Call {
            name: call,
            number: self.numbers().find(|(name, _)| *name == call).map(|(_, number)| number),
            is_known: row.is_known,
            is_served: row.is_served(),
            is_optional: row.is_optional,
            since: Some(row.since.to_owned()).filter(|since| !since.is_empty()),
            functions: row.function_names(Column::Native).collect(),
            functions_in_64_bit_kernels: match self.table.is_64_bit() {
                true => Vec::new(),
                false => row.function_names(Column::Compat).collect(),
            },
            spellings: spellings.filter_map(|row| SyscallName::new(row.name).ok()).collect(),
        }
    }

    /// Returns the calls that the architecture's multiplexers, socketcall(2) and ipc(2), carry out.
    /// Most architectures have no multiplexers.
    ///
    /// ```
    /// let calls = |arch| ksyscall::Architecture::named(arch).unwrap().sub_calls().count();
    /// assert_eq!((calls("i386"), calls("x86_64")), (32, 0));
    /// ```
    pub fn sub_calls(&self) -> impl Iterator<Item = SubCall> {
        let table = self.table;
        SubCall::all().filter(move |call| row_in(table, call.multiplexer).is_served())
    }

    /// Returns up to three calls whose names are similar to `name`, in descending order of
    /// similarity.
    pub fn nearest(&self, name: &SyscallName) -> Vec<SyscallName> {
        let names = suggestions::nearest(self.table, name.as_str());
        names.filter_map(|near| SyscallName::new(near).ok()).collect()
    }
}

impl fmt::Debug for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Architecture").field(&self.name()).finish()
    }
}

impl PartialEq for Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Architecture {}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arch: &str, name: &str) -> Call {
        Architecture::named(arch).unwrap().call(&SyscallName::new(name).unwrap())
    }

    /// Returns the calls in this system's kernel headers. The headers and the tables may be from
    /// different kernel versions.
    fn headers_calls(header: &str) -> Option<Vec<(String, u32)>> {
        let text = std::fs::read_to_string(header).ok()?;
        let mut calls = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some("#define"), Some(name), Some(number), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let name = name.strip_prefix("__NR_");
            calls.extend(name.zip(number.parse().ok()).map(|(name, number)| (name.into(), number)));
        }
        Some(calls)
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn numbers_are_those_of_the_headers() {
        let folder = "/usr/include/x86_64-linux-gnu/asm";
        for (arch, header) in [("x86_64", "unistd_64.h"), ("x86", "unistd_32.h")] {
            let Some(calls) = headers_calls(&format!("{folder}/{header}")) else {
                println!("no {header} here: the kernel's headers are not installed");
                continue;
            };
            assert!(calls.len() > 300, "{header}");
            for (name, number) in calls {
                assert_eq!(call(arch, &name).number, Some(number), "{name} on {arch}");
            }
        }
    }

    /// arm64, riscv64 and loongarch64 share this header.
    #[test]
    fn numbers_are_those_of_the_generic_header() {
        let header = "/usr/include/asm-generic/unistd.h";
        let Some(calls) = headers_calls(header) else {
            return println!("no {header} here: the kernel's headers are not installed");
        };
        assert!(calls.len() > 250);
        // Leave out macros that are not calls, calls that the header's conditions exclude on arm64,
        // and calls that have a different name on 64-bit architectures.
        let is_left_out = |name: &str| {
            matches!(name, "syscalls" | "arch_specific_syscall" | "sync_file_range2")
                || name.contains("time64")
                || (name.ends_with("64") && name.starts_with(['c', 't']) && name.contains("time"))
        };
        for (name, number) in calls.into_iter().filter(|(name, _)| !is_left_out(name)) {
            let found = call("aarch64", &name);
            assert_eq!(found.number, Some(number), "{name}");
        }
    }

    /// The numbers were copied by hand from arch/*/include/uapi/asm/unistd.h and the .tbl files.
    #[test]
    fn numbers_of_other_architectures() {
        for (arch, name, number) in [
            ("arm", "openat", 322),
            ("s390x", "openat", 288),
            ("powerpc64", "openat", 286),
            ("mips64", "openat", 5247),
            ("riscv64", "riscv_flush_icache", 259),
            ("loongarch64", "openat", 56),
        ] {
            assert_eq!(call(arch, name).number, Some(number), "{name} on {arch}");
        }
    }

    /// Since Linux 5.1, each new call has the same number, above 423, on every architecture. mips64
    /// adds 5000.
    #[test]
    fn calls_with_new_numbers_have_a_version() {
        for arch in Architecture::all() {
            let first = if arch.name() == "mips64" { 5424 } else { 424 };
            let new = arch.numbers().filter(|(_, number)| (first..first + 88).contains(number));
            for (name, number) in new {
                let Call { since, is_served, .. } = arch.call(&name);
                assert!(since.is_some() || !is_served, "{name}, {number} on {}", arch.name());
            }
        }
    }

    #[test]
    fn every_call_that_is_served_has_a_number() {
        for arch in Architecture::all() {
            for name in arch.calls() {
                let call = arch.call(&name);
                assert!(call.is_served && call.name == name, "{name} on {}", arch.name());
                assert!(call.number.is_some(), "{name} on {}", arch.name());
            }
        }
    }

    #[test]
    fn calls_are_described_by_the_table() {
        let umount = call("x86_64", "umount2");
        assert_eq!(umount.functions, ["sys_umount"]);
        assert_eq!(call("amd64", "cachestat").since.as_deref(), Some("6.5"));
        let pread = call("x86_64", "pread");
        assert_eq!(pread.name.as_str(), "pread64");
        assert!(pread.spellings.iter().any(|name| name.as_str() == "pread"));
        let uselib = call("x86_64", "uselib");
        assert!(uselib.is_known && !uselib.is_served && uselib.functions.is_empty());
        assert!(!call("x86_64", "frobnicate").is_known);
        let ioctl = call("i386", "ioctl");
        assert_eq!(ioctl.functions, ["sys_ioctl"]);
        assert_eq!(ioctl.functions_in_64_bit_kernels, ["compat_sys_ioctl"]);
    }

    #[test]
    fn four_architectures_have_multiplexers() {
        let has = |arch: Architecture| arch.sub_calls().next().is_some();
        let names: Vec<_> = Architecture::all().filter(|arch| has(*arch)).collect();
        let names: Vec<_> = names.iter().map(Architecture::name).collect();
        assert_eq!(names, ["s390x", "powerpc64", "x86", "powerpc"]);
    }

    #[test]
    fn architectures_have_several_names() {
        assert_eq!(Architecture::all().count(), 10);
        for name in ["ppc64el", "ppc64le", "powerpc64"] {
            assert_eq!(Architecture::named(name).unwrap().name(), "powerpc64");
        }
        assert_eq!(Architecture::named("vax"), None);
        assert_eq!(Architecture::native().map(|it| it.name()), Some(std::env::consts::ARCH));
    }

    #[test]
    fn typos_are_recognised_on_other_architectures() {
        let near = |arch: &str, name| {
            let arch = Architecture::named(arch).unwrap();
            arch.nearest(&SyscallName::new(name).unwrap())
        };
        assert_eq!(near("mips64", "cachflush").first().unwrap().as_str(), "cacheflush");
        assert!(near("x86_64", "frobnicate").is_empty());
    }
}
