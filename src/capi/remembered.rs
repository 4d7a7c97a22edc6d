//! Remembers what the C side needs from one call to the next. What is known of the kernel is in
//! `kernel.rs`.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

use crate::sys;
use crate::text::hash;

/// What the process remembers of what was printed, and of libbpf's print callback. Why an attach
/// failed is not remembered.
pub(super) struct Remembered {
    /// Whether the process has attached: then a state in which the kernel runs no probe was reported.
    has_attached: AtomicBool,
    /// The calls whose functions no call reaches, and the functions whose probes were moved, each by
    /// the hash of its name, of which that was reported. There is room for more than any
    /// architecture has.
    warned_of: [AtomicUsize; 512],
    /// The program's print callback, as it was found last.
    pub(super) print: AtomicPtr<c_void>,
    /// The memory of [`this_process`]; NULL before its first call.
    of_this_process: AtomicPtr<ThisProcess>,
}

impl Remembered {
    /// Whether this is asked for the first time.
    pub(super) fn is_first_attach(&self) -> bool {
        !self.has_attached.swap(true, Ordering::Relaxed)
    }

    /// Whether [`Remembered::is_first_warning_of`] was asked of the name.
    pub(super) fn is_warned_of(&self, name: &[u8]) -> bool {
        let sought = hash(name);
        self.warned_of.iter().any(|hash| hash.load(Ordering::Relaxed) == sought)
    }

    /// Whether this is asked of the name for the first time.
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

/// The loader's two counters, the range of libbpf's file, how many of its functions are known,
/// whether its layout is ours, and its functions.
pub(super) const LIBBPF_WORDS: usize = 2 + 2 + 1 + 1 + 5;

/// What a child of fork(2) must not use. Its memory is empty in the child.
pub(super) struct ThisProcess {
    is_first: AtomicBool,
    /// The functions of the libbpf that was used last.
    pub(super) libbpf: Snapshot<LIBBPF_WORDS>,
}

/// None in a child of a process that has called this before, and where there is no such memory
/// (before Linux 4.14).
pub(super) fn this_process() -> Option<&'static ThisProcess> {
    static NONE: ThisProcess =
        ThisProcess { is_first: AtomicBool::new(false), libbpf: Snapshot::new() };
    let place = &REMEMBERED.of_this_process;
    let mut found = place.load(Ordering::Acquire);
    if found.is_null() {
        let memory = sys::memory_empty_after_fork(size_of::<ThisProcess>()).cast::<ThisProcess>();
        let new = if memory.is_null() { (&raw const NONE).cast_mut() } else { memory };
        if !memory.is_null() {
            // SAFETY: the memory is large enough, aligned to a page and zero, which is a
            // value of the type.
            unsafe { (*memory).is_first.store(true, Ordering::Relaxed) };
        }
        found = match place.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(others) => {
                // SAFETY: the memory is this function's, and nobody else has it.
                unsafe { sys::unmap(memory.cast(), size_of::<ThisProcess>()) };
                others
            }
        };
    }
    // SAFETY: it is a static, or memory that stays mapped for ever. Zeros, which it has in a
    // child, are a value of the type, and all of its fields are atomic.
    let found = unsafe { &*found };
    found.is_first.load(Ordering::Relaxed).then_some(found)
}

/// Words that are read and written as one, without waiting: a seqlock.
pub(super) struct Snapshot<const N: usize> {
    /// How often it was written, twice; odd while it is.
    version: AtomicUsize,
    words: [AtomicUsize; N],
}

impl<const N: usize> Snapshot<N> {
    const fn new() -> Self {
        Self { version: AtomicUsize::new(0), words: [const { AtomicUsize::new(0) }; N] }
    }

    /// None if nothing was written yet, or is being written.
    pub(super) fn read(&self) -> Option<[usize; N]> {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version % 2 != 0 {
            return None;
        }
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(words)
    }

    /// Does nothing if another thread writes, or the one that a signal handler interrupted.
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
    fn while_it_is_written_nothing_is_read_and_nothing_else_written() {
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
