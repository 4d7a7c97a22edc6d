//! What must hold of the crate's parsers for every input: the fuzz targets in
//! fuzz/ check it, and the tests here do for the saved corpus. What a parser
//! gives is compared with what its rule gives when it is written down plainly,
//! with the standard library.
//!
//! No part of the API: it is compiled for tests and under `cfg(fuzzing)` only.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::kernel::tracefs::{EntryName, Line, find_mounted};
use crate::resolve::SyscallName;
use crate::resolve::suggestions::nearest as suggest;
use crate::resolve::table::{self, Column};
use crate::sys::{self, Mode};
use crate::text::{Text, cut, number, parts};

#[cfg(feature = "capi")]
pub use crate::capi::fuzzing::{options, warning};

/// The name that the bytes are, by the rule in `name.rs`.
fn expected_name(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let bare = text.strip_prefix("__NR_").or(text.strip_prefix("SYS_")).unwrap_or(text);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ((1..=64).contains(&bare.len()) && bare.chars().all(fits)).then_some(bare)
}

/// A line of the table: the call's name, the functions that serve it natively,
/// those that serve a 64-bit kernel's 32-bit processes, and whether it is marked.
type ExpectedRow = (&'static str, Vec<&'static str>, Vec<&'static str>, bool);

/// The table before it was packed, by the format in `table.rs`.
static EXPECTED_TABLE: LazyLock<Vec<ExpectedRow>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (native, compat) = line.split_once('|').unwrap_or((line, ""));
        let mut native = native.split_whitespace();
        let name = native.next()?.split('@').next()?;
        let native: Vec<_> = native.collect();
        let compat: Vec<_> = compat.split_whitespace().collect();
        let compat = if compat.is_empty() { native.clone() } else { compat };
        Some((name.trim_end_matches('?'), native, compat, name.ends_with('?')))
    };
    let table = include_str!(concat!(env!("OUT_DIR"), "/table.txt"));
    table.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
});

fn is_served((_, native, ..): &ExpectedRow) -> bool {
    !native.first().is_some_and(|first| first.starts_with(['-', '=']))
}

/// The name without `sys_`.
fn bare_name(name: &str) -> &str {
    name.strip_prefix("sys_").filter(|bare| !bare.is_empty()).unwrap_or(name)
}

/// The row of the call, by the rules in `table.rs`.
fn expected_row(name: &str) -> Option<&'static ExpectedRow> {
    let named = |name: &str| EXPECTED_TABLE.iter().find(|row| row.0 == name);
    let row = named(name).or(named(bare_name(name)))?;
    match row.1.first().and_then(|first| first.strip_prefix('=')) {
        Some(call) => named(call),
        None => Some(row),
    }
}

/// The functions that may serve the call.
fn expected_functions(name: &str, column: Column) -> Vec<String> {
    let Some((name, native, compat, _)) = expected_row(name) else {
        return vec![format!("sys_{}", bare_name(name))];
    };
    let listed = if column == Column::Native { native } else { compat };
    match listed[..] {
        [] => vec![format!("sys_{name}")],
        ["-"] => Vec::new(),
        _ => listed.iter().map(|function| function.to_string()).collect(),
    }
}

/// The parts of a function's name, put together.
pub(crate) fn joined((sys, rest): (&[u8], &[u8])) -> String {
    String::from_utf8([sys, rest].concat()).unwrap()
}

/// Names: what is accepted, the table's functions for it, and the symbols.
pub fn name(bytes: &[u8]) {
    let expected = expected_name(bytes);
    let name = SyscallName::from_bytes(bytes).ok();
    assert_eq!(name.as_ref().map(SyscallName::as_str), expected);
    let (Some(name), Some(expected)) = (name, expected) else {
        return;
    };

    let row = table::row(&name);
    for column in [Column::Native, Column::Compat] {
        let functions = (0..).map_while(|before| row.function(column, before));
        let functions: Vec<_> = functions.map(joined).collect();
        assert_eq!(functions, expected_functions(expected, column), "{name}");
    }

    let is_marked = expected_row(expected).is_none_or(|(.., is_marked)| *is_marked);
    assert_eq!(row.may_be_absent(), is_marked, "{name}");

    let mut symbols = Vec::new();
    for convention in crate::resolve::conventions::CONVENTIONS {
        for symbol in convention.symbols(&row) {
            assert_eq!(symbol.as_c_str().to_str(), Ok(symbol.as_str()));
            symbols.push(symbol.to_string());
        }
    }
    let is_one = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(symbols.iter().all(|symbol| symbol.chars().all(is_one)), "{symbols:?}");
    if cfg!(target_arch = "x86_64") {
        let functions = expected_functions(expected, Column::Native);
        let wrapped = functions.iter().map(|function| format!("__x64_{function}"));
        let plain = match expected_row(expected) {
            Some(_) => functions.clone(),
            None => ["__se_sys_", "SyS_", "sys_"]
                .map(|start| format!("{start}{}", bare_name(expected)))
                .into(),
        };
        assert_eq!(symbols, wrapped.chain(plain).collect::<Vec<_>>());
    }
}

/// The Levenshtein distance of two names.
fn expected_distance(a: &[u8], b: &[u8]) -> usize {
    let mut costs: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, from) in a.iter().enumerate() {
        let above = &costs[i];
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let changed = above[j] + usize::from(from != to);
            row.push(changed.min(above[j + 1] + 1).min(row[j] + 1));
        }
        costs.push(row);
    }
    costs[a.len()][b.len()]
}

/// The names that are proposed for a call that there is not.
pub fn nearest(bytes: &[u8]) {
    let Ok(name) = SyscallName::from_bytes(bytes) else {
        return;
    };
    let text = name.as_str();
    let limit = 1 + text.len() / 6;
    let mut expected: Vec<_> = EXPECTED_TABLE
        .iter()
        .filter(|row| is_served(row) && row.0.len().abs_diff(text.len()) <= limit)
        .map(|row| (expected_distance(text.as_bytes(), row.0.as_bytes()), row.0))
        .filter(|(distance, _)| (1..=limit).contains(distance))
        .collect();
    // Stable: of equally near ones the table's first.
    expected.sort_by_key(|(distance, _)| *distance);
    let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).take(3).collect();
    let mut nearest = Vec::new();
    suggest(&name, &mut |near| nearest.push(String::from_utf8(near.into()).unwrap()));
    assert_eq!(nearest, expected, "{name}");
}

/// The number that a text is, if it is nothing but digits of the base.
fn expected_number(text: &str, base: u8) -> Option<u64> {
    let digits = text.chars().all(|c| c.is_digit(base.into()));
    digits.then(|| u64::from_str_radix(text, base.into()).ok()).flatten()
}

/// A line of `kprobe_events`: whether it is an entry of this library, and whose.
pub fn entry(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    let expected = || {
        let (_, name) = line.split_once(':')?;
        let ids = name.split(' ').next()?.strip_prefix("ksyscall/p")?.split('_');
        let ids: Option<Vec<_>> = ids.map(|id| expected_number(id, 10)).collect();
        <[u64; 3]>::try_from(ids?).ok()
    };
    let expected = expected();
    let name = EntryName::parse(line.as_bytes());
    assert_eq!(name.map(|name| [name.namespace, name.pid, name.number]), expected, "{line:?}");
    if let (Some(name), Some([namespace, pid, number])) = (name, expected) {
        let mut command = Line::new();
        command.add(b"-:");
        name.add_to(&mut command);
        let removal = format!("-:ksyscall/p{namespace}_{pid}_{number}");
        assert_eq!(command.as_bytes(), removal.as_bytes());
        assert_eq!(EntryName::parse(command.as_bytes()), Some(name));
    }
}

/// A file that has no name any more, so that nothing is left behind.
struct Unnamed {
    file: File,
}

impl Unnamed {
    fn new(content: &[u8]) -> Self {
        let path = unused_path();
        fs::write(&path, content).unwrap();
        let file = File::open(&path).unwrap();
        fs::remove_file(path).unwrap();
        Self { file }
    }

    /// Where it can be opened.
    fn path(&self) -> CString {
        CString::new(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap()
    }

    fn open(&self) -> sys::Fd {
        sys::open(&self.path(), Mode::Read).unwrap()
    }
}

fn unused_path() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("ksyscall-fuzzing-{}-{number}", std::process::id()))
}

/// The lines of a file: of each its first 511 bytes.
fn expected_lines(content: &[u8]) -> Vec<Vec<u8>> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    let whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
    whole.map(|line| line[..line.len().min(511)].to_vec()).collect()
}

/// A mount point that is written with `\040` for a space and so on; None if there
/// is no such byte. A backslash at the very end, which the kernel never writes,
/// is nothing.
fn expected_place(written: &[u8]) -> Option<Vec<u8>> {
    let mut place = Vec::new();
    let mut bytes = written.strip_suffix(b"\\").unwrap_or(written).iter().copied();
    while let Some(mut byte) = bytes.next() {
        if byte == b'\\' {
            let code = [bytes.next()?, bytes.next()?, bytes.next()?];
            let code = std::str::from_utf8(&code).ok()?;
            byte = expected_number(code, 8)?.try_into().ok()?;
        }
        place.push(byte);
    }
    Some(place)
}

/// The first file of that name in a tracefs of the list, and None inside if no
/// mount has one; None if there is a NUL in a path, which there never is.
fn expected_path(lines: &[Vec<u8>], file: &str) -> Option<Option<PathBuf>> {
    let mut found = None;
    for line in lines {
        let fields: Vec<_> = line.split(|byte| *byte == b' ').collect();
        let inside = match fields[..] {
            [_, _, b"tracefs", ..] => "",
            [_, _, b"debugfs", ..] => "/tracing",
            _ => continue,
        };
        let Some(place) = expected_place(fields[1]) else {
            continue;
        };
        if place.contains(&0) {
            return None;
        }
        let path = [&place, inside.as_bytes(), file.as_bytes()].concat();
        let path = PathBuf::from(OsString::from_vec(path));
        if found.is_none() && path.as_os_str().len() < 320 && path.exists() {
            found = Some(path);
        }
    }
    Some(found)
}

/// A folder that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    /// With the same file in it, in `tracing`, and in `a b\c`.
    fn with(file: &str) -> Self {
        let folder = Self(unused_path());
        for place in ["", "tracing", r"a b\c"] {
            let place = folder.0.join(place);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(file), "").unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A list of mounts, as /proc/self/mounts: its lines, and where in it a tracefs
/// is. `@` stands for a folder that has the file looked for, see [`Folder::with`].
pub fn mounts(content: &[u8]) {
    let mut content = content.to_vec();
    let folder = content.contains(&b'@').then(|| Folder::with("kprobe_events"));
    if let Some(Folder(path)) = &folder {
        let escaped = |byte: &u8| format!("\\{byte:03o}").into_bytes();
        let path: Vec<_> = path.as_os_str().as_bytes().iter().flat_map(escaped).collect();
        let parts: Vec<_> = content.split(|byte| *byte == b'@').collect();
        content = parts.join(&path[..]);
    }
    let file = Unnamed::new(&content);
    let expected = expected_lines(&content);
    let mut lines = Vec::new();
    let read = sys::for_each_line(&file.open(), &mut |line| {
        lines.push(line.to_owned());
        false
    });
    assert_eq!((read, &lines), (Ok(()), &expected));

    let found = find_mounted(&file.open(), b"/kprobe_events").unwrap();
    let found = found.map(|path| PathBuf::from(OsString::from_vec(path.as_bytes().to_vec())));
    if let Some(expected) = expected_path(&expected, "/kprobe_events") {
        assert_eq!(found, expected);
    }
}

/// A file of sysfs or tracefs that holds a number, with and without a label.
pub fn number_file(content: &[u8]) {
    let file = Unnamed::new(content);
    let start = String::from_utf8_lossy(&content[..content.len().min(32)]);
    let line = start.split('\n').next().unwrap_or_default();
    for label in ["", "config:"] {
        let digits = line.strip_prefix(label);
        let expected = digits.and_then(|digits| expected_number(digits, 10));
        let number = sys::read_number(&file.path(), label.as_bytes());
        assert_eq!(number.ok(), expected, "after '{label}'");
    }
}

/// Text: the first byte is a separator, the others are cut up, read as a number
/// and put together.
pub fn text(bytes: &[u8]) {
    let Some((Ok(text), separator)) = bytes
        .split_first()
        .filter(|(separator, _)| separator.is_ascii())
        .map(|(separator, text)| (std::str::from_utf8(text), char::from(*separator)))
    else {
        return;
    };
    let byte = separator as u8;
    let (head, rest) = text.split_once(separator).unwrap_or((text, ""));
    assert_eq!(cut(text.as_bytes(), byte), (head.as_bytes(), rest.as_bytes()));
    let expected: Vec<_> =
        text.split(separator).filter(|part| !part.is_empty()).map(str::as_bytes).collect();
    assert_eq!(parts(text.as_bytes(), byte).collect::<Vec<_>>(), expected);
    for base in 2..=10 {
        assert_eq!(
            number(text.as_bytes(), base),
            expected_number(text, base),
            "{text:?}, base {base}"
        );
    }

    let mut built = Text::<8>::new();
    let mut expected = Vec::new();
    let id = text.bytes().fold(0, |id: u64, byte| id.wrapping_mul(257).wrapping_add(byte.into()));
    for part in text.split(separator) {
        built.add(part.as_bytes());
        expected.extend(part.bytes());
        built.add_number(id);
        expected.extend(id.to_string().bytes());
        built.push(byte);
        expected.push(byte);
        assert_eq!(built.is_cut(), expected.len() > 7);
        assert_eq!(built.as_bytes(), &expected[..expected.len().min(7)]);
        let to_nul = built.as_bytes().split(|byte| *byte == 0).next();
        assert_eq!(Some(built.as_c_str().to_bytes()), to_nul);
    }
    #[cfg(feature = "capi")]
    {
        built.end_with(b'!');
        expected.truncate(6);
        expected.push(b'!');
        assert_eq!(built.as_bytes(), expected);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Checks a property on every input that is saved for its fuzz target.
    fn replay(target: &str, property: fn(&[u8])) {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            println!("skip: the published crate comes without fuzz/");
            return;
        }
        let mut inputs: Vec<_> = fs::read_dir(fuzz.join("corpus").join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty());
        for input in inputs {
            println!("{}", input.display());
            property(&fs::read(input).unwrap());
        }
    }

    #[test]
    fn names_of_the_corpus() {
        replay("name", name);
    }

    #[test]
    fn nearest_names_of_the_corpus() {
        replay("nearest", nearest);
    }

    #[test]
    fn entries_of_the_corpus() {
        replay("entry", entry);
    }

    #[test]
    fn mounts_of_the_corpus() {
        replay("mounts", mounts);
    }

    #[test]
    fn number_files_of_the_corpus() {
        replay("number_file", number_file);
    }

    #[test]
    fn texts_of_the_corpus() {
        replay("text", text);
    }

    #[cfg(feature = "capi")]
    #[test]
    fn options_of_the_corpus() {
        replay("options", options);
    }

    #[cfg(feature = "capi")]
    #[test]
    fn warnings_of_the_corpus() {
        replay("warning", warning);
    }
}
