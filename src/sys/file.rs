//! Opens, reads and writes files, mostly in /proc, /sys and tracefs.

use core::ffi::{CStr, c_int};

use errno::Errno;

use super::{Fd, call};
use crate::text::{Text, cut, number};

/// The access mode of a file.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Read,
    Append,
}

/// Opens a file with close-on-exec.
pub(crate) fn open(path: &CStr, mode: Mode) -> Result<Fd, Errno> {
    let flags = libc::O_CLOEXEC
        | match mode {
            Mode::Read => libc::O_RDONLY,
            Mode::Append => libc::O_WRONLY | libc::O_APPEND,
        };
    let (folder, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    // SAFETY: `path` is a C string; no mode is needed without O_CREAT.
    let fd = unsafe { call(libc::SYS_openat, folder, path, flags as usize, 0, 0) }?;
    Ok(Fd(fd as c_int))
}

/// Checks that a file exists. The check uses the permissions of the effective user, because open(2)
/// does the same. Without `AT_EACCESS` (faccessat2(2), Linux 5.8), the kernel uses the permissions
/// of the real user.
///
/// A container's seccomp filter that predates faccessat2(2) may return EPERM.
pub(crate) fn access(path: &CStr) -> Result<(), Errno> {
    let (folder, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    let (mode, flags) = (libc::F_OK as usize, libc::AT_EACCESS as usize);
    // SAFETY: `path` is a C string.
    unsafe {
        match call(libc::SYS_faccessat2, folder, path, mode, flags, 0) {
            Err(Errno(libc::ENOSYS | libc::EPERM)) => {
                call(libc::SYS_faccessat, folder, path, mode, 0, 0)
            }
            found => found,
        }
    }
    .map(drop)
}

/// Reads up to `buffer.len()` bytes. Returns 0 at the end of the file.
pub(crate) fn read(fd: &Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let start = buffer.as_mut_ptr() as usize;
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
    unsafe { call(libc::SYS_read, fd.0 as usize, start, buffer.len(), 0, 0) }
}

/// Writes all of `bytes` in one call, because tracefs expects one command per write.
pub(crate) fn write(fd: &Fd, bytes: &[u8]) -> Result<(), Errno> {
    let start = bytes.as_ptr() as usize;
    // SAFETY: the kernel reads only the bytes in `bytes`.
    unsafe { call(libc::SYS_write, fd.0 as usize, start, bytes.len(), 0, 0) }.map(drop)
}

/// Reads the number that follows `label` at the start of the file at `path`.
pub(crate) fn read_number(path: &CStr, label: &[u8]) -> Result<u64, Errno> {
    let mut buffer = [0; 32];
    let read = read(&open(path, Mode::Read)?, &mut buffer)?;
    let digits = cut(buffer.get(..read).unwrap_or_default(), b'\n').0.strip_prefix(label);
    digits.and_then(|digits| number(digits, 10)).ok_or(Errno(libc::EINVAL))
}

/// Calls `is_last` with each line of a file until `is_last` returns true. Very long lines are
/// truncated.
pub(crate) fn for_each_line(
    file: &Fd,
    is_last: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    let mut line = Text::<512>::new();
    loop {
        let read = read(file, &mut buffer)?;
        for byte in buffer.get(..read).unwrap_or_default() {
            match byte {
                b'\n' if is_last(line.as_bytes()) => return Ok(()),
                b'\n' => line = Text::new(),
                byte => line.push(*byte),
            }
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Returns the first line of a file. Empty if the file cannot be read.
pub(crate) fn first_line(path: &CStr) -> Text<512> {
    let mut first = Text::new();
    if let Ok(file) = open(path, Mode::Read) {
        let _ = for_each_line(&file, &mut |line| {
            first.add(line);
            true
        });
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::oracle::Unnamed;

    #[test]
    fn long_lines_are_cut() {
        let text = format!("one\n{}\n\nlast\nmore\n", "x".repeat(3000));
        let mut lines = Vec::new();
        for_each_line(&Unnamed::new(text.as_bytes()).open(), &mut |line| {
            lines.push(line.to_owned());
            line == b"last"
        })
        .unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            (&lines[0][..], &lines[2][..], &lines[3][..]),
            (&b"one"[..], &b""[..], &b"last"[..])
        );
        assert!(lines[1].len() > 256 && lines[1].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn access_works_if_a_filter_rejects_faccessat2() {
        use crate::sys::fake::{Kernel, refused};
        let found = |access, path| {
            let files = &[("/here", "")];
            Kernel { files, access, ..Kernel::new() }.run(|| super::access(path)).0
        };
        for errno in [libc::ENOSYS, libc::EPERM] {
            assert_eq!(found(refused(errno), c"/here"), Ok(()));
            assert_eq!(found(refused(errno), c"/none"), Err(Errno(libc::ENOENT)));
        }
        assert_eq!(found(refused(libc::EACCES), c"/here"), Err(Errno(libc::EACCES)));
    }

    #[test]
    fn read_errors_are_reported() {
        let folder = open(c"/", Mode::Read).unwrap();
        assert_eq!(for_each_line(&folder, &mut |_| false), Err(Errno(libc::EISDIR)));
    }
}
