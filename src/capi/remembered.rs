//! Remembers the C API's state from one call to the next. `kernel.rs` remembers facts about the
//! kernel.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

use crate::sys;
use crate::text::hash;

/// The process's state: the warnings that were printed, and libbpf's print callback. Errors are not
/// remembered, because they are printed every time.
pub(super) struct Remembered {
    /// Whether the process has attached a program before. The first attach prints a warning if the
    /// kernel currently runs no probes.
    has_attached: AtomicBool,
    /// Hashes of the names that a warning has been printed for. A warning concerns either a call
    /// whose function is never reached, or a function whose probe was moved. There is room for more
    /// names than any architecture defines.
    warned_of: [AtomicUsize; 512],
    /// The program's print callback, as it was when last looked up.
    pub(super) print: AtomicPtr<c_void>,
    /// The memory that [`this_process`] maps; NULL until that function is first called.
    of_this_process: AtomicPtr<ThisProcess>,
}

impl Remembered {
    /// Returns whether this is the first call to this function.
    pub(super) fn is_first_attach(&self) -> bool {
        !self.has_attached.swap(true, Ordering::Relaxed)
    }

    /// Returns whether [`Remembered::is_first_warning_of`] was called with this name.
    pub(super) fn is_warned_of(&self, name: &[u8]) -> bool {
        let sought = hash(name);
        self.warned_of.iter().any(|hash| hash.load(Ordering::Relaxed) == sought)
    }

    /// Returns whether this is the first call to this function with this name.
    pub(super) fn is_first_warning_of(&self, name: &[u8]) -> bool {
        let sought = hash(name);
        for place in &self.warned_of {
            match place.compare_exchange(0, sought, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(hash) if hash == sought => return false,
                Err(_) => {}
            }
        }
        false
    }
}

pub(super) static REMEMBERED: Remembered = Remembered {
    has_attached: AtomicBool::new(false),
    warned_of: [const { AtomicUsize::new(0) }; 512],
    print: AtomicPtr::new(ptr::null_mut()),
    of_this_process: AtomicPtr::new(ptr::null_mut()),
};

/// The number of words: two for the loader's counters, two for the address range of libbpf's file,
/// one for the number of known functions, one for whether libbpf's layout matches ours, and one for
/// each function.
pub(super) const LIBBPF_WORDS: usize = 2 + 2 + 1 + 1 + 5;

/// State that a child of fork(2) must not use. The kernel clears this memory in the child.
pub(super) struct ThisProcess {
    is_first: AtomicBool,
    /// The functions of the libbpf that was last used.
    pub(super) libbpf: Snapshot<LIBBPF_WORDS>,
}

/// Returns this process's state. Returns None if a parent process called this function before
/// fork(2), or if the kernel cannot clear memory in a child (before Linux 4.14).
pub(super) fn this_process() -> Option<&'static ThisProcess> {
    static NONE: ThisProcess =
        ThisProcess { is_first: AtomicBool::new(false), libbpf: Snapshot::new() };
    let place = &REMEMBERED.of_this_process;
    let mut found = place.load(Ordering::Acquire);
    if found.is_null() {
        let memory = sys::memory_empty_after_fork(size_of::<ThisProcess>()).cast::<ThisProcess>();
        let new = if memory.is_null() { (&raw const NONE).cast_mut() } else { memory };
        if !memory.is_null() {
            // SAFETY: the memory is large enough, page-aligned and zero, which is a valid value of
            // the type.
            unsafe { (*memory).is_first.store(true, Ordering::Relaxed) };
        }
        found = match place.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(others) => {
                // SAFETY: this function mapped the memory, and nothing else points to it.
                unsafe { sys::unmap(memory.cast(), size_of::<ThisProcess>()) };
                others
            }
        };
    }
    // SAFETY: the pointer is to a static, or to memory that is never unmapped. A child process sees
    // this memory zeroed. All zeros is a valid value of the type, and all its fields are atomic.
    let found = unsafe { &*found };
    found.is_first.load(Ordering::Relaxed).then_some(found)
}

/// Words that are read and written as a unit, without waiting: a seqlock.
pub(super) struct Snapshot<const N: usize> {
    /// Incremented at the start and at the end of each write, and therefore odd during a write.
    version: AtomicUsize,
    words: [AtomicUsize; N],
}

impl<const N: usize> Snapshot<N> {
    const fn new() -> Self {
        Self { version: AtomicUsize::new(0), words: [const { AtomicUsize::new(0) }; N] }
    }

    /// Returns the words, or None if nothing has been written yet or a write is in progress.
    pub(super) fn read(&self) -> Option<[usize; N]> {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version % 2 != 0 {
            return None;
        }
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(words)
    }

    /// Writes the words. Does nothing if another write is in progress, by another thread or by the
    /// code that a signal handler interrupted.
    pub(super) fn write(&self, words: [usize; N]) {
        let version = self.version.load(Ordering::Relaxed);
        let is_free = version % 2 == 0
            && self
                .version
                .compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !is_free {
            return;
        }
        fence(Ordering::Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_all_of_one_write() {
        let snapshot = Snapshot::<64>::new();
        assert_eq!(snapshot.read(), None);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let snapshot = &snapshot;
                scope.spawn(move || (0..2_000).for_each(|i| snapshot.write([2 * i + writer; 64])));
            }
            for _ in 0..20_000 {
                if let Some(words) = snapshot.read() {
                    assert!(words.iter().all(|word| *word == words[0]), "{words:?}");
                }
            }
        });
        assert!(snapshot.read().is_some());
    }

    #[test]
    fn nothing_is_read_or_written_during_a_write() {
        let snapshot = Snapshot::<1>::new();
        snapshot.write([1]);
        snapshot.version.fetch_add(1, Ordering::Relaxed);
        snapshot.write([2]);
        assert_eq!(snapshot.read(), None);
        snapshot.version.fetch_sub(1, Ordering::Relaxed);
        assert_eq!(snapshot.read(), Some([1]));
    }

    #[test]
    fn a_forked_child_remembers_nothing() {
        let is_there = || this_process().is_some();
        assert!(is_there());
        // SAFETY: the child only reads memory and exits.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(is_there().into());
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0);
        }
        assert!(is_there());
    }
}
