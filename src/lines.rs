//! Reading a file of the kernel's line by line.

use errno::Errno;

use crate::sys::{self, Fd};
use crate::text::Text;

/// Calls `is_last` with every line of a file, of a very long one with its start,
/// until it answers yes.
pub(crate) fn for_each_line(
    file: &Fd,
    is_last: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    let mut line = Text::<512>::new();
    loop {
        let read = sys::read(file, &mut buffer)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Mode;

    #[test]
    fn lines_are_read_whole_and_long_ones_by_their_start() {
        let path = std::env::temp_dir().join(format!("ksyscall-lines-{}", std::process::id()));
        std::fs::write(&path, format!("one\n{}\n\nlast\nbehind\n", "x".repeat(3000))).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let file = sys::open(&name, Mode::Read).unwrap();
        let mut lines = Vec::new();
        for_each_line(&file, &mut |line| {
            lines.push(line.to_owned());
            line == b"last"
        })
        .unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            (&lines[0][..], &lines[2][..], &lines[3][..]),
            (&b"one"[..], &b""[..], &b"last"[..])
        );
        assert!(lines[1].len() > 256 && lines[1].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_end() {
        let folder = sys::open(c"/", Mode::Read).unwrap();
        assert_eq!(for_each_line(&folder, &mut |_| false), Err(Errno(libc::EISDIR)));
    }
}
