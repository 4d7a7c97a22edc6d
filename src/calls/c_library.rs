//! Lists the system calls that a function of the C library makes.
//!
//! A function often makes a call that has a different name: glibc's `open()` makes `openat`.
//! `tools/c_library` generates `c_library.tbl` from the sources of glibc and musl, and documents
//! the table's format.

use core::fmt;

use super::table::{self, Table};
use crate::text::{cut, parts};

const TEXT: &str = include_str!("c_library.tbl");

/// A C library whose calls are known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum CLibrary {
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
}

#[cfg(feature = "std")]
impl CLibrary {
    /// Returns the system calls that a function of the library makes on this architecture, most
    /// likely first. For example, `open` makes `openat`, and `mkdir` makes `mkdir` or, on arm64,
    /// `mkdirat`. `function` is the name of the function's man page (section 2 or 3).
    ///
    /// The result is empty for a function that is not listed. Most unlisted functions make the call
    /// of the same name, or no call.
    ///
    /// ```
    /// use ksyscall::{CLibrary, SyscallName};
    ///
    /// let calls = CLibrary::Glibc.calls(&SyscallName::new("open")?);
    /// assert_eq!(calls, [SyscallName::new("openat")?]);
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    pub fn calls(self, function: &super::SyscallName) -> Vec<super::SyscallName> {
        self.calls_in(table::TABLE, function)
    }

    pub(crate) fn calls_in(
        self,
        table: Table,
        function: &super::SyscallName,
    ) -> Vec<super::SyscallName> {
        let calls = calls(table, self, function.as_bytes());
        calls.filter_map(|call| super::SyscallName::from_bytes(call).ok()).collect()
    }
}

/// Returns the system calls that a function of the library makes on the table's architecture: the
/// calls in the first listed group that is meant for the architecture and has such calls.
pub(crate) fn calls(
    table: Table,
    library: CLibrary,
    function: &[u8],
) -> impl Iterator<Item = &'static [u8]> {
    let is_made = move |call: &&[u8]| table::has_call(table, call);
    let calls = parts(listed(function, library), b' ').find_map(|group| {
        let (calls, limit) = cut(group, b'@');
        let is_meant = match limit {
            b"" => true,
            b"64" => table.is_64_bit(),
            names => parts(names, b',').any(|name| name == table.architecture()),
        };
        (is_meant && parts(calls, b'+').any(|call| is_made(&call))).then_some(calls)
    });
    parts(calls.unwrap_or_default(), b'+').filter(is_made)
}

/// Returns the groups of calls that are listed for a function.
fn listed(function: &[u8], library: CLibrary) -> &'static [u8] {
    let has_function = |line: &&[u8]| parts(cut(line, b':').0, b' ').any(|name| name == function);
    let line = parts(TEXT.as_bytes(), b'\n').find(has_function);
    let (glibc, musl) = cut(line.map_or(b"", |line| cut(line, b':').1), b'|');
    if library == CLibrary::Musl && !musl.is_empty() { musl } else { glibc }
}

/// Part of an error message: the calls that a C library function makes, except the call of the same
/// name. Empty if the function makes no other call or is not listed.
pub(crate) struct Hint<'a>(pub(crate) &'a str);

impl Hint<'_> {
    /// Returns whether the function is listed, even if it makes no call on this architecture.
    pub(crate) fn is_listed(&self) -> bool {
        !listed(self.0.as_bytes(), CLibrary::Glibc).is_empty()
    }
}

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hint(function) = *self;
        for (library, name) in [(CLibrary::Glibc, "glibc"), (CLibrary::Musl, "musl")] {
            let calls = calls(table::TABLE, library, function.as_bytes());
            let others = calls.filter(|call| *call != function.as_bytes());
            for (index, call) in others.enumerate() {
                let call = core::str::from_utf8(call).unwrap_or_default();
                match index {
                    0 => write!(f, "; {name}'s {function}() calls {call}")?,
                    _ => write!(f, ", {call}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::SyscallName;
    use crate::calls::table::tests::TABLES;

    fn calls(arch: &str, library: CLibrary, function: &str) -> String {
        let (_, table) = TABLES.into_iter().find(|(name, _)| *name == arch).unwrap();
        let calls = super::calls(table, library, function.as_bytes());
        let calls: Vec<_> = calls.map(|call| std::str::from_utf8(call).unwrap()).collect();
        calls.join(" ")
    }

    #[test]
    fn functions_make_the_calls_listed_from_the_sources() {
        use CLibrary::{Glibc, Musl};
        for (arch, library, function, expected) in [
            ("x86_64", Glibc, "open", "openat"),
            ("x86_64", Musl, "open", "open"),
            ("aarch64", Musl, "open", "openat"),
            ("x86_64", Glibc, "fork", "clone"),
            ("x86_64", Musl, "fork", "fork"),
            ("x86_64", Glibc, "stat", "newfstatat"),
            ("loongarch64", Glibc, "stat", "statx"),
            ("x86", Glibc, "stat", ""),
            ("x86_64", Glibc, "select", "pselect6"),
            ("x86", Glibc, "select", "pselect6 pselect6_time64"),
            ("x86", Musl, "select", "_newselect pselect6_time64"),
            ("x86_64", Glibc, "sleep", "clock_nanosleep"),
            ("x86_64", Musl, "sleep", "nanosleep"),
            ("x86_64", Glibc, "send", "sendto"),
            ("arm", Glibc, "send", "send"),
            ("x86", Glibc, "send", "sendto socketcall"),
            ("x86_64", Glibc, "wait", "wait4"),
            ("x86_64", Glibc, "mkdir", "mkdir"),
            ("aarch64", Glibc, "mkdir", "mkdirat"),
            ("riscv64", Glibc, "rename", "renameat2"),
            ("powerpc", Glibc, "pthread_create", "clone"),
            ("powerpc64", Glibc, "pthread_create", "clone3 clone"),
            ("x86_64", Glibc, "getrlimit", "prlimit64"),
            ("x86", Glibc, "getrlimit", ""),
            // A function that makes the call of the same name is not listed.
            ("x86_64", Glibc, "openat", ""),
            ("x86_64", Glibc, "ope", ""),
        ] {
            assert_eq!(calls(arch, library, function), expected, "{arch} {library:?} {function}");
        }
    }

    #[test]
    fn the_list_is_well_formed() {
        let mut functions = Vec::new();
        for line in TEXT.lines().skip(1) {
            let (names, calls) = line.split_once(": ").unwrap();
            for function in names.split(' ') {
                assert!(SyscallName::new(function).is_ok(), "{line}");
                assert!(!functions.contains(&function), "{line}");
                functions.push(function);
            }
            for group in calls.split(' ').filter(|group| !["-", "|"].contains(group)) {
                let (calls, limit) = group.split_once('@').unwrap_or((group, ""));
                let is_table = |name: &str| TABLES.iter().any(|(table, _)| *table == name);
                assert!(matches!(limit, "" | "64") || limit.split(',').all(is_table), "{line}");
                for call in calls.split('+') {
                    let is_known =
                        TABLES.iter().any(|(_, table)| table::has_call(*table, call.as_bytes()));
                    assert!(is_known, "{line}");
                }
            }
        }
        assert!(functions.len() > 90, "{} functions", functions.len());
    }

    #[test]
    fn the_docs_agree_with_the_list() {
        let lines = include_str!("../../docs/names.md").lines();
        let lines: Vec<_> =
            lines.filter_map(|line| line.strip_prefix("| ")?.split_once("() | ")).collect();
        assert!(lines.len() > 30, "{} lines", lines.len());
        for (function, cells) in lines {
            let cells = cells.trim_end_matches(" |").split(" | ");
            let columns = [CLibrary::Glibc, CLibrary::Musl]
                .into_iter()
                .flat_map(|library| ["x86_64", "aarch64"].map(|arch| (arch, library)));
            for ((arch, library), cell) in columns.zip(cells) {
                let expected = cell.replace(['`', '?'], "");
                assert_eq!(calls(arch, library, function), expected, "{function} on {arch}");
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn hints_name_only_other_calls() {
        let hint = |function| Hint(function).to_string();
        assert_eq!(hint("open"), "; glibc's open() calls openat");
        assert_eq!(
            hint("sleep"),
            "; glibc's sleep() calls clock_nanosleep; musl's sleep() calls nanosleep"
        );
        assert_eq!(
            hint("pthread_create"),
            "; glibc's pthread_create() calls clone3, clone; musl's pthread_create() calls clone"
        );
        assert_eq!(hint("mkdir") + &hint("openat") + &hint("opnat"), "");
    }
}
