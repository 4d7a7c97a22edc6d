//! Feeds arbitrary input to the parsers for `kprobe_events` and for the list of mounts, and checks
//! what they return.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::tracefs::{EntryName, Line, find_mounted};
use crate::sys::{
    self,
    oracle::{Unnamed, expected_number, unused_path},
};

/// Checks how a line of `kprobe_events` is parsed: whether this library created the entry, and in
/// which process.
pub fn entry(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    let expected = || {
        let (_, name) = line.split_once(':')?;
        let ids = name.split(' ').next()?.strip_prefix("ksyscall/p")?.split('_');
        let ids: Option<Vec<_>> = ids.map(|id| expected_number(id, 10)).collect();
        <[u64; 4]>::try_from(ids?).ok()
    };
    let expected = expected();
    let name = EntryName::parse(line.as_bytes());
    let numbers = |name: EntryName| [name.namespace, name.pid, name.started, name.number];
    assert_eq!(name.map(numbers), expected, "{line:?}");
    if let (Some(name), Some([namespace, pid, started, number])) = (name, expected) {
        let mut command = Line::new();
        command.add(b"-:");
        name.add_to(&mut command);
        let removal = format!("-:ksyscall/p{namespace}_{pid}_{started}_{number}");
        assert_eq!(command.as_bytes(), removal.as_bytes());
        assert_eq!(EntryName::parse(command.as_bytes()), Some(name));
    }
}

/// Returns the lines of a file, each truncated to 511 bytes.
fn expected_lines(content: &[u8]) -> Vec<Vec<u8>> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    let whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
    whole.map(|line| line[..line.len().min(511)].to_vec()).collect()
}

/// Decodes a mount point: for example, `\040` stands for a space. Returns None for an invalid
/// escape. A backslash at the very end, which the kernel never writes, is ignored.
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

/// Returns the path of `file` in the first listed tracefs that contains the file, or `Some(None)`
/// if no tracefs contains the file. Returns None if a path contains a NUL, which never happens in a
/// real list.
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

/// A temporary folder, removed on drop.
struct Folder(PathBuf);

impl Folder {
    /// Creates a folder that contains `file` three times: directly, in the subfolder `tracing` and
    /// in the subfolder `a b\c`.
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

/// Checks how a list of mounts such as /proc/self/mounts is split into lines, and where a tracefs
/// is found in the list. `@` stands for a folder that contains the file: see [`Folder::with`].
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
