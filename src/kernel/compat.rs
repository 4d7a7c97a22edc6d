//! Checks whether the kernel was booted with 32-bit system calls disabled.

use super::version::is_at_least;
use crate::sys;
use crate::text::parts;

/// Returns whether an x86-64 kernel was booted with `ia32_emulation=0` on its command line, which
/// disables 32-bit system calls on Linux 6.7 and later
/// (Documentation/admin-guide/kernel-parameters.txt). Returns false if the command line cannot be
/// read.
///
/// Does not detect a kernel built with `CONFIG_IA32_EMULATION_DEFAULT_DISABLED`.
pub(crate) fn is_off() -> bool {
    cfg!(target_arch = "x86_64") && is_asked_for() && is_at_least(6, 7)
}

fn is_asked_for() -> bool {
    let line = sys::first_line(c"/proc/cmdline");
    let words = parts(line.as_bytes(), b' ');
    let values = words.filter_map(|word| word.strip_prefix(b"ia32_emulation="));
    values.fold(false, |is_off, value| match value {
        [b'0' | b'n' | b'N' | b'f' | b'F', ..] | [b'o' | b'O', b'f' | b'F', ..] => true,
        [b'1' | b'y' | b'Y' | b't' | b'T', ..] | [b'o' | b'O', b'n' | b'N', ..] => false,
        // Other values have no effect, as in `kstrtobool()` in lib/kstrtox.c.
        _ => is_off,
    })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use crate::sys::fake::Kernel;

    fn is_off(command_line: &str, release: &'static str) -> bool {
        let line = format!("{command_line}\n").leak();
        let files = vec![("/proc/cmdline", &*line), ("/proc/sys/kernel/osrelease", release)];
        Kernel { files: files.leak(), ..Kernel::new() }.run(super::is_off).0
    }

    #[test]
    fn the_last_ia32_emulation_counts_since_linux_6_7() {
        for off in
            ["ia32_emulation=0", "quiet ia32_emulation=off", "ia32_emulation=1 ia32_emulation=n"]
        {
            assert!(is_off(off, "6.12.1-amd64\n"), "{off}");
            assert!(is_off(off, "7.0\n"), "{off}");
            assert!(!is_off(off, "6.6.9\n"), "{off}");
        }
        for on in ["", "ia32_emulation", "ia32_emulation=0 ia32_emulation=on", "xia32_emulation=0"]
        {
            assert!(!is_off(on, "6.12.1-amd64\n"), "{on}");
        }
        assert!(!Kernel::new().run(super::is_off).0, "without /proc");
    }
}
