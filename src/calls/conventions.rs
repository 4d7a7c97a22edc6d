//! Makes the kernel symbols that may serve a call.
//!
//! A kernel names the functions of its syscall table by one convention out of a few. This file
//! contains those of each architecture, as data, and spells out the symbols; `attach/search.rs`
//! finds out which convention the running kernel has.

use core::ffi::CStr;
use core::fmt;

use super::name::MAX_NAME_LEN;
#[cfg(feature = "capi")]
use super::name::SyscallName;
use super::table::{Column, Row};
#[allow(unused_imports, reason = "architectures without wrappers")]
use super::version::{ALWAYS, NEVER, Version};

/// How a kernel names the functions of its syscall table.
pub(crate) struct Convention {
    /// What stands before the function's name as the table has it.
    prefix: &'static str,
    column: Column,
    /// Since which version each call that the kernel was built without has a separate stub.
    /// Before it, a probe on a stub fires for other calls: see `stubs.rs`.
    separate_stubs: Version,
}

/// Functions that take the caller's registers (`CONFIG_ARCH_HAS_SYSCALL_WRAPPER`,
/// include/linux/syscalls.h). The kernel has them under their prefix only, so on
/// such a kernel nothing else may be taken: a program built for the one
/// convention reads garbage from the other.
#[allow(dead_code, reason = "architectures without wrappers")]
const fn wrapped(prefix: &'static str, separate_stubs: Version) -> Convention {
    Convention { prefix, column: Column::Native, separate_stubs }
}

/// Functions under their plain names. Where a call takes arguments
/// `__se_sys_openat` (4.17) or `SyS_openat` (before) is the same address;
/// `sys_openat` is there in every version and for every call.
const PLAIN: Convention = Convention { prefix: "", column: Column::Native, separate_stubs: NEVER };

/// Those of a 64-bit x86 kernel that serve its 32-bit processes (4.17).
#[allow(dead_code, reason = "other architectures")]
const WRAPPED_IA32: Convention =
    Convention { prefix: "__ia32_", column: Column::Compat, separate_stubs: (5, 7) };

/// The same of arm64 (4.19).
#[allow(dead_code, reason = "other architectures")]
const WRAPPED_ARM: Convention =
    Convention { prefix: "__arm64_", column: Column::Compat, separate_stubs: (5, 4) };

/// The same of 64-bit kernels without a prefix: x86 before 4.17, arm64 before 4.19, POWER.
#[allow(dead_code, reason = "other architectures")]
const PLAIN_COMPAT: Convention =
    Convention { prefix: "", column: Column::Compat, separate_stubs: NEVER };

/// By which this architecture's kernel may name the functions that serve its 32-bit
/// processes. It has the anchor of one, or no such processes.
pub(crate) const COMPAT_CONVENTIONS: &[Convention] = &[
    #[cfg(target_arch = "x86_64")]
    WRAPPED_IA32,
    #[cfg(target_arch = "aarch64")]
    WRAPPED_ARM,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64"))]
    PLAIN_COMPAT,
];

/// By which an x86-64 kernel names the functions that serve x32 processes alone: since 5.7,
/// and from 4.17 on. Before that they are those of i386's.
pub(crate) const X32_CONVENTIONS: &[Convention] = &[
    #[cfg(target_arch = "x86_64")]
    Convention { prefix: "__x64_", column: Column::X32, separate_stubs: ALWAYS },
    #[cfg(target_arch = "x86_64")]
    Convention { prefix: "__x32_", column: Column::X32, separate_stubs: NEVER },
];

/// The conventions of this architecture, in the order to try them.
///
/// Sources: include/asm/syscall_wrapper.h of arch/x86 (64-bit since 4.17, 32-bit
/// since 5.7), arch/arm64 (4.19), arch/s390 (the prefix `__s390x_` in 5.4, not in
/// 5.0), arch/riscv (6.6) and arch/powerpc (in 6.1, wrappers without a prefix). Their
/// `COND_SYSCALL` says whether a stub is separate.
pub(crate) const CONVENTIONS: &[Convention] = &[
    #[cfg(target_arch = "x86_64")]
    wrapped("__x64_", (5, 4)),
    #[cfg(target_arch = "aarch64")]
    wrapped("__arm64_", (5, 4)),
    #[cfg(target_arch = "riscv64")]
    wrapped("__riscv_", ALWAYS),
    #[cfg(target_arch = "s390x")]
    wrapped("__s390x_", NEVER),
    // A 64-bit kernel has `__ia32_sys_openat` too and may serve 32-bit processes
    // by another function, so its own names come first.
    #[cfg(target_arch = "x86")]
    WRAPPED_IA32,
    #[cfg(target_arch = "x86")]
    wrapped("__ia32_", ALWAYS),
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc"))]
    PLAIN_COMPAT,
    PLAIN,
    // Behind the plain names, for no arm64 kernel has both.
    #[cfg(target_arch = "arm")]
    WRAPPED_ARM,
];

/// What plain names begin with, for a name that no table knows. Only a call's function
/// has one of the first two, which is the same one (kernels from 4.17 on, and before).
/// The last is any function's: `sys_fillrect` draws a rectangle.
const PLAIN_STARTS: [&[u8]; 3] = [b"__se_sys_", b"SyS_", b"sys_"];

/// A kernel function's name as loaders make it of a call's.
#[cfg(feature = "capi")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// What stands before `sys_` in a kernel with wrappers; empty for plain names.
    pub(crate) prefix: &'static str,
    pub(crate) call: SyscallName,
}

#[cfg(feature = "capi")]
impl Form {
    /// Recognises the forms of this architecture: `__x64_sys_stat`, `__se_sys_stat`, `SyS_stat`,
    /// `sys_stat`.
    pub(crate) fn of(symbol: &[u8]) -> Option<Self> {
        let wrapped = CONVENTIONS.iter().filter(|it| !it.prefix.is_empty()).find_map(|it| {
            let function = symbol.strip_prefix(it.prefix.as_bytes())?;
            Some((it.prefix, function.strip_prefix(PLAIN_STARTS[2])?))
        });
        let plain =
            || PLAIN_STARTS.iter().find_map(|start| Some(("", symbol.strip_prefix(*start)?)));
        let (prefix, name) = wrapped.or_else(plain)?;
        let call = SyscallName::from_bytes(name).ok()?;
        (call.as_bytes() == name).then_some(Self { prefix, call })
    }

    /// Whether the call of the row leads native processes to this function, in a kernel that has one of
    /// these conventions.
    pub(crate) fn serves(&self, row: &Row, possible: Conventions) -> bool {
        CONVENTIONS.iter().enumerate().any(|(index, convention)| {
            let has_form = self.prefix.is_empty() || self.prefix == convention.prefix;
            let is_possible = has_form && possible.contains(index) && row.is_in(convention.column);
            let mut functions = (0..).map_while(|rank| row.function(convention.column, rank));
            is_possible
                && functions.any(|(sys, rest)| {
                    let name = if sys.is_empty() { rest.strip_prefix("sys_") } else { Some(rest) };
                    name == Some(self.call.as_str())
                })
        })
    }
}

/// Why a symbol that the kernel has may not be the one that serves the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    None,
    /// It may be a stub whose probe fires for other calls: see `stubs.rs`.
    MayBeStub,
    /// It may be a function that is no system call's.
    MayBeNoCall,
}

/// A set of conventions, one bit each, in the order of [`CONVENTIONS`].
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

    /// Those of the set for which `fits` holds.
    pub(crate) fn only(self, mut fits: impl FnMut(&Convention) -> bool) -> Self {
        let mut set = self;
        for (index, convention) in CONVENTIONS.iter().enumerate() {
            if self.contains(index) && !fits(convention) {
                set = set.without(index);
            }
        }
        set
    }

    /// Those of the set in which `symbol` may serve the call of the row.
    pub(crate) fn that_have(self, symbol: &Symbol, row: &Row) -> Self {
        self.only(|convention| convention.symbols(row).any(|other| other == *symbol))
    }
}

impl Convention {
    /// A symbol that every kernel of this convention has, and no kernel of those further down the
    /// list. Where it exists, a missing symbol is missing for good.
    pub(crate) fn anchor(&self) -> Symbol {
        let is_native = self.column == Column::Native;
        let function: &[u8] = if is_native { b"sys_getpid" } else { b"compat_sys_ioctl" };
        Symbol::new(self.prefix.as_bytes(), function, b"")
    }

    /// The symbols that may serve the call of the row in a kernel of this
    /// convention, most likely first.
    pub(crate) fn symbols(&self, row: &Row) -> impl Iterator<Item = Symbol> {
        (0..).map_while(|rank| self.symbol(row, rank))
    }

    /// The symbol of that rank: 0 is the most likely.
    pub(crate) fn symbol(&self, row: &Row, rank: usize) -> Option<Symbol> {
        if self.prefix.is_empty() && !row.is_known {
            let start = *PLAIN_STARTS.get(rank)?;
            return Some(Symbol::new(start, row.name.as_bytes(), b""));
        }
        let (sys, rest) = row.function(self.column, rank)?;
        // x86's of before 5.4 have no wrapper (arch/x86/ia32/ia32_signal.c).
        let prefix = if rest.starts_with("sys32_") { "" } else { self.prefix };
        Some(Symbol::new(prefix.as_bytes(), sys.as_bytes(), rest.as_bytes()))
    }

    /// What is not sure of a symbol of the row though the kernel has it.
    pub(crate) fn doubt(&self, symbol: &Symbol, row: &Row) -> Doubt {
        if self.prefix.is_empty() && !row.is_known {
            let is_any_function = symbol.as_bytes().starts_with(PLAIN_STARTS[2]);
            return if is_any_function { Doubt::MayBeNoCall } else { Doubt::None };
        }
        let may_be_shared = row.is_optional && row.version() < self.separate_stubs;
        if may_be_shared { Doubt::MayBeStub } else { Doubt::None }
    }
}

/// Longest function name that a table may have.
pub(crate) const MAX_FUNCTION_LEN: usize = "sys_".len() + MAX_NAME_LEN;
const MAX_SYMBOL_LEN: usize = "__s390x_".len() + MAX_FUNCTION_LEN;

/// The name of a kernel function, as /proc/kallsyms has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// Ends in at least one NUL, for the kernel reads it as a C string.
    bytes: [u8; MAX_SYMBOL_LEN + 1],
    len: u8,
}

impl Symbol {
    /// The most bytes that one can have.
    #[cfg(feature = "capi")]
    pub(crate) const MAX_LEN: usize = MAX_SYMBOL_LEN;

    /// That of no function.
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

    /// The symbol as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored, so the fallback is not reached.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The symbol as a C string.
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
