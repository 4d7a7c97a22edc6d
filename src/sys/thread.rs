//! Runs work by threads that live for as long as one function call.

use alloc::vec::Vec;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The most that are used at once.
const MAX_THREADS: usize = 64;

unsafe extern "C" {
    /// pthread_setcancelstate(3).
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// What the threads share.
struct Work<'a> {
    next: AtomicUsize,
    count: usize,
    work: &'a (dyn Fn(usize) + Sync),
}

impl Work<'_> {
    fn run(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                return;
            }
            (self.work)(index);
        }
    }
}

extern "C" fn run(work: *mut c_void) -> *mut c_void {
    // SAFETY: `in_parallel` gave it, and waits for this thread before it ends.
    unsafe { &*work.cast::<Work<'_>>() }.run();
    ptr::null_mut()
}

/// Calls `work` with every number below `count`, by up to `threads` threads, of which
/// the calling one is one. If there can be no others it does all of it.
///
/// The others take no signals: the program's handlers run in its own threads.
pub(crate) fn in_parallel(count: usize, threads: usize, work: &(dyn Fn(usize) + Sync)) {
    let work = Work { next: AtomicUsize::new(0), count, work };
    let others = threads.min(count).clamp(1, MAX_THREADS) - 1;
    if others == 0 {
        return work.run();
    }
    let mut ids = [const { MaybeUninit::<libc::pthread_t>::uninit() }; MAX_THREADS];
    let mut started = 0;
    // SAFETY: the sets and the state live until the calls return. The thread gets a pointer
    // to `work`, which outlives it, for it is joined here; meanwhile this one cannot be
    // cancelled, which would end it without that.
    unsafe {
        let mut cancel = 0;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut cancel);
        let (mut all, mut old) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
        for id in ids.iter_mut().take(others) {
            let argument = (&raw const work).cast_mut().cast::<c_void>();
            if libc::pthread_create(id.as_mut_ptr(), ptr::null(), run, argument) != 0 {
                break;
            }
            started += 1;
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut());
        work.run();
        for id in ids.iter().take(started) {
            libc::pthread_join(id.assume_init(), ptr::null_mut());
        }
        pthread_setcancelstate(cancel, ptr::null_mut());
    }
}

/// Gives every item to `work`, with its number, by up to `threads` threads.
pub(crate) fn consume_in_parallel<T: Send>(
    mut items: Vec<T>,
    threads: usize,
    work: &(dyn Fn(usize, T) + Sync),
) {
    struct Items<T>(*const T);
    // SAFETY: a thread takes items out, which may be sent to it, and each is taken once.
    unsafe impl<T: Send> Sync for Items<T> {}
    impl<T> Items<T> {
        /// # Safety
        /// There is such an item, and this is called once for it.
        unsafe fn take(&self, index: usize) -> T {
            // SAFETY: the caller's promise.
            unsafe { self.0.add(index).read() }
        }
    }

    let (count, all) = (items.len(), Items(items.as_ptr()));
    // SAFETY: the vector keeps the memory, and drops none of the items, which are `work`'s.
    unsafe { items.set_len(0) };
    // SAFETY: every number below the count comes once.
    in_parallel(count, threads, &|index| work(index, unsafe { all.take(index) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_worked_on_once() {
        for (count, threads) in [(0, 8), (1, 8), (5, 1), (5, 0), (1000, 8), (100, 1000)] {
            let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            in_parallel(count, threads, &|index| _ = done[index].fetch_add(1, Ordering::Relaxed));
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1), "{count} {threads}");
        }
    }

    #[test]
    fn every_item_is_given_away_once() {
        let item = std::sync::Arc::new(());
        let items: Vec<_> = (0..100).map(|number| (number, item.clone())).collect();
        let sum = AtomicUsize::new(0);
        consume_in_parallel(items, 4, &|index, (number, _item)| {
            assert_eq!(index, number);
            sum.fetch_add(number, Ordering::Relaxed);
        });
        assert_eq!((sum.into_inner(), std::sync::Arc::strong_count(&item)), (4950, 1));
    }

    /// Two that wait for each other are at work at the same time.
    #[test]
    fn the_threads_work_at_the_same_time() {
        let barrier = std::sync::Barrier::new(2);
        in_parallel(2, 2, &|_| _ = barrier.wait());
    }

    #[test]
    fn the_others_take_no_signals() {
        let own = std::thread::current().id();
        let barrier = std::sync::Barrier::new(2);
        in_parallel(2, 2, &|_| {
            barrier.wait();
            let mut set = MaybeUninit::uninit();
            // SAFETY: it is only asked for, into `set`.
            let is_blocked = unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), set.as_mut_ptr());
                libc::sigismember(set.as_ptr(), libc::SIGUSR1) == 1
            };
            assert_eq!(is_blocked, std::thread::current().id() != own);
        });
    }
}
