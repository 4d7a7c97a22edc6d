//! The system calls of the architecture this was compiled for: which names
//! there are and which kernel functions serve them.
//!
//! The tables are data, `tables/ARCH.tbl`, made by `scripts/syscall-tables` from
//! the kernel's own syscall tables. A line is a call's name, then the functions
//! to try, the first that the kernel has being the one that serves the call:
//!
//! ```text
//! accept                          sys_accept serves it
//! stat sys_newstat                another function does
//! ioctl | compat_sys_ioctl        a 64-bit kernel serves it to 32-bit processes by this
//! uselib -                        a function of the name may exist, but no call reaches it
//! mbind?                          the kernel may be built without it
//! ```
//!
//! Where the kernel has no wrappers, and on s390x, the calls that it was built
//! without are all names of one function (kernel/sys_ni.c).

use crate::name::{MAX_NAME_LEN, SyscallName};
use crate::text::{cut, parts};

#[cfg(target_arch = "x86_64")]
pub(crate) const TABLE: &str = include_str!("tables/x86_64.tbl");
#[cfg(target_arch = "x86")]
pub(crate) const TABLE: &str = include_str!("tables/x86.tbl");
#[cfg(target_arch = "aarch64")]
pub(crate) const TABLE: &str = include_str!("tables/aarch64.tbl");
#[cfg(target_arch = "arm")]
pub(crate) const TABLE: &str = include_str!("tables/arm.tbl");
#[cfg(target_arch = "riscv64")]
pub(crate) const TABLE: &str = include_str!("tables/riscv64.tbl");
#[cfg(target_arch = "s390x")]
pub(crate) const TABLE: &str = include_str!("tables/s390x.tbl");
#[cfg(target_arch = "powerpc64")]
pub(crate) const TABLE: &str = include_str!("tables/powerpc64.tbl");
#[cfg(target_arch = "powerpc")]
pub(crate) const TABLE: &str = include_str!("tables/powerpc.tbl");
#[cfg(target_arch = "mips64")]
pub(crate) const TABLE: &str = include_str!("tables/mips64.tbl");
#[cfg(target_arch = "loongarch64")]
pub(crate) const TABLE: &str = include_str!("tables/loongarch64.tbl");
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "s390x",
    target_arch = "powerpc64",
    target_arch = "powerpc",
    target_arch = "mips64",
    target_arch = "loongarch64"
)))]
pub(crate) const TABLE: &str = "";

/// Spellings of one call, a line each, of which only [`stem`]s are compared. Sources: the man pages posix_fadvise(2), lseek(2), mmap(2), umount(2),
/// select(2), sync_file_range(2), getrlimit(2).
pub(crate) const ALIASES: &str = "\
fadvise posix_fadvise fadvise64_ arm_fadvise64_
lseek llseek
mmap mmap2
umount umount2
pselect pselect6
sync_file_range sync_file_range2 arm_sync_file_range
getrlimit ugetrlimit
";

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

/// A call and the functions that may serve it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row<'a> {
    /// What `sys_` is put before where no function is listed.
    name: &'a str,
    /// Functions, separated by spaces, most likely first; `-` for none.
    native: &'a str,
    /// The same for a 64-bit kernel's 32-bit processes.
    compat: &'a str,
    may_be_absent: bool,
}

impl<'a> Row<'a> {
    /// That of a function of which no table knows.
    fn of_function(name: &'a str) -> Self {
        Row { name, native: "", compat: "", may_be_absent: true }
    }

    fn parse(line: &'a str) -> Self {
        let (marked, functions) = cut(line, b' ');
        let (native, compat) = cut(functions, b'|');
        let compat = if compat.is_empty() { native } else { compat };
        let unmarked = marked.strip_suffix("?");
        Row { name: unmarked.unwrap_or(marked), native, compat, may_be_absent: unmarked.is_some() }
    }

    /// Whether a kernel may be built without the call, and have its functions
    /// all the same. Nothing is known of a name that no table has.
    pub(crate) fn may_be_absent(&self) -> bool {
        self.may_be_absent
    }

    /// The row of a function of the call's name, if no call reaches one.
    pub(crate) fn or_its_name(self) -> Self {
        if self.is_served() { self } else { Row::of_function(self.name) }
    }

    /// Whether the architecture has the call at all.
    pub(crate) fn is_served(&self) -> bool {
        self.native != "-"
    }

    /// The function that is to be tried after `before` others, in the two parts
    /// that its name is put together from.
    pub(crate) fn function(
        &self,
        column: Column,
        before: usize,
    ) -> Option<(&'static str, &'a str)> {
        let listed = match column {
            Column::Native => self.native,
            Column::Compat => self.compat,
        };
        let mut listed = parts(listed, b' ').peekable();
        match listed.peek() {
            None => (before == 0).then_some(("sys_", self.name)),
            Some(&"-") => None,
            Some(_) => listed.nth(before).map(|function| ("", function)),
        }
    }
}

/// The row of the call `name` on this architecture.
///
/// The syscall of that name comes first, then the one that it is another
/// spelling of. A name that no table knows is taken as the function's own
/// (`newstat` is `sys_newstat`), which is also how a call newer than the table
/// is found.
pub(crate) fn row(name: &SyscallName) -> Row<'_> {
    row_in(TABLE, name.as_str())
}

fn row_in<'a>(table: &'a str, name: &'a str) -> Row<'a> {
    let bare = name.strip_prefix("sys_").filter(|bare| !bare.is_empty()).unwrap_or(name);
    let exact = exact_row(table, name).or_else(|| exact_row(table, bare));
    let served = exact.filter(Row::is_served).or_else(|| {
        let other = |row: &Row<'_>| row.is_served() && are_one_call(row.name, bare);
        rows(table).find(other)
    });
    served.or(exact).unwrap_or(Row::of_function(bare))
}

/// Whether two names are spellings of one call: `pread` and `pread64`,
/// `fstatat64` and `newfstatat`, `sigaction` and `rt_sigaction`.
#[inline(never)]
fn are_one_call(one: &str, other: &str) -> bool {
    let (one, other) = (stem(one), stem(other));
    let together = |line| {
        parts(line, b' ').any(|name| name == one) && parts(line, b' ').any(|name| name == other)
    };
    one == other || parts(ALIASES, b'\n').any(together)
}

/// A name without what the kernel puts before or behind a call's name when the
/// call gets wider arguments; the C library leaves that off.
fn stem(name: &str) -> &str {
    let mut stem = name;
    for before in ["_", "new", "rt_"] {
        stem = stem.strip_prefix(before).unwrap_or(stem);
    }
    for behind in ["_time64", "64", "32"] {
        stem = stem.strip_suffix(behind).unwrap_or(stem);
    }
    stem
}

fn exact_row<'a>(table: &'a str, name: &str) -> Option<Row<'a>> {
    rows(table).find(|row| row.name == name)
}

fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    parts(table, b'\n').map(Row::parse).filter(|row| row.name != "#")
}

/// The syscalls of this architecture whose names are nearest to `name`, up to
/// three, nearest first.
#[inline(never)]
pub(crate) fn nearest(name: &SyscallName) -> [Option<&'static str>; 3] {
    nearest_in(TABLE, name.as_str())
}

fn nearest_in<'a>(table: &'a str, name: &str) -> [Option<&'a str>; 3] {
    let mut best = [(usize::MAX, None); 3];
    // Beyond a third of the name's letters two names have nothing in common.
    let limit = 1 + name.len() / 3;
    for row in rows(table).filter(Row::is_served) {
        let mut candidate = (distance(name, row.name), Some(row.name));
        if candidate.0 <= limit {
            let mut is_placed = false;
            for place in &mut best {
                if is_placed || candidate.0 < place.0 {
                    core::mem::swap(place, &mut candidate);
                    is_placed = true;
                }
            }
        }
    }
    best.map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed to make `b` of `a`
/// (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let mut costs = [0_u8; MAX_NAME_LEN + 1];
    let costs = costs.get_mut(..=b.len()).unwrap_or_default();
    for (cost, i) in costs.iter_mut().zip(0..) {
        *cost = i;
    }
    for (i, from) in (1..).zip(a.bytes()) {
        let mut diagonal = i - 1;
        let mut left = i;
        for (cost, to) in costs.iter_mut().zip(core::iter::once(None).chain(b.bytes().map(Some))) {
            let Some(to) = to else {
                *cost = i;
                continue;
            };
            let changed = diagonal + u8::from(from != to);
            diagonal = *cost;
            left = changed.min(left + 1).min(*cost + 1);
            *cost = left;
        }
    }
    costs.last().map_or(usize::MAX, |cost| usize::from(*cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "\
# a small table
ioctl | compat_sys_ioctl
openat
stat sys_newstat
select sys_old_select sys_select | compat_sys_old_select
stat64 -
lseek
umount2 sys_umount
pread64
sys_debug_setcontext
mbind?
setuid? sys_setuid16 | sys_setuid16
";

    fn functions(name: &str, column: Column) -> Vec<String> {
        let row = row_in(SMALL, name);
        let functions = (0..).map_while(|before| row.function(column, before));
        functions.map(|(sys, rest)| format!("{sys}{rest}")).collect()
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
        assert_eq!(native("sys_stat"), ["sys_newstat"]);
        assert_eq!(native("sys_debug_setcontext"), ["sys_sys_debug_setcontext"]);
    }

    #[test]
    fn an_unserved_name_stands_for_the_call_it_spells_or_for_nothing() {
        assert_eq!(native("stat64"), ["sys_newstat"]);
        assert_eq!(row_in("uselib -\n", "uselib").function(Column::Native, 0), None);
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
            assert_eq!(row_in(SMALL, name).may_be_absent(), may_be_absent, "{name}");
        }
        assert!(row_in(SMALL, "brand_new_call").may_be_absent());
        assert_eq!(native("mbind"), ["sys_mbind"]);
        assert_eq!(native("setuid"), ["sys_setuid16"]);
        assert_eq!(nearest_in(SMALL, "mbnd"), [Some("mbind"), None, None]);
    }

    #[test]
    fn nearest_names_come_in_order() {
        assert_eq!(nearest_in(SMALL, "opnat"), [Some("openat"), None, None]);
        assert_eq!(nearest_in(SMALL, "sta"), [Some("stat"), None, None]);
        assert_eq!(nearest_in(SMALL, "completely_other"), [None; 3]);
        assert_eq!(nearest_in("abc\nabd\nabe\nab\n", "ab"), [Some("ab"), Some("abc"), Some("abd")]);
    }

    #[test]
    fn distance_is_levenshteins() {
        for (a, b, expected) in
            [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("stat", "stat", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    const TABLES: [(&str, &str); 10] = [
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
            let mut last = "";
            for row in rows(table) {
                assert!(last < row.name, "{arch}: {last} stands before {}", row.name);
                last = row.name;
                assert!(SyscallName::new(row.name).is_ok(), "{arch}: {}", row.name);
                for column in [Column::Native, Column::Compat] {
                    for (sys, rest) in (0..).map_while(|before| row.function(column, before)) {
                        let function = format!("{sys}{rest}");
                        let starts = ["sys", "compat_sys_", "ppc"];
                        assert!(starts.iter().any(|start| function.starts_with(start)), "{row:?}");
                        assert!(SyscallName::new(&function).is_ok(), "{row:?}");
                        assert!(function.len() <= crate::candidates::MAX_FUNCTION_LEN, "{row:?}");
                    }
                }
            }
            assert!(last > "write", "{arch}: nothing behind {last}");
        }
    }
    /// The lines of docs/names.md: a name, the calls that it can stand for, and
    /// the functions on three architectures.
    fn documented() -> Vec<[Vec<&'static str>; 5]> {
        let lines = include_str!("../docs/names.md").lines().filter(|line| line.starts_with("| `"));
        let cells = |line: &'static str| {
            let cells = line.strip_prefix("|").unwrap().split('|').take(5);
            cells.map(|cell| cell.split_whitespace().map(|word| word.trim_matches('`')).collect())
        };
        lines.map(|line| cells(line).collect::<Vec<_>>().try_into().expect(line)).collect()
    }

    /// What a name stands for: its row, and the functions as docs/names.md has them.
    fn resolved<'a>(table: &'a str, name: &'a SyscallName) -> (Row<'a>, Vec<String>) {
        let row = row_in(table, name.as_str());
        let functions = (0..).map_while(|before| row.function(Column::Native, before));
        (row, functions.map(|(sys, rest)| format!("{sys}{rest}")).collect())
    }

    #[test]
    fn names_stand_for_the_functions_that_the_docs_say() {
        let lines = documented();
        assert!(lines.len() > 60, "{} lines", lines.len());
        for [name, calls, x86_64, x86, aarch64] in lines {
            let name = SyscallName::new(name[0]).unwrap();
            for (arch, expected) in [("x86_64", x86_64), ("x86", x86), ("aarch64", aarch64)] {
                let (_, table) = TABLES.into_iter().find(|table| table.0 == arch).unwrap();
                let (row, functions) = resolved(table, &name);
                // A function of the name is looked for, and there is none: the
                // generator gives each that is there a line, or lists it in one.
                let is_listed = parts(table, b'\n')
                    .any(|line| parts(line, b' ').any(|part| functions.iter().any(|f| f == part)));
                let is_missing =
                    !calls.is_empty() && !is_listed && exact_row(table, row.name).is_none();
                let functions = if is_missing { vec![] } else { functions };
                let expected = if expected == ["-"] { vec![] } else { expected };
                assert_eq!(functions, expected, "{name} on {arch}");
            }
        }
    }

    #[test]
    fn names_stand_for_the_call_that_the_docs_say_on_every_architecture() {
        for [name, calls, ..] in documented() {
            let name = SyscallName::new(name[0]).unwrap();
            for (arch, table) in TABLES {
                let mut served = calls.iter().filter_map(|call| exact_row(table, call));
                let (row, _) = resolved(table, &name);
                match served.find(Row::is_served) {
                    Some(expected) => assert_eq!(row, expected, "{name} on {arch}"),
                    None => assert!(
                        !row.is_served() || exact_row(table, row.name).is_none(),
                        "{name} on {arch} is {row:?}"
                    ),
                }
            }
        }
    }
}
