//! Tells whose calls are meant: a 64-bit kernel serves its 32-bit processes by other functions than
//! its own, which the 32-bit architecture's table lists.

use super::conventions::X32_CONVENTIONS;
use super::name::SyscallName;
use super::table::{self, COMPAT_TABLE, Column, Row};

/// Whose calls a program is to see.
///
/// On a 64-bit kernel 32-bit processes enter by other kernel functions than 64-bit ones, and
/// so does a 64-bit process by `int $0x80` on x86_64. Their table of calls is that of the
/// 32-bit architecture: `mmap2` and `socketcall` are calls there only, and `stat` is
/// another one than in 64 bits. A name is taken as such a process means it.
///
/// Known are i386 on x86_64, 32-bit Arm on arm64, and 32-bit POWER, which is not tested.
/// x32 on x86_64 (`CONFIG_X86_X32_ABI`, which no kernel of Debian's has that is tested here) is
/// entered by any 64-bit process that puts `__X32_SYSCALL_BIT` into a call's number. It shares
/// most functions with 64-bit processes, so that [`Callers::Native`] sees it; most calls from 512
/// on have functions of their own (arch/x86/entry/syscalls/syscall_64.tbl; since Linux 4.17 they
/// are not those of i386's), which count as those of 32-bit callers.
///
/// 32-bit processes of i386 and POWER make some calls through socketcall(2) and ipc(2), whose functions
/// carry them out ([`SubCall`](crate::SubCall)). With [`Callers::All`] a batch attaches the program to
/// these for a name that callers can make in no other way (`accept`, `send`, `recv`, `semop`), too: it
/// then runs for every call through them and has to look which one it is, as
/// `KSYSCALL_SUBCALL_PROG` of ksyscall.bpf.h does. The C library of i386 makes other calls through
/// them as well, such as `connect`: to see these, add `socketcall` and `ipc` to the names.
///
/// Before Linux 4.17 the functions of system calls call each other: `sys_lchown16`, which serves a
/// 32-bit `lchown`, calls `sys_lchown`. There [`Callers::All`] makes the program run twice for such
/// a call, and [`Callers::Native`] once (docs/compatibility.md).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Callers {
    /// Those of this process's architecture.
    #[default]
    Native,
    /// 32-bit ones. Where one function serves both, as it does every call without arguments
    /// on x86_64 (`getpid`), the program runs for native ones, too: `KSYSCALL_IS_COMPAT` of
    /// ksyscall.bpf.h tells in the program who calls.
    Compat,
    /// Both.
    All,
}

/// A way for calls to enter the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Abi {
    Native,
    Compat,
    /// x32 processes, where they have a function of their own.
    X32,
}

impl Abi {
    /// All, of which a call has one at least.
    pub(crate) const ALL: [Abi; 3] = [Abi::Native, Abi::Compat, Abi::X32];
}

impl Callers {
    /// From where these callers can make the call, each by a function of its own.
    pub(crate) fn abis(self, name: &SyscallName) -> &'static [Abi] {
        let has_x32 = || x32_row(name).is_some();
        match self {
            Callers::Native => &[Abi::Native],
            Callers::Compat if has_x32() => &[Abi::Compat, Abi::X32],
            Callers::Compat => &[Abi::Compat],
            Callers::All if has_x32() => &Abi::ALL,
            Callers::All => &[Abi::Native, Abi::Compat],
        }
    }
}

/// The row of the call `name` if x32 processes have a function for it that serves them alone.
/// They mean the same call by a name as 64-bit processes do. But a name that is a spelling
/// in the 64-bit table and a call of i386 stands for the latter, which x32 does not have.
pub(crate) fn x32_row(name: &SyscallName) -> Option<Row<'_>> {
    if X32_CONVENTIONS.is_empty() {
        return None;
    }
    let row = table::row(name);
    let compat = table::row_in(COMPAT_TABLE, name.as_str());
    let is_i386_call = compat.is_known && compat.name == name.as_str() && row.name != compat.name;
    (row.is_in(Column::X32) && !is_i386_call).then_some(row)
}

/// The row of the call `name`, as native callers mean it when others are meant, too. None for a
/// name that only the other table knows; one that no table knows may be a new call's.
pub(crate) fn native_row(name: &SyscallName) -> Option<Row<'_>> {
    let row = table::row(name);
    let is_foreign = !row.is_known && table::row_in(COMPAT_TABLE, name.as_str()).is_known;
    (!is_foreign).then_some(row)
}

/// The row of the call `name`, as 32-bit callers mean it, if they have it.
pub(crate) fn compat_row(name: &SyscallName) -> Option<Row<'_>> {
    let row = table::row_in(COMPAT_TABLE, name.as_str());
    let is_foreign = !row.is_known && table::row(name).is_known;
    (!is_foreign && row.is_in(Column::Compat)).then_some(row)
}

/// Every call that these callers have in any version of the kernel, in alphabetical order,
/// with those of them that have it.
#[cfg(feature = "std")]
pub(crate) fn calls(callers: Callers) -> alloc::vec::Vec<(SyscallName, Callers)> {
    let mut calls = alloc::vec::Vec::new();
    if callers != Callers::Compat {
        calls.extend(table::calls().map(|name| (name, Callers::Native)));
    }
    if callers != Callers::Native {
        let rows = table::rows(COMPAT_TABLE).filter(|row| row.is_in(Column::Compat));
        let names = rows.filter_map(|row| SyscallName::new(row.name).ok());
        calls.extend(names.map(|name| (name, Callers::Compat)));
    }
    calls.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    calls.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            earlier.1 = Callers::All;
        }
        is_same
    });
    calls
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn name(name: &str) -> SyscallName {
        SyscallName::new(name).unwrap()
    }

    /// The functions of 32-bit callers.
    fn compat(call: &str) -> Option<Vec<String>> {
        let call = name(call);
        let row = compat_row(&call)?;
        Some(row.function_names(Column::Compat).collect())
    }

    /// arch/x86/entry/syscalls/syscall_32.tbl of Linux 6.12: its last columns.
    #[test]
    fn names_are_those_of_the_32_bit_table() {
        for (call, function) in [
            ("stat", "compat_sys_newstat"),
            ("oldstat", "sys_stat"),
            ("stat64", "compat_sys_ia32_stat64"),
            ("mmap", "compat_sys_ia32_mmap"),
            ("mmap2", "sys_mmap_pgoff"),
            ("select", "compat_sys_old_select"),
            ("_newselect", "compat_sys_select"),
            ("socketcall", "compat_sys_socketcall"),
            ("_llseek", "sys_llseek"),
            ("getuid", "sys_getuid16"),
            ("getuid32", "sys_getuid"),
            ("execve", "compat_sys_execve"),
            ("openat", "compat_sys_openat"),
            ("read", "sys_read"),
        ] {
            assert!(compat(call).unwrap().contains(&function.to_owned()), "{call}");
        }
    }

    #[test]
    fn what_one_table_alone_has_is_no_call_of_the_others_callers() {
        // A 64-bit kernel does not have it.
        assert!(compat("vm86").is_none());
        // It is new in both.
        assert_eq!(compat("brand_new").unwrap(), ["sys_brand_new"]);
        assert!(native_row(&name("brand_new")).is_some());
        // Of 32 bits alone, and not of the 64-bit table.
        assert!(native_row(&name("readdir")).is_none());
        assert!(compat("readdir").is_some());
        assert!(!native_row(&name("socketcall")).unwrap().is_served());
    }

    #[test]
    fn all_calls_are_those_of_both_tables_and_each_once() {
        let all = calls(Callers::All);
        let of = |callers| all.iter().filter(move |call| call.1 == callers).map(|call| call.0);
        let names = |calls: Vec<(SyscallName, Callers)>| calls.into_iter().map(|call| call.0);
        let mut native: Vec<_> = of(Callers::Native).chain(of(Callers::All)).collect();
        let mut compat: Vec<_> = of(Callers::Compat).chain(of(Callers::All)).collect();
        native.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        compat.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        assert!(names(calls(Callers::Native)).eq(native));
        assert!(names(calls(Callers::Compat)).eq(compat));
        let has = |call: &str, callers| all.contains(&(name(call), callers));
        assert!(has("openat", Callers::All) && has("socketcall", Callers::Compat));
        // As other spellings 64-bit callers have these, too; but that is another call.
        assert!(has("_llseek", Callers::Compat) && has("umount", Callers::Compat));
        assert!(!all.iter().any(|call| call.0 == name("vm86")));
    }

    #[test]
    fn calls_have_an_abi_for_each_function() {
        let abis = |call: &str| {
            let of = |callers: Callers| callers.abis(&name(call)).len();
            [Callers::Native, Callers::Compat, Callers::All].map(of)
        };
        assert_eq!(abis("ioctl"), [1, 2, 3]);
        assert_eq!(abis("openat"), [1, 1, 2]);
        // For 64-bit processes that is rt_sigaction, and for 32-bit ones another call.
        assert_eq!(abis("sigaction"), [1, 1, 2]);
        assert_eq!(abis("rt_sigaction"), [1, 2, 3]);
    }
}
