//! Builds the names of the kernel symbols that may serve a call.
//!
//! A kernel names the functions in its syscall table according to one of a few conventions. This
//! file defines the conventions of each architecture and builds the symbols. `attach/search.rs`
//! detects which convention the running kernel uses.

use core::ffi::CStr;
use core::fmt;

use super::name::MAX_NAME_LEN;
use super::table::{Column, Row};
#[allow(unused_imports, reason = "architectures without wrappers")]
use super::version::{ALWAYS, NEVER, Version};

/// How a kernel names the functions in its syscall table.
pub(crate) struct Convention {
    /// The prefix that the kernel adds to the function's name in the table.
    pub(super) prefix: &'static str,
    pub(super) column: Column,
    /// The first kernel version with a separate stub for each call that the kernel was built
    /// without. In earlier versions, a probe on a stub also fires for other calls: see `stubs.rs`.
    separate_stubs: Version,
}

/// Returns the convention of kernels whose syscall functions take the caller's registers
/// (`CONFIG_ARCH_HAS_SYSCALL_WRAPPER`, include/linux/syscalls.h). In a kernel with wrappers, all
/// syscall functions have the prefix, so no other symbol may be used: a program that was built for
/// one convention reads garbage from a function that uses another.
#[allow(dead_code, reason = "architectures without wrappers")]
const fn wrapped(prefix: &'static str, separate_stubs: Version) -> Convention {
    Convention { prefix, column: Column::Native, separate_stubs }
}

/// Functions with plain names. For a call with arguments, a second symbol has the same address:
/// `__se_sys_openat` since 4.17, `SyS_openat` before. The plain name, such as `sys_openat`, exists
/// in every version and for every call.
const PLAIN: Convention = Convention { prefix: "", column: Column::Native, separate_stubs: NEVER };

/// Functions that serve 32-bit processes on 64-bit x86 kernels (since 4.17).
#[allow(dead_code, reason = "other architectures")]
const WRAPPED_IA32: Convention =
    Convention { prefix: "__ia32_", column: Column::Compat, separate_stubs: (5, 7) };

/// Functions that serve 32-bit processes on arm64 kernels (since 4.19).
#[allow(dead_code, reason = "other architectures")]
const WRAPPED_ARM: Convention =
    Convention { prefix: "__arm64_", column: Column::Compat, separate_stubs: (5, 4) };

/// Functions that serve 32-bit processes and have no prefix: on x86 before 4.17, on arm64 before
/// 4.19, and on POWER.
#[allow(dead_code, reason = "other architectures")]
const PLAIN_COMPAT: Convention =
    Convention { prefix: "", column: Column::Compat, separate_stubs: NEVER };

/// The conventions that this architecture's kernels may use to name the functions that serve 32-bit
/// processes. A kernel that has none of the conventions' anchors does not run 32-bit processes.
pub(crate) const COMPAT_CONVENTIONS: &[Convention] = &[
    #[cfg(target_arch = "x86_64")]
    WRAPPED_IA32,
    #[cfg(target_arch = "aarch64")]
    WRAPPED_ARM,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64"))]
    PLAIN_COMPAT,
];

/// The conventions that x86-64 kernels use to name the functions that serve only x32 processes.
/// Linux 5.7 and later use the first convention; Linux 4.17 to 5.6 use the second. Before 4.17, x32
/// processes use the i386 functions.
pub(crate) const X32_CONVENTIONS: &[Convention] = &[
    #[cfg(target_arch = "x86_64")]
    Convention { prefix: "__x64_", column: Column::X32, separate_stubs: ALWAYS },
    #[cfg(target_arch = "x86_64")]
    Convention { prefix: "__x32_", column: Column::X32, separate_stubs: NEVER },
];

/// The conventions of this architecture, in the order in which they are tried.
///
/// Sources: include/asm/syscall_wrapper.h in arch/x86 (64-bit since 4.17, 32-bit since 5.7),
/// arch/arm64 (4.19), arch/s390 (the prefix `__s390x_` in 5.4, not in 5.0), arch/riscv (6.6) and
/// arch/powerpc (in 6.1, wrappers without a prefix). `COND_SYSCALL` in these files shows whether
/// stubs are separate.
pub(crate) const CONVENTIONS: &[Convention] = &[
    #[cfg(target_arch = "x86_64")]
    wrapped("__x64_", (5, 4)),
    #[cfg(target_arch = "aarch64")]
    wrapped("__arm64_", (5, 4)),
    #[cfg(target_arch = "riscv64")]
    wrapped("__riscv_", ALWAYS),
    #[cfg(target_arch = "s390x")]
    wrapped("__s390x_", NEVER),
    // A 64-bit kernel also has `__ia32_sys_openat`, but may serve 32-bit processes with another
    // function, so the names of 64-bit kernels come first.
    #[cfg(target_arch = "x86")]
    WRAPPED_IA32,
    #[cfg(target_arch = "x86")]
    wrapped("__ia32_", ALWAYS),
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc"))]
    PLAIN_COMPAT,
    PLAIN,
    // The names of arm64 kernels with wrappers come last. These kernels have no plain names, so
    // trying the plain names first cannot find a wrong function.
    #[cfg(target_arch = "arm")]
    WRAPPED_ARM,
];

/// The prefixes of plain names, for a call that no table contains. Linux 4.17 and later use the
/// first prefix; earlier versions use the second. These two prefixes occur only in the names of
/// syscall functions. The names of other functions can also begin with the third prefix, `sys_`:
/// `sys_fillrect` draws a rectangle.
pub(super) const PLAIN_STARTS: [&[u8]; 3] = [b"__se_sys_", b"SyS_", b"sys_"];

/// Why an existing symbol might not serve the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    None,
    /// The symbol may be a stub whose probe also fires for other calls: see `stubs.rs`.
    MayBeStub,
    /// The symbol may be a function that serves no system call.
    MayBeNoCall,
}

/// A set of conventions. Bit `i` represents the convention at index `i` in [`CONVENTIONS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Conventions(pub(crate) u8);

impl Conventions {
    pub(crate) const ALL: Self = Self((1 << CONVENTIONS.len()) - 1);

    pub(crate) fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    pub(crate) fn without(self, index: usize) -> Self {
        Self(self.0 & !(1 << index))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Restricts the set to the conventions for which `fits` returns true.
    pub(crate) fn only(self, mut fits: impl FnMut(&Convention) -> bool) -> Self {
        let mut set = self;
        for (index, convention) in CONVENTIONS.iter().enumerate() {
            if self.contains(index) && !fits(convention) {
                set = set.without(index);
            }
        }
        set
    }

    /// Restricts the set to the conventions under which `symbol` may serve the call in `row`.
    pub(crate) fn that_have(self, symbol: &Symbol, row: &Row) -> Self {
        self.only(|convention| convention.symbols(row).any(|other| other == *symbol))
    }
}

impl Convention {
    /// Returns the convention's anchor: a symbol that exists in every kernel with this convention,
    /// and in no kernel whose convention comes later in the same array. If the anchor exists but
    /// none of a call's symbols does, the kernel does not have the call.
    pub(crate) fn anchor(&self) -> Symbol {
        let is_native = self.column == Column::Native;
        let function: &[u8] = if is_native { b"sys_getpid" } else { b"compat_sys_ioctl" };
        Symbol::new(self.prefix.as_bytes(), function, b"")
    }

    /// Returns the symbols that may serve the call in `row` in a kernel with this convention, most
    /// likely first.
    pub(crate) fn symbols(&self, row: &Row) -> impl Iterator<Item = Symbol> {
        (0..).map_while(|rank| self.symbol(row, rank))
    }

    /// Returns the symbol at `rank`. The symbol at rank 0 is the most likely.
    pub(crate) fn symbol(&self, row: &Row, rank: usize) -> Option<Symbol> {
        if self.prefix.is_empty() && !row.is_known {
            let start = *PLAIN_STARTS.get(rank)?;
            return Some(Symbol::new(start, row.name.as_bytes(), b""));
        }
        let (sys, rest) = row.function(self.column, rank)?;
        // On x86 before 5.4, the `sys32_` functions have no wrapper (arch/x86/ia32/ia32_signal.c).
        let prefix = if rest.starts_with("sys32_") { "" } else { self.prefix };
        Some(Symbol::new(prefix.as_bytes(), sys.as_bytes(), rest.as_bytes()))
    }

    /// Returns why `symbol` might not serve the call in `row`, even if the kernel has the symbol.
    pub(crate) fn doubt(&self, symbol: &Symbol, row: &Row) -> Doubt {
        if self.prefix.is_empty() && !row.is_known {
            let is_any_function = symbol.as_bytes().starts_with(PLAIN_STARTS[2]);
            return if is_any_function { Doubt::MayBeNoCall } else { Doubt::None };
        }
        let may_be_shared = row.is_optional && row.version() < self.separate_stubs;
        if may_be_shared { Doubt::MayBeStub } else { Doubt::None }
    }
}

/// Maximum length of a function name in a table.
pub(crate) const MAX_FUNCTION_LEN: usize = "sys_".len() + MAX_NAME_LEN;
const MAX_SYMBOL_LEN: usize = "__s390x_".len() + MAX_FUNCTION_LEN;

/// The name of a kernel function, as in /proc/kallsyms.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// These bytes end with at least one NUL because the kernel reads them as a C string.
    bytes: [u8; MAX_SYMBOL_LEN + 1],
    len: u8,
}

impl Symbol {
    /// Maximum length, in bytes.
    #[cfg(feature = "capi")]
    pub(crate) const MAX_LEN: usize = MAX_SYMBOL_LEN;

    /// The empty symbol, which names no function.
    pub(crate) const EMPTY: Self = Self { bytes: [0; MAX_SYMBOL_LEN + 1], len: 0 };

    pub(crate) fn new(prefix: &[u8], sys: &[u8], rest: &[u8]) -> Self {
        let mut symbol = Self::EMPTY;
        for part in [prefix, sys, rest] {
            let room = symbol.bytes[..MAX_SYMBOL_LEN].get_mut(usize::from(symbol.len)..);
            if let Some(place) = room.and_then(|room| room.get_mut(..part.len())) {
                place.copy_from_slice(part);
                symbol.len += part.len() as u8;
            }
        }
        symbol
    }

    /// Returns the symbol as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is stored, so the fallback is never used.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns the symbol as a C string.
    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
