//! Reads the tables: the system calls of each architecture, and the kernel functions that serve
//! them.
//!
//! The tables are text files, `tables/ARCH.tbl`, which `tools/syscall_tables` generates from the
//! kernel's own syscall tables. The library contains these files unchanged. Each line describes one
//! call: its name, then the functions that may serve the call. The call is served by the first of
//! these functions that the kernel has. The lines are sorted by name:
//!
//! ```text
//! accept                          sys_accept serves it
//! stat sys_newstat                another function does
//! ioctl | compat_sys_ioctl        a 64-bit kernel serves 32-bit processes by this function;
//!                                 in the table of x86_64, x32 processes
//! uselib -                        a function of the name may exist, but no call reaches it
//! pread =pread64                  another spelling
//! mbind?                          the kernel may be built without it
//! cachestat?@6.5                  it was added in that version
//! semget? sys_semget@5.1          sys_semget serves it since that version
//! X | sys_X@<5.4 compat_sys_X     sys_X served it before that version
//! X | compat_sys_X@6.1.97,6.10    compat_sys_X serves it since these stable updates
//! ```
//!
//! A line contains a version for a function only if an older or newer kernel also has the function
//! but does not use it for the call. If the line contains no version, the library relies on the
//! running kernel's symbols instead of the kernel's version, because vendors backport changes.
//!
//! If a kernel was built without some calls, the symbols of these calls may all name one function
//! (kernel/sys_ni.c): see `kernel/stubs.rs`.

use super::name::SyscallName;
use super::version::{self, LATEST, Version, serving};
use crate::text::{cut, hash};

/// The text of a table, and a hash table that maps each name to the position of its line. The hash
/// table uses linear probing and is built at compile time.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    text: &'static str,
    slots: &'static [u16; SLOTS],
}

/// Number of slots, which is greater than the number of lines in any table.
const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

impl Table {
    /// Reads Rust's name for the architecture from the start of the text. The name is empty for an
    /// empty table.
    pub(crate) fn architecture(self) -> &'static [u8] {
        self.text.as_bytes().get(2..).map_or(b"", |text| cut(text, b':').0)
    }

    pub(crate) fn is_64_bit(self) -> bool {
        !matches!(self.architecture(), b"arm" | b"powerpc" | b"x86")
    }
}

macro_rules! table {
    ($file:literal) => {
        table!(text include_str!($file))
    };
    (text $text:expr) => {{
        const TEXT: &str = $text;
        const SLOTS_OF_NAMES: &[u16; SLOTS] = &slots(TEXT.as_bytes());
        Table { text: TEXT, slots: SLOTS_OF_NAMES }
    }};
}

/// Builds the slots for a table in which every line ends with a newline.
const fn slots(text: &[u8]) -> [u16; SLOTS] {
    assert!(text.len() < EMPTY as usize);
    let mut slots = [EMPTY; SLOTS];
    // One slot stays empty, so that every search ends.
    let (mut free, mut start) = (SLOTS - 1, 0);
    while start < text.len() {
        let mut end = start;
        while !ends_name(text[end]) {
            end += 1;
        }
        if text[start] != b'#' {
            let mut slot = hash(text.split_at(end).0.split_at(start).1) % SLOTS;
            while slots[slot] != EMPTY {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = start as u16;
            free -= 1;
            assert!(free > 0);
        }
        while text[end] != b'\n' {
            end += 1;
        }
        start = end + 1;
    }
    slots
}

pub(crate) const AARCH64: Table = table!("tables/aarch64.tbl");
pub(crate) const ARM: Table = table!("tables/arm.tbl");
pub(crate) const LOONGARCH64: Table = table!("tables/loongarch64.tbl");
pub(crate) const MIPS64: Table = table!("tables/mips64.tbl");
pub(crate) const POWERPC: Table = table!("tables/powerpc.tbl");
pub(crate) const POWERPC64: Table = table!("tables/powerpc64.tbl");
pub(crate) const RISCV64: Table = table!("tables/riscv64.tbl");
pub(crate) const S390X: Table = table!("tables/s390x.tbl");
pub(crate) const X86: Table = table!("tables/x86.tbl");
pub(crate) const X86_64: Table = table!("tables/x86_64.tbl");

/// The table of the target architecture. If the architecture has no table file, this table is
/// empty, and every name stands for the function with that name.
pub(crate) const TABLE: Table = if cfg!(target_arch = "aarch64") {
    AARCH64
} else if cfg!(target_arch = "arm") {
    ARM
} else if cfg!(target_arch = "loongarch64") {
    LOONGARCH64
} else if cfg!(target_arch = "mips64") {
    MIPS64
} else if cfg!(target_arch = "powerpc") {
    POWERPC
} else if cfg!(target_arch = "powerpc64") {
    POWERPC64
} else if cfg!(target_arch = "riscv64") {
    RISCV64
} else if cfg!(target_arch = "s390x") {
    S390X
} else if cfg!(target_arch = "x86") {
    X86
} else if cfg!(target_arch = "x86_64") {
    X86_64
} else {
    table!(text "")
};

/// The table for the 32-bit processes that a kernel of this architecture runs, or an empty table.
pub(crate) const COMPAT_TABLE: Table = if cfg!(target_arch = "aarch64") {
    ARM
} else if cfg!(target_arch = "powerpc64") {
    POWERPC
} else if cfg!(target_arch = "x86_64") {
    X86
} else {
    table!(text "")
};

/// The callers for which a row lists functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    /// Processes of the table's architecture, on a kernel of the same architecture.
    Native,
    /// Processes of the table's 32-bit architecture, on a 64-bit kernel.
    Compat,
    /// x32 processes: only the functions in x86_64's table that do not serve 64-bit processes.
    #[allow(dead_code, reason = "other architectures")]
    X32,
}

/// A call and the functions that may serve it: a parsed line of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    /// Whether a table contains the call. If no table contains the call, `name` is the name of a
    /// kernel function, without the prefix `sys_`.
    pub(crate) is_known: bool,
    /// Whether a kernel that was built without the call can still contain the call's symbols. True
    /// for a name that no table contains.
    pub(crate) is_optional: bool,
    /// The version of Linux that added the call. Empty if the version is unknown or earlier than
    /// 4.2.
    pub(crate) since: &'a str,
    /// The functions listed in the line, separated by spaces. Empty if the only function is the one
    /// with the call's name.
    functions: &'a str,
    /// The functions listed after the `|` in the line. Empty if the line contains no `|`.
    compat_functions: &'a str,
    /// The kernel version to list functions for. None for all kernels.
    version: Option<Version>,
    /// The stable update of that version, if the update matters and is known.
    update: Option<u64>,
}

impl<'a> Row<'a> {
    /// Parses the first line of `text`.
    fn parse(text: &'a str) -> Self {
        let (line, _) = text.split_once('\n').unwrap_or((text, ""));
        let (call, compat_functions) = line.split_once('|').unwrap_or((line, ""));
        let call = call.trim_ascii_end();
        let (call, functions) = call.split_once(' ').unwrap_or((call, ""));
        let (call, since) = call.split_once('@').unwrap_or((call, ""));
        let name = call.strip_suffix('?');
        Self {
            name: name.unwrap_or(call),
            is_optional: name.is_some(),
            since,
            functions,
            compat_functions: compat_functions.trim_ascii_start(),
            ..Self::of_name(call)
        }
    }

    /// Returns the row for a line that contains only a name.
    fn of_name(name: &'a str) -> Self {
        Self { is_known: true, is_optional: false, ..Self::unknown(name) }
    }

    /// Returns the row for a name that no table contains.
    fn unknown(name: &'a str) -> Self {
        Self {
            name,
            is_known: false,
            is_optional: true,
            since: "",
            functions: "",
            compat_functions: "",
            version: None,
            update: None,
        }
    }

    /// Turns the row of a nonexistent call into the row of the function with the call's name.
    pub(crate) fn use_own_name(&mut self) {
        if !self.is_served() {
            *self = Self { version: self.version, ..Self::unknown(self.name) };
        }
    }

    /// Restricts the row to the functions that serve the call in a kernel of that version. Calls
    /// `version` only if the row depends on the version.
    pub(crate) fn in_version(mut self, version: impl FnOnce() -> Version) -> Self {
        let lists = [self.functions, self.compat_functions];
        let has_limits = lists.iter().any(|list| list.bytes().any(|byte| byte == b'@'));
        if self.is_optional || has_limits || !self.is_served() {
            self.version = Some(version());
        }
        self
    }

    /// Restricts the row to the functions that serve the call in that stable update of the row's
    /// version. `update` must return None if the update is unknown, and is called only if the row
    /// depends on the update.
    pub(crate) fn in_update(mut self, update: impl FnOnce() -> Option<u64>) -> Self {
        if self.depends_on_update() {
            self.update = update();
        }
        self
    }

    fn depends_on_update(&self) -> bool {
        self.compat_functions.contains(',')
    }

    /// Returns whether the row is undecided: the stable update decides which function serves 32-bit
    /// callers, but the update is unknown or selects none of the functions.
    pub(crate) fn is_undecided(&self) -> bool {
        let (Some(version), true) = (self.version, self.depends_on_update()) else { return false };
        let is_served = self.compat_functions.split(' ').try_fold(false, |is_served, entry| {
            Some(is_served | serving(entry, self.version, self.update).1?)
        });
        is_served != Some(true) && version >= version::parse(self.since.as_bytes()).0
    }

    /// Returns the kernel version, or the latest version if the row does not depend on the version.
    pub(crate) fn version(&self) -> Version {
        self.version.unwrap_or(LATEST)
    }

    /// Returns whether the architecture has the call in the row's kernel version.
    pub(crate) fn is_served(&self) -> bool {
        // Most rows list no functions. Each attach calls this function.
        self.functions.is_empty() || self.is_in(Column::Native)
    }

    /// Returns whether the call exists in `column` and the row does not describe an alias.
    pub(crate) fn is_in(&self, column: Column) -> bool {
        self.alias_of().is_none() && self.function(column, 0).is_some()
    }

    /// Returns the call that this name is an alias for, if any.
    pub(crate) fn alias_of(&self) -> Option<&'a str> {
        self.functions.strip_prefix('=')?.split(' ').next()
    }

    /// Returns the function at `rank`, as a prefix and the rest of the name. The function at rank 0
    /// is the most likely.
    pub(crate) fn function(&self, column: Column, rank: usize) -> Option<(&'static str, &'a str)> {
        let listed = match column {
            Column::Compat if self.is_undecided() => return None,
            Column::Compat if self.compat_functions.is_empty() => self.functions,
            Column::Compat | Column::X32 => self.compat_functions,
            Column::Native => self.functions,
        };
        match listed {
            "" if column != Column::X32 => (rank == 0).then_some(("sys_", self.name)),
            "-" => None,
            _ => {
                // Functions with other prefixes serve 64-bit processes too.
                let is_of_x32 = |function: &str| {
                    function.starts_with("compat_sys_") || function.starts_with("sys32_")
                };
                let is_asked_for = |function: &&str| column != Column::X32 || is_of_x32(function);
                let function = self.serving(listed).filter(is_asked_for).nth(rank);
                function.map(|function| ("", function))
            }
        }
    }

    /// Returns the functions in `listed` that serve the call in the row's kernel version.
    fn serving(&self, listed: &'a str) -> impl Iterator<Item = &'a str> {
        let (version, update) = (self.version, self.update);
        listed.split(' ').filter_map(move |entry| {
            let (function, serves) = serving(entry, version, update);
            (serves == Some(true)).then_some(function)
        })
    }

    /// Returns the names of the functions, most likely first.
    #[cfg(any(test, feature = "all-tables"))]
    pub(crate) fn function_names(&self, column: Column) -> impl Iterator<Item = String> {
        let functions = (0..).map_while(move |rank| self.function(column, rank));
        functions.map(|(sys, rest)| format!("{sys}{rest}"))
    }
}

/// Returns the row of the call `name` on this architecture.
///
/// A call with exactly that name takes precedence; otherwise the name may be another spelling of a
/// call. A name that no table contains stands for the function with that name (`brand_new` for
/// `sys_brand_new`), so that calls newer than the table are found.
pub(crate) fn row(name: &SyscallName) -> Row<'_> {
    // Fast path: most names are not aliases, and this path needs no check for UTF-8.
    let row = find(TABLE, name.as_bytes()).filter(|row| row.alias_of().is_none());
    row.unwrap_or_else(|| row_in(TABLE, name.as_str()))
}

/// Returns the row of the call `name` in `table`.
pub(crate) fn row_in(table: Table, name: &str) -> Row<'_> {
    let bare = name.strip_prefix("sys_").filter(|bare| !bare.is_empty()).unwrap_or(name);
    let find = |name: &str| find(table, name.as_bytes());
    let row = find(name).or_else(|| find(bare));
    let row = row.unwrap_or_else(|| Row::unknown(bare));
    row.alias_of().and_then(find).unwrap_or(row)
}

/// Returns all rows of a table, sorted by name.
pub(crate) fn rows(table: Table) -> impl Iterator<Item = Row<'static>> {
    table.text.lines().filter(|line| !line.starts_with('#')).map(Row::parse)
}

/// Returns every call that exists in `column` of a table in any kernel version, in alphabetical
/// order.
pub(crate) fn calls(table: Table, column: Column) -> impl Iterator<Item = SyscallName> {
    let served = rows(table).filter(move |row| row.is_in(column));
    served.filter_map(|row| SyscallName::new(row.name).ok())
}

/// Returns whether the table's architecture has a call with exactly that name.
pub(crate) fn has_call(table: Table, name: &[u8]) -> bool {
    find(table, name).is_some_and(|row| row.is_served())
}

/// Returns the row with exactly that name.
fn find(table: Table, name: &[u8]) -> Option<Row<'static>> {
    let mut slot = hash(name);
    loop {
        let start = table.slots[slot % SLOTS];
        // An empty slot points past the end of the text, so the result is None.
        let line = table.text.get(usize::from(start)..)?;
        if let Some((head, rest)) = line.split_at_checked(name.len()) {
            if head.as_bytes() == name && rest.bytes().next().is_some_and(ends_name) {
                // Fast path: most lines contain only a name.
                let is_name = rest.starts_with('\n');
                return Some(if is_name { Row::of_name(head) } else { Row::parse(line) });
            }
        }
        slot = slot.wrapping_add(1);
    }
}

/// Returns whether a byte marks the end of the name at the start of a line.
const fn ends_name(byte: u8) -> bool {
    matches!(byte, b' ' | b'?' | b'@' | b'\n')
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// An unsorted table, for code that reads every line.
    pub(crate) const ALIKE: Table = table!(text "abc\nabd\nabe\nab\n");

    pub(crate) const SMALL: Table = table!(text "\
# a small table
_llseek =lseek
cachestat?@6.5
ioctl | compat_sys_ioctl
lseek
mbind?
openat
pread =pread64
pread64
select sys_old_select sys_select | compat_sys_old_select
setuid? sys_setuid16 | sys_setuid16
setuid32 =setuid
stat sys_newstat
stat64 =stat -
sys_debug_setcontext
umount =umount2
umount2 sys_umount
");

    /// Searches for every name in a table, for every prefix of each name and for longer names. Each
    /// search must give the same result as reading every line.
    #[test]
    fn calls_are_found_only_by_their_exact_name() {
        let others = [
            ("empty", table!(text "")),
            ("comment", table!(text "# none\n")),
            ("one", table!(text "a\n")),
            ("two", table!(text "a\nab?\n")),
        ];
        for (arch, table) in others.into_iter().chain([("small", SMALL)]).chain(TABLES) {
            let by_name: BTreeMap<_, _> = rows(table).map(|row| (row.name, row)).collect();
            for name in rows(table).map(|row| row.name).chain(["a", "z"]) {
                let starts = (0..=name.len()).map(|end| name[..end].to_owned());
                let longer = ["0", "_", "s", "z"].map(|more| format!("{name}{more}"));
                for name in starts.chain(longer) {
                    let expected = by_name.get(&*name).copied();
                    assert_eq!(find(table, name.as_bytes()), expected, "{name} on {arch}");
                }
            }
        }
    }

    fn functions(name: &str, column: Column) -> Vec<String> {
        row_in(SMALL, name).function_names(column).collect()
    }

    fn native(name: &str) -> Vec<String> {
        functions(name, Column::Native)
    }

    #[test]
    fn rows_list_the_functions_that_serve_the_call() {
        assert_eq!(native("openat"), ["sys_openat"]);
        assert_eq!(native("stat"), ["sys_newstat"]);
        assert_eq!(native("select"), ["sys_old_select", "sys_select"]);
    }

    #[test]
    fn compat_functions_serve_32_bit_processes() {
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
    fn missing_calls_are_aliases_or_have_no_function() {
        assert_eq!(native("stat64"), ["sys_newstat"]);
        let mut uselib = row_in(table!(text "uselib -\n"), "uselib");
        assert!(uselib.is_known && !uselib.is_served());
        assert_eq!(uselib.function(Column::Native, 0), None);
        uselib.use_own_name();
        assert_eq!(uselib.function(Column::Native, 0), Some(("sys_", "uselib")));
    }

    #[test]
    fn unknown_names_are_function_names() {
        assert_eq!(native("newstat"), ["sys_newstat"]);
        assert_eq!(native("brand_new_call"), ["sys_brand_new_call"]);
        assert_eq!(native("sys_brand_new_call"), ["sys_brand_new_call"]);
        assert_eq!(native("sys_"), ["sys_sys_"]);
    }

    #[test]
    fn the_mark_of_an_optional_call_is_not_part_of_its_name() {
        for (name, is_optional) in
            [("mbind", true), ("sys_mbind", true), ("setuid32", true), ("stat", false)]
        {
            assert_eq!(row_in(SMALL, name).is_optional, is_optional, "{name}");
        }
        assert!(row_in(SMALL, "brand_new_call").is_optional);
        assert_eq!(native("mbind"), ["sys_mbind"]);
        assert_eq!(native("setuid"), ["sys_setuid16"]);
    }

    #[test]
    fn the_version_is_not_part_of_the_name() {
        let row = row_in(SMALL, "cachestat");
        assert_eq!((row.name, row.since), ("cachestat", "6.5"));
        assert_eq!(native("cachestat"), ["sys_cachestat"]);
        assert_eq!(row_in(SMALL, "openat").since, "");
    }

    pub(crate) const TABLES: [(&str, Table); 10] = [
        ("aarch64", AARCH64),
        ("arm", ARM),
        ("loongarch64", LOONGARCH64),
        ("mips64", MIPS64),
        ("powerpc", POWERPC),
        ("powerpc64", POWERPC64),
        ("riscv64", RISCV64),
        ("s390x", S390X),
        ("x86", X86),
        ("x86_64", X86_64),
    ];

    #[test]
    fn the_tables_are_well_formed() {
        for (arch, table) in TABLES {
            // Callers of `rows` rely on this order.
            let mut last = "";
            for row in rows(table) {
                assert!(last < row.name, "{arch}: {last} stands before {}", row.name);
                last = row.name;
                assert!(SyscallName::new(last).is_ok(), "{arch}: {last}");
                let since = row.since.split('.').filter_map(|part| part.parse::<u8>().ok());
                assert!(matches!(since.count(), 0 | 2), "{arch}: {last}");
                if let Some(call) = row.alias_of() {
                    assert!(row_in(table, call).is_served(), "{arch}: {last}");
                    continue;
                }
                for column in [Column::Native, Column::Compat] {
                    for function in row.function_names(column) {
                        let starts = ["sys", "compat_sys_", "ppc"];
                        assert!(starts.iter().any(|start| function.starts_with(start)), "{last}");
                        assert!(SyscallName::new(&function).is_ok(), "{last}");
                        assert!(
                            function.len() <= crate::calls::conventions::MAX_FUNCTION_LEN,
                            "{last}"
                        );
                    }
                }
            }
            assert!(last > "write", "{arch}: nothing after {last}");
        }
    }

    /// Names that occur in no table, kernel source or man page are not aliases.
    #[test]
    fn names_that_occur_nowhere_are_unknown() {
        for (arch, table) in TABLES {
            for name in ["rt_exit", "_fork", "newmount", "stat32", "ppoll64", "nanosleep64"] {
                let row = row_in(table, name);
                assert!(!row.is_known, "{name} on {arch} is {}", row.name);
            }
            assert_eq!(row_in(table, "_exit").name, "exit_group", "{arch}");
        }
    }

    /// Returns the lines of docs/names.md. Each line lists a name, the calls that the name can
    /// stand for, and the functions on three architectures.
    fn documented() -> Vec<[Vec<&'static str>; 5]> {
        let lines =
            include_str!("../../docs/names.md").lines().filter(|line| line.starts_with("| `"));
        let cells = |line: &'static str| {
            let cells = line.strip_prefix("|").unwrap().split('|').take(5);
            cells.map(|cell| cell.split_whitespace().map(|word| word.trim_matches('`')).collect())
        };
        lines.map(|line| cells(line).collect::<Vec<_>>().try_into().expect(line)).collect()
    }

    #[test]
    fn names_stand_for_the_documented_functions() {
        let lines = documented();
        assert!(lines.len() > 60, "{} lines", lines.len());
        for [name, calls, x86_64, x86, aarch64] in lines {
            let name = SyscallName::new(name[0]).unwrap();
            for (arch, table, expected) in
                [("x86_64", X86_64, x86_64), ("x86", X86, x86), ("aarch64", AARCH64, aarch64)]
            {
                let row = row_in(table, name.as_str());
                let functions: Vec<_> = row.function_names(Column::Native).collect();
                // If a name is unknown and not listed, no function has that name: the generator
                // gives every existing function its own line or lists it in another line.
                let is_listed = table
                    .text
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
    fn names_stand_for_the_documented_calls_on_every_architecture() {
        // Skip the lines with an empty `call` column: they describe kernel functions, not aliases
        // of calls.
        for [name, calls, ..] in documented().into_iter().filter(|line| !line[1].is_empty()) {
            let name = SyscallName::new(name[0]).unwrap();
            for (arch, table) in TABLES {
                let mut rows = calls.iter().filter_map(|call| find(table, call.as_bytes()));
                let expected = rows.find(Row::is_served);
                let row = row_in(table, name.as_str());
                match expected {
                    Some(expected) => assert_eq!(row.name, expected.name, "{name} on {arch}"),
                    None => assert!(!row.is_served() || !row.is_known, "{name} on {arch}"),
                }
            }
        }
    }
}
