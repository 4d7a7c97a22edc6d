//! The system calls of the architecture this was compiled for: which names
//! there are and which kernel functions serve them.
//!
//! The tables are data, `tables/ARCH.tbl`, made by `tools/syscall_tables` from
//! the kernel's own syscall tables. A line is a call's name, then the functions
//! to try, the first that the kernel has being the one that serves the call:
//!
//! ```text
//! accept                          sys_accept serves it
//! stat sys_newstat                another function does
//! ioctl | compat_sys_ioctl        a 64-bit kernel serves it to 32-bit processes by this;
//!                                 in the table of x86_64, to x32 processes
//! uselib -                        a function of the name may exist, but no call reaches it
//! pread =pread64                  another spelling
//! mbind?                          the kernel may be built without it
//! cachestat?@6.5                  it exists since that version
//! semget? sys_semget@5.1          sys_semget serves it since that version
//! X | sys_X@<5.4 compat_sys_X     sys_X served it before that version
//! ```
//!
//! A function has a version only where an older or newer kernel has the function as well and the
//! call does not lead to it. Everything else is decided by what the running kernel has, since
//! vendors backport.
//!
//! The calls that a kernel was built without may all be names of one function
//! (kernel/sys_ni.c): see `kernel/stubs.rs`.

use super::name::SyscallName;
use super::packed;
use super::version::{LATEST, Version, serving};
use crate::text::{Text, cut, parts};

/// The table of this architecture, packed by `encode.rs`.
pub(super) const TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/table"));

/// Which kernel's functions are asked for: those that serve the processes of
/// this architecture on their own kernel, or those by which a 64-bit kernel
/// serves its 32-bit processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    Native,
    // Constructed on 32-bit architectures only.
    #[cfg_attr(target_pointer_width = "64", allow(dead_code))]
    Compat,
}

/// Longest line of a table, and one.
const LINE: usize = 160;

/// A call and the functions that may serve it: a line of a table.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    line: Text<LINE>,
    /// Whether a table has the call, as opposed to a function that was asked for by
    /// its own name.
    pub(crate) is_known: bool,
    /// That of the kernel whose functions are asked for. Without one those of every kernel are.
    version: Option<Version>,
}

impl Row {
    /// Becomes that of the call `name`, if the table has it.
    fn become_that_of(&mut self, table: &[u8], name: &[u8]) -> bool {
        let mut is_there = false;
        for_each_row_from(table, name, &mut |row| {
            is_there = row.name() == name;
            if is_there {
                *self = *row;
            }
            is_there
        });
        is_there
    }

    /// The same row, with the functions that serve the call in a kernel of that version alone.
    /// The version is asked for only if something depends on it.
    pub(crate) fn in_version(mut self, version: impl FnOnce() -> Version) -> Self {
        let has_limits = self.cut().1.contains(&b'@');
        if self.may_be_absent() || has_limits || !self.is_served() {
            self.version = Some(version());
        }
        self
    }

    /// The version of the kernel, the latest if nothing depends on it.
    pub(crate) fn version(&self) -> Version {
        self.version.unwrap_or(LATEST)
    }

    /// The name with its marks, and what comes after it.
    fn cut(&self) -> (&[u8], &[u8]) {
        cut(self.line.as_bytes(), b' ')
    }

    pub(crate) fn name(&self) -> &[u8] {
        cut(cut(self.cut().0, b'@').0, b'?').0
    }

    /// Becomes the row of a function of the call's name, if no call reaches one.
    pub(crate) fn take_its_name(&mut self) {
        if !self.is_served() {
            let name = self.name().len();
            self.line.truncate(name);
            self.line.push(b'?');
            self.is_known = false;
        }
    }

    /// Whether a kernel may be built without the call, and have its functions
    /// all the same. Nothing is known of a name that no table has.
    pub(crate) fn may_be_absent(&self) -> bool {
        cut(self.cut().0, b'@').0.ends_with(b"?")
    }

    /// The version since which the call exists, or nothing if that is not known or
    /// before 4.2.
    pub(crate) fn since(&self) -> &[u8] {
        cut(self.cut().0, b'@').1
    }

    /// Whether the architecture has the call at all, in the version of the row.
    pub(crate) fn is_served(&self) -> bool {
        self.spelled().is_none() && self.function(Column::Native, 0).is_some()
    }

    /// Whether there is such a call in that column, not by another spelling.
    #[cfg(feature = "more")]
    pub(crate) fn is_in(&self, column: Column) -> bool {
        self.spelled().is_none() && self.function(column, 0).is_some()
    }

    /// The call that this is another spelling of.
    pub(crate) fn spelled(&self) -> Option<&[u8]> {
        match self.cut().1 {
            // The name, without so many of its letters.
            [b'=', less @ b'0'..=b'9', ..] => {
                let name = self.name();
                name.get(..name.len().wrapping_sub(usize::from(less - b'0')))
            }
            [b'=', call @ ..] => Some(cut(call, b' ').0),
            _ => None,
        }
    }

    /// The function of that rank, 0 being the most likely, in the two parts that its name is
    /// put together from.
    pub(crate) fn function(&self, column: Column, rank: usize) -> Option<(&'static [u8], &[u8])> {
        let (native, compat) = cut(self.cut().1, b'|');
        let listed = match column {
            Column::Compat if !compat.is_empty() => compat,
            _ => native,
        };
        let mut listed = parts(listed, b' ').peekable();
        match listed.peek() {
            None => (rank == 0).then_some((b"sys_", self.name())),
            Some(&b"-") => None,
            Some(_) => {
                let mut serving = listed.filter_map(|entry| serving(entry, self.version));
                serving.nth(rank).map(|function| (&b""[..], function))
            }
        }
    }
}

/// The row of the call `name` on this architecture.
///
/// The syscall of that name comes first, then the one that it is another
/// spelling of. A name that no table knows is taken as the function's own
/// (`brand_new` is `sys_brand_new`), which is also how a call newer than the table
/// is found.
pub(crate) fn row(name: &SyscallName) -> Row {
    row_in(TABLE, name.as_bytes())
}

/// Calls `each` with the name of every call of this architecture, in order.
#[cfg(feature = "more")]
pub(crate) fn for_each_call(each: &mut dyn FnMut(SyscallName)) {
    for_each_row(TABLE, &mut |row| {
        if let Some(name) = SyscallName::checked(row.name()).filter(|_| row.is_served()) {
            each(name);
        }
        false
    });
}

pub(crate) fn row_in(table: &[u8], name: &[u8]) -> Row {
    let bare =
        if name.len() > "sys_".len() { name.strip_prefix(b"sys_").unwrap_or(name) } else { name };
    let mut row = Row { line: Text::new(), is_known: false, version: None };
    if !row.become_that_of(table, name) && !row.become_that_of(table, bare) {
        row.line.add(bare);
        row.line.push(b'?');
    }
    let spelling = row;
    if let Some(call) = spelling.spelled() {
        row.become_that_of(table, call);
    }
    row
}

/// Calls `is_last` with every row of a packed table, until it returns true.
pub(crate) fn for_each_row(table: &[u8], is_last: &mut dyn FnMut(&Row) -> bool) {
    for_each_row_from(table, b"", is_last);
}

/// The same with the rows that begin with `start`. Of the others no more is unpacked than
/// it takes to see that.
fn for_each_row_from(table: &[u8], start: &[u8], is_last: &mut dyn FnMut(&Row) -> bool) {
    const NOWHERE: usize = usize::MAX;
    let (pairs, blocks) = packed::open(table);
    for (letter, lines) in blocks {
        if start.first().is_some_and(|first| *first != letter) {
            continue;
        }
        let mut row = Row { line: Text::new(), is_known: true, version: None };
        row.line.push(letter);
        // Where the line before differs from the start.
        let mut differs_at = if start.is_empty() { NOWHERE } else { 1 };
        for line in lines {
            // There this one differs from it too.
            if line.same > differs_at {
                continue;
            }
            row.line.truncate(line.same);
            pairs.unpack(line.packed, &mut |byte| {
                let letter = start.get(row.line.as_bytes().len());
                let goes_on = letter.is_none_or(|letter| *letter == byte);
                if goes_on {
                    row.line.push(byte);
                }
                goes_on
            });
            let common = row.line.as_bytes().len();
            differs_at = if common < start.len() { common } else { NOWHERE };
            if differs_at == NOWHERE && is_last(&row) {
                return;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    use crate::resolve::encode::{encode, shortened};
    use crate::resolve::oracle::joined;

    pub(crate) const SMALL: &str = "\
# a small table
_llseek =lseek
cachestat?@6.5
ioctl | compat_sys_ioctl
openat
stat sys_newstat
select sys_old_select sys_select | compat_sys_old_select
stat64 =stat -
lseek
umount =umount2
umount2 sys_umount
pread =pread64
pread64
sys_debug_setcontext
mbind?
setuid? sys_setuid16 | sys_setuid16
setuid32 =setuid
";

    fn str_of(text: &[u8]) -> &str {
        std::str::from_utf8(text).unwrap()
    }

    fn small(name: &str) -> Row {
        row_in(&encode(SMALL), name.as_bytes())
    }

    fn find(table: &[u8], name: &str) -> Option<Row> {
        let mut row = Row { line: Text::new(), is_known: false, version: None };
        row.become_that_of(table, name.as_bytes()).then_some(row)
    }

    /// The rows of a table, as they are unpacked.
    fn rows(table: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        for_each_row(&encode(table), &mut |row| {
            rows.push(*row);
            false
        });
        rows
    }

    #[test]
    fn a_table_is_unpacked_as_it_was() {
        for (arch, table) in TABLES {
            let unpacked: Vec<_> = rows(table)
                .iter()
                .map(|row| String::from_utf8(row.line.as_bytes().into()).unwrap())
                .collect();
            let lines: Vec<_> =
                table.lines().filter(|line| !line.starts_with('#')).map(shortened).collect();
            assert_eq!(unpacked, lines, "{arch}");
            assert!(encode(table).len() < table.len() / 2, "{arch}");
        }
        assert!(rows("").is_empty());
    }

    /// The lines of a table by their names, as they are packed.
    fn by_name(table: &str) -> BTreeMap<String, String> {
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        let name = |line: &str| line.split([' ', '?', '@']).next().unwrap().to_owned();
        lines.map(|line| (name(line), shortened(line))).collect()
    }

    #[test]
    fn a_call_is_found_by_its_name_and_by_no_other() {
        // Long names, with more in common than a line can say.
        let long = ["a".repeat(30), "a".repeat(31), "a".repeat(32), "a".repeat(64)];
        let long =
            [&long.join("\n"), "\n", &"b".repeat(40), "c\n", &"b".repeat(40), "d -\n"].concat();
        for (arch, table) in [("long", &*long), ("small", SMALL)].into_iter().chain(TABLES) {
            let packed = encode(table);
            let lines = by_name(table);
            for name in lines.keys() {
                let starts = (0..=name.len()).map(|end| name[..end].to_owned());
                let others = ["0", "_", "s", "z"].map(|more| format!("{name}{more}"));
                for name in starts.chain(others) {
                    let found =
                        find(&packed, &name).map(|row| str_of(row.line.as_bytes()).to_owned());
                    assert_eq!(found.as_ref(), lines.get(&name), "{name} on {arch}");
                }
            }
        }
    }

    fn functions(name: &str, column: Column) -> Vec<String> {
        let row = small(name);
        let functions = (0..).map_while(|rank| row.function(column, rank));
        functions.map(joined).collect()
    }

    fn native(name: &str) -> Vec<String> {
        functions(name, Column::Native)
    }

    #[test]
    fn a_row_names_what_serves_the_call() {
        assert_eq!(native("openat"), ["sys_openat"]);
        assert_eq!(native("stat"), ["sys_newstat"]);
        assert_eq!(native("select"), ["sys_old_select", "sys_select"]);
    }

    #[test]
    fn a_64_bit_kernel_serves_32_bit_processes_by_its_own() {
        assert_eq!(native("ioctl"), ["sys_ioctl"]);
        assert_eq!(functions("ioctl", Column::Compat), ["compat_sys_ioctl"]);
        assert_eq!(functions("select", Column::Compat), ["compat_sys_old_select"]);
        assert_eq!(functions("stat", Column::Compat), ["sys_newstat"]);
    }

    #[test]
    fn other_spellings_lead_to_the_call() {
        assert_eq!(native("pread"), ["sys_pread64"]);
        assert_eq!(native("umount"), ["sys_umount"]);
        assert_eq!(native("_llseek"), ["sys_lseek"]);
        assert_eq!(native("setuid32"), ["sys_setuid16"]);
        assert_eq!(native("sys_stat"), ["sys_newstat"]);
        assert_eq!(native("sys_debug_setcontext"), ["sys_sys_debug_setcontext"]);
    }

    #[test]
    fn an_unserved_name_stands_for_the_call_it_spells_or_for_nothing() {
        assert_eq!(native("stat64"), ["sys_newstat"]);
        let mut uselib = row_in(&encode("uselib -\n"), b"uselib");
        assert!(uselib.is_known && !uselib.is_served());
        assert_eq!(uselib.function(Column::Native, 0), None);
        uselib.take_its_name();
        assert_eq!(uselib.function(Column::Native, 0), Some((&b"sys_"[..], &b"uselib"[..])));
    }

    #[test]
    fn an_unknown_name_is_the_functions_own() {
        assert_eq!(native("newstat"), ["sys_newstat"]);
        assert_eq!(native("brand_new_call"), ["sys_brand_new_call"]);
        assert_eq!(native("sys_brand_new_call"), ["sys_brand_new_call"]);
        assert_eq!(native("sys_"), ["sys_sys_"]);
    }

    #[test]
    fn a_marked_call_may_be_absent_and_is_named_without_the_mark() {
        for (name, may_be_absent) in
            [("mbind", true), ("sys_mbind", true), ("setuid32", true), ("stat", false)]
        {
            assert_eq!(small(name).may_be_absent(), may_be_absent, "{name}");
        }
        assert!(small("brand_new_call").may_be_absent());
        assert_eq!(native("mbind"), ["sys_mbind"]);
        assert_eq!(native("setuid"), ["sys_setuid16"]);
    }

    #[test]
    fn a_version_is_part_of_no_name() {
        let row = small("cachestat");
        assert_eq!((str_of(row.name()), str_of(row.since())), ("cachestat", "6.5"));
        assert_eq!(native("cachestat"), ["sys_cachestat"]);
        assert_eq!(small("openat").since(), b"");
    }

    pub(crate) const TABLES: [(&str, &str); 10] = [
        ("aarch64", include_str!("tables/aarch64.tbl")),
        ("arm", include_str!("tables/arm.tbl")),
        ("loongarch64", include_str!("tables/loongarch64.tbl")),
        ("mips64", include_str!("tables/mips64.tbl")),
        ("powerpc", include_str!("tables/powerpc.tbl")),
        ("powerpc64", include_str!("tables/powerpc64.tbl")),
        ("riscv64", include_str!("tables/riscv64.tbl")),
        ("s390x", include_str!("tables/s390x.tbl")),
        ("x86", include_str!("tables/x86.tbl")),
        ("x86_64", include_str!("tables/x86_64.tbl")),
    ];

    #[test]
    fn the_tables_are_well_formed() {
        for (arch, table) in TABLES {
            let packed = encode(table);
            let mut last = String::new();
            for row in rows(table) {
                let name = str_of(row.name());
                assert!(*last < *name, "{arch}: {last} stands before {name}");
                last = name.to_owned();
                assert!(SyscallName::new(&last).is_ok(), "{arch}: {last}");
                let since =
                    str_of(row.since()).split('.').filter_map(|part| part.parse::<u8>().ok());
                assert!(matches!(since.count(), 0 | 2), "{arch}: {last}");
                if let Some(call) = row.spelled() {
                    assert!(row_in(&packed, call).is_served(), "{arch}: {last}");
                    continue;
                }
                for column in [Column::Native, Column::Compat] {
                    for (sys, rest) in (0..).map_while(|rank| row.function(column, rank)) {
                        let function = joined((sys, rest));
                        let starts = ["sys", "compat_sys_", "ppc"];
                        assert!(starts.iter().any(|start| function.starts_with(start)), "{last}");
                        assert!(SyscallName::new(&function).is_ok(), "{last}");
                        assert!(
                            function.len() <= crate::resolve::conventions::MAX_FUNCTION_LEN,
                            "{last}"
                        );
                    }
                }
            }
            assert!(*last > *"write", "{arch}: nothing after {last}");
        }
    }

    /// Names that no table, kernel source or man page has are no spellings.
    #[test]
    fn what_is_spelled_nowhere_is_a_functions_own_name() {
        for (arch, table) in TABLES {
            let table = encode(table);
            for name in ["rt_exit", "_fork", "newmount", "stat32", "ppoll64", "nanosleep64"] {
                let row = row_in(&table, name.as_bytes());
                assert!(!row.is_known, "{name} on {arch} is {}", str_of(row.name()));
            }
            assert_eq!(row_in(&table, b"_exit").name(), b"exit_group", "{arch}");
        }
    }

    /// The lines of docs/names.md: a name, the calls that it can stand for, and
    /// the functions on three architectures.
    fn documented() -> Vec<[Vec<&'static str>; 5]> {
        let lines =
            include_str!("../../docs/names.md").lines().filter(|line| line.starts_with("| `"));
        let cells = |line: &'static str| {
            let cells = line.strip_prefix("|").unwrap().split('|').take(5);
            cells.map(|cell| cell.split_whitespace().map(|word| word.trim_matches('`')).collect())
        };
        lines.map(|line| cells(line).collect::<Vec<_>>().try_into().expect(line)).collect()
    }

    /// What a name stands for: its row, and the functions as docs/names.md has them.
    fn resolved(table: &[u8], name: &SyscallName) -> (Row, Vec<String>) {
        let row = row_in(table, name.as_bytes());
        let functions = (0..).map_while(|rank| row.function(Column::Native, rank));
        let functions = functions.map(joined).collect();
        (row, functions)
    }

    #[test]
    fn names_stand_for_the_functions_that_the_docs_say() {
        let lines = documented();
        assert!(lines.len() > 60, "{} lines", lines.len());
        let tables = TABLES.map(|(arch, table)| (arch, table, encode(table)));
        for [name, calls, x86_64, x86, aarch64] in lines {
            let name = SyscallName::new(name[0]).unwrap();
            for (arch, expected) in [("x86_64", x86_64), ("x86", x86), ("aarch64", aarch64)] {
                let (_, text, table) = tables.iter().find(|table| table.0 == arch).unwrap();
                let (row, functions) = resolved(table, &name);
                // A function of the name is looked for, and there is none: the
                // generator gives each that is there a line, or lists it in one.
                let is_listed = text
                    .lines()
                    .any(|line| line.split(' ').any(|part| functions.iter().any(|f| f == part)));
                let is_missing = !calls.is_empty() && !is_listed && !row.is_known;
                let functions = if is_missing { vec![] } else { functions };
                let expected = if expected == ["-"] { vec![] } else { expected };
                assert_eq!(functions, expected, "{name} on {arch}");
            }
        }
    }

    #[test]
    fn names_stand_for_the_call_that_the_docs_say_on_every_architecture() {
        let tables = TABLES.map(|(arch, table)| (arch, encode(table)));
        // A function's own name stands for no call that has another name elsewhere.
        for [name, calls, ..] in documented().into_iter().filter(|line| !line[1].is_empty()) {
            let name = SyscallName::new(name[0]).unwrap();
            for (arch, table) in &tables {
                let mut rows = calls.iter().filter_map(|call| find(table, call));
                let expected = rows.find(Row::is_served);
                let (row, _) = resolved(table, &name);
                match expected {
                    Some(expected) => assert_eq!(row.name(), expected.name(), "{name} on {arch}"),
                    None => assert!(!row.is_served() || !row.is_known, "{name} on {arch}"),
                }
            }
        }
    }
}
