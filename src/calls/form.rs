//! Recognises the names of kernel functions that loaders such as libbpf derive from a call's name.

use super::conventions::{CONVENTIONS, Conventions, PLAIN_STARTS};
use super::name::SyscallName;
use super::table::Row;

/// The name of a kernel function that loaders derive from a call's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The prefix before `sys_` in a kernel with wrappers. Empty for plain names.
    pub(crate) prefix: &'static str,
    pub(crate) call: SyscallName,
}

impl Form {
    /// Recognises the forms that this architecture uses: `__x64_sys_stat`, `__se_sys_stat`,
    /// `SyS_stat` and `sys_stat`.
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

    /// Returns whether this function serves the call in `row` for native processes, in a kernel
    /// with one of the `possible` conventions.
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
