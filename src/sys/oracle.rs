//! Creates files with arbitrary content, and checks what the library's functions read from them.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Fd, Mode};

/// An open file that is already unlinked, so that it disappears when the process ends.
pub(crate) struct Unnamed {
    file: File,
}

impl Unnamed {
    pub(crate) fn new(content: &[u8]) -> Self {
        let path = unused_path();
        fs::write(&path, content).unwrap();
        let file = File::open(&path).unwrap();
        fs::remove_file(path).unwrap();
        Self { file }
    }

    /// Returns a path through which the file can be opened.
    pub(crate) fn path(&self) -> CString {
        CString::new(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap()
    }

    pub(crate) fn open(&self) -> Fd {
        super::open(&self.path(), Mode::Read).unwrap()
    }
}

pub(crate) fn unused_path() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("ksyscall-fuzzing-{}-{number}", std::process::id()))
}

/// Returns the number that `text` represents, if `text` consists only of digits in `base`.
pub(crate) fn expected_number(text: &str, base: u32) -> Option<u64> {
    let digits = text.chars().all(|c| c.is_digit(base));
    digits.then(|| u64::from_str_radix(text, base).ok()).flatten()
}

/// Checks how a number is read from a file in sysfs or tracefs, with and without a label.
pub fn number_file(content: &[u8]) {
    let file = Unnamed::new(content);
    let start = String::from_utf8_lossy(&content[..content.len().min(32)]);
    let line = start.split('\n').next().unwrap_or_default();
    for label in ["", "config:"] {
        let digits = line.strip_prefix(label);
        let expected = digits.and_then(|digits| expected_number(digits, 10));
        let number = super::read_number(&file.path(), label.as_bytes());
        assert_eq!(number.ok(), expected, "after '{label}'");
    }
}
