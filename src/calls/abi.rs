//! Selects the callers for which a program is attached to a system call. For 32-bit processes, a
//! 64-bit kernel uses different functions, which are listed in the 32-bit architecture's table.

use super::conventions::X32_CONVENTIONS;
use super::name::SyscallName;
use super::table::{self, COMPAT_TABLE, Column, Row};

/// The callers whose system calls a program sees.
///
/// On a 64-bit kernel, 32-bit processes enter through different kernel functions than 64-bit
/// processes. A 64-bit process on x86_64 also enters through the 32-bit functions if it uses `int
/// $0x80`. All 32-bit callers use the syscall table of the 32-bit architecture: only this table
/// contains `mmap2` and `socketcall`, and its `stat` is a different call from the 64-bit `stat`.
/// For 32-bit callers, a name stands for the call in the 32-bit table.
///
/// Supported 32-bit callers are i386 on x86_64, 32-bit Arm on arm64, and 32-bit POWER (untested).
///
/// On x86_64 with `CONFIG_X86_X32_ABI`, any 64-bit process can make x32 calls by setting
/// `__X32_SYSCALL_BIT` in the call's number. The Debian kernels tested here do not enable x32. Most
/// x32 calls use the functions of 64-bit processes, so [`Callers::Native`] includes them. Most
/// x32 calls numbered 512 or higher have separate functions, which the library treats as functions
/// for 32-bit callers (arch/x86/entry/syscalls/syscall_64.tbl). Before Linux 4.17, these functions
/// also serve i386 callers.
///
/// On i386 and POWER, 32-bit processes make some calls through a multiplexer (socketcall(2) or
/// ipc(2)), which carries out the requested call ([`SubCall`](crate::SubCall)). If callers can make a
/// call (such as `accept`, `send`, `recv` or `semop`) only through a multiplexer, a batch with
/// [`Callers::All`] also attaches the program to that multiplexer. The program then runs for every
/// call through the multiplexer and must check which call was made, as `KSYSCALL_SUBCALL_PROG` in
/// ksyscall.bpf.h does. On i386, the C library also makes other calls, such as `connect`, through
/// the multiplexers. To see these calls, add `socketcall` and `ipc` to the names.
///
/// Before Linux 4.17, some syscall functions call others: `sys_lchown16`, which serves the 32-bit
/// `lchown`, calls `sys_lchown`. When a process makes the 32-bit `lchown` call, the program runs
/// twice with [`Callers::All`] and once with [`Callers::Native`] (docs/callers.md).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Callers {
    /// Callers that have the same architecture as this process.
    #[default]
    Native,
    /// 32-bit callers. If the same function serves 32-bit and native callers, the program also runs
    /// for native callers. On x86_64, this applies to every call without arguments, such as
    /// `getpid`. In the program, `KSYSCALL_IS_COMPAT` from ksyscall.bpf.h distinguishes 32-bit from
    /// native callers.
    Compat,
    /// Native and 32-bit callers.
    All,
}

/// A way to enter the kernel for a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Abi {
    Native,
    Compat,
    /// The x32 ABI, for calls that have a separate function for x32.
    X32,
}

impl Abi {
    /// All ABIs. Each call can be made through at least one of these ABIs.
    pub(crate) const ALL: [Abi; 3] = [Abi::Native, Abi::Compat, Abi::X32];
}

impl Callers {
    /// Returns the ABIs through which these callers can make the call. Each ABI may use a separate
    /// function.
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

/// Returns the row of the call `name` if a separate function serves the call for x32 processes. A
/// name stands for the same call as in 64-bit processes, with one exception. If the name is an
/// alias in the 64-bit table but the name of a call on i386, the name stands for the i386 call,
/// which does not exist on x32.
pub(crate) fn x32_row(name: &SyscallName) -> Option<Row<'_>> {
    if X32_CONVENTIONS.is_empty() {
        return None;
    }
    let row = table::row(name);
    let compat = table::row_in(COMPAT_TABLE, name.as_str());
    let is_i386_call = compat.is_known && compat.name == name.as_str() && row.name != compat.name;
    (row.is_in(Column::X32) && !is_i386_call).then_some(row)
}

/// Returns the row of the call `name` for native callers. Use this function only if the call is
/// also requested for other callers. Returns None for a name that only the 32-bit table contains. A
/// name that no table contains may be a new call.
pub(crate) fn native_row(name: &SyscallName) -> Option<Row<'_>> {
    let row = table::row(name);
    let is_foreign = !row.is_known && table::row_in(COMPAT_TABLE, name.as_str()).is_known;
    (!is_foreign).then_some(row)
}

/// Returns the row of the call `name` for 32-bit callers, if they have the call.
pub(crate) fn compat_row(name: &SyscallName) -> Option<Row<'_>> {
    let row = table::row_in(COMPAT_TABLE, name.as_str());
    let is_foreign = !row.is_known && table::row(name).is_known;
    (!is_foreign && row.is_in(Column::Compat)).then_some(row)
}

/// Returns every call that these callers have in any kernel version, in alphabetical order. Pairs
/// each call with the callers that have the call.
#[cfg(feature = "std")]
pub(crate) fn calls(callers: Callers) -> alloc::vec::Vec<(SyscallName, Callers)> {
    let mut calls = alloc::vec::Vec::new();
    if callers != Callers::Compat {
        let native = table::calls(table::TABLE, Column::Native);
        calls.extend(native.map(|name| (name, Callers::Native)));
    }
    if callers != Callers::Native {
        let compat = table::calls(COMPAT_TABLE, Column::Compat);
        calls.extend(compat.map(|name| (name, Callers::Compat)));
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

    /// Returns the functions that serve a call for 32-bit callers.
    fn compat(call: &str) -> Option<Vec<String>> {
        let call = name(call);
        let row = compat_row(&call)?;
        Some(row.function_names(Column::Compat).collect())
    }

    /// Source: the last columns of arch/x86/entry/syscalls/syscall_32.tbl in Linux 6.12.
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
    fn calls_of_one_table_are_missing_for_the_other_callers() {
        // A 64-bit kernel does not have vm86.
        assert!(compat("vm86").is_none());
        // A name that neither table contains may be a new call.
        assert_eq!(compat("brand_new").unwrap(), ["sys_brand_new"]);
        assert!(native_row(&name("brand_new")).is_some());
        // Only 32-bit callers have these calls.
        assert!(native_row(&name("readdir")).is_none());
        assert!(compat("readdir").is_some());
        assert!(!native_row(&name("socketcall")).unwrap().is_served());
    }

    #[test]
    fn all_calls_are_those_of_both_tables_without_duplicates() {
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
        // For 64-bit callers, these names are aliases of other calls.
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
        // For 64-bit processes, `sigaction` is an alias of rt_sigaction. For 32-bit processes,
        // `sigaction` is a different call.
        assert_eq!(abis("sigaction"), [1, 1, 2]);
        assert_eq!(abis("rt_sigaction"), [1, 2, 3]);
    }
}
