//! Asks the kernel for information about processes and for random numbers.

use super::{Mode, call, file};
use crate::text::{Text, cut, number, parts};

/// Returns the id of this process in its own PID namespace.
pub(crate) fn process_id() -> u64 {
    // SAFETY: getpid has no arguments.
    let pid = unsafe { call(libc::SYS_getpid, 0, 0, 0, 0, 0) };
    pid.unwrap_or_default() as u64
}

/// Returns the start time of the process `pid` in this PID namespace, in clock ticks after boot:
/// field 22 of /proc/PID/stat (proc_pid_stat(5)). Returns None if no live process has this id, or
/// if /proc does not show the process.
pub(crate) fn start_time(pid: u64) -> Option<u64> {
    let mut path = Text::<40>::new();
    path.add(b"/proc/");
    path.add_number(pid);
    path.add(b"/stat");
    let mut buffer = [0; 512];
    let read = file::read(&file::open(path.as_c_str(), Mode::Read).ok()?, &mut buffer).ok()?;
    started(buffer.get(..read)?)
}

fn started(stat: &[u8]) -> Option<u64> {
    // The name (field 2) may contain spaces and parentheses, but only the state and numbers follow
    // the name.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = parts(stat.get(name_end + 1..)?, b' ');
    let is_dead = matches!(fields.next()?, b"Z" | b"X");
    fields.nth(18).filter(|_| !is_dead).and_then(|field| number(field, 10))
}

/// Returns a random number. If the kernel provides no random number, the number is derived from the
/// clock.
pub(crate) fn random() -> u32 {
    let mut drawn = 0_u32;
    let (place, len) = (&raw mut drawn as usize, size_of_val(&drawn));
    // Early during boot, getrandom could block for a long time.
    let flags = libc::GRND_NONBLOCK as usize;
    // SAFETY: the kernel writes at most `len` bytes to `drawn`.
    if unsafe { call(libc::SYS_getrandom, place, len, flags, 0, 0) } != Ok(len) {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the C library writes a `timespec`.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        drawn = (now.tv_sec as u32).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u32);
    }
    drawn
}

/// Returns the inode number of this process's PID namespace, or 0 if the number is unknown. For
/// example, /proc/self/ns/pid links to `pid:[4026531836]` (namespaces(7)).
pub(crate) fn pid_namespace() -> u64 {
    let mut buffer = [0_u8; 32];
    let (folder, path) = (libc::AT_FDCWD as usize, c"/proc/self/ns/pid".as_ptr() as usize);
    let start = buffer.as_mut_ptr() as usize;
    // SAFETY: `path` is a C string, and the kernel writes at most `buffer.len()` bytes to `buffer`.
    let _ = unsafe { call(libc::SYS_readlinkat, folder, path, start, buffer.len(), 0) };
    number(cut(cut(&buffer, b'[').1, b']').0, 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_are_those_of_live_processes() {
        let own = process_id();
        let started = start_time(own).unwrap();
        assert!(started > 0);
        assert_eq!(start_time(own), Some(started));
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(start_time(child.id().into()).unwrap() >= started);
        child.kill().unwrap();
        // SAFETY: a `siginfo_t` may be all zeros.
        let mut end: libc::siginfo_t = unsafe { core::mem::zeroed() };
        // SAFETY: `waitid` writes a `siginfo_t`. With WNOWAIT, the process remains a zombie.
        let ended = unsafe {
            libc::waitid(libc::P_PID, child.id(), &raw mut end, libc::WEXITED | libc::WNOWAIT)
        };
        assert_eq!((ended, start_time(child.id().into())), (0, None));
        child.wait().unwrap();
        assert_eq!(start_time(child.id().into()), None);
        assert_eq!(start_time(u64::MAX), None);
    }

    #[test]
    fn process_names_may_contain_any_characters() {
        let stat = |name, state| {
            format!("7 ({name}) {state} 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 8765 2 3\n")
        };
        for name in ["sh", "a b", ") S 1 (", "))", "7 (sh) R 1", ""] {
            assert_eq!(started(stat(name, 'S').as_bytes()), Some(8765), "{name}");
            assert_eq!(started(stat(name, 'Z').as_bytes()), None, "{name}");
        }
        for cut in ["", "7 (sh", "7 (sh)", "7 (sh) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0"] {
            assert_eq!(started(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!((random(), random(), random()), (random(), random(), random()));
        let without = || crate::sys::fake::Kernel::new().run(random).0;
        assert_ne!(without(), without());
    }
}
