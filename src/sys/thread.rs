//! Runs work in threads that live only for the duration of one function call.

use alloc::vec::Vec;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Maximum number of threads, including the calling thread.
const MAX_THREADS: usize = 64;

unsafe extern "C" {
    /// pthread_setcancelstate(3).
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// The state shared by the threads.
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
    // SAFETY: `in_parallel` passes a pointer to a `Work`, and joins this thread before returning.
    unsafe { &*work.cast::<Work<'_>>() }.run();
    ptr::null_mut()
}

/// Calls `work` with every number below `count`, in up to `threads` threads, including the calling
/// thread. If no other threads can be created, the calling thread does all the work.
///
/// The other threads block all signals, so that the program's signal handlers run only in the
/// program's own threads.
pub(crate) fn in_parallel(count: usize, threads: usize, work: &(dyn Fn(usize) + Sync)) {
    let work = Work { next: AtomicUsize::new(0), count, work };
    let others = threads.min(count).clamp(1, MAX_THREADS) - 1;
    if others == 0 {
        return work.run();
    }
    let mut ids = [const { MaybeUninit::<libc::pthread_t>::uninit() }; MAX_THREADS];
    let mut started = 0;
    // SAFETY: the signal sets and `cancel` outlive the calls. The threads receive a pointer to
    // `work`, which outlives them because they are joined here. Until then, this thread cannot be
    // cancelled, so it does not skip the join.
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

/// Passes every item to `work`, with its index, in up to `threads` threads.
pub(crate) fn consume_in_parallel<T: Send>(
    mut items: Vec<T>,
    threads: usize,
    work: &(dyn Fn(usize, T) + Sync),
) {
    struct Items<T>(*const T);
    // SAFETY: the items are `Send`. The threads move each item out once, and do not access the
    // items otherwise.
    unsafe impl<T: Send> Sync for Items<T> {}
    impl<T> Items<T> {
        /// # Safety
        /// The item must exist, and this function must be called only once for the item.
        unsafe fn take(&self, index: usize) -> T {
            // SAFETY: guaranteed by the caller.
            unsafe { self.0.add(index).read() }
        }
    }

    let (count, all) = (items.len(), Items(items.as_ptr()));
    // SAFETY: the vector keeps the memory, but does not drop the items, which `work` owns.
    unsafe { items.set_len(0) };
    // SAFETY: `in_parallel` passes every number below `count` exactly once.
    in_parallel(count, threads, &|index| work(index, unsafe { all.take(index) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_processed_once() {
        for (count, threads) in [(0, 8), (1, 8), (5, 1), (5, 0), (1000, 8), (100, 1000)] {
            let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            in_parallel(count, threads, &|index| _ = done[index].fetch_add(1, Ordering::Relaxed));
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1), "{count} {threads}");
        }
    }

    #[test]
    fn every_item_is_passed_once() {
        let item = std::sync::Arc::new(());
        let items: Vec<_> = (0..100).map(|number| (number, item.clone())).collect();
        let sum = AtomicUsize::new(0);
        consume_in_parallel(items, 4, &|index, (number, _item)| {
            assert_eq!(index, number);
            sum.fetch_add(number, Ordering::Relaxed);
        });
        assert_eq!((sum.into_inner(), std::sync::Arc::strong_count(&item)), (4950, 1));
    }

    /// The barrier releases the two threads only if they run at the same time.
    #[test]
    fn threads_run_concurrently() {
        let barrier = std::sync::Barrier::new(2);
        in_parallel(2, 2, &|_| _ = barrier.wait());
    }

    #[test]
    fn other_threads_block_signals() {
        let own = std::thread::current().id();
        let barrier = std::sync::Barrier::new(2);
        in_parallel(2, 2, &|_| {
            barrier.wait();
            let mut set = MaybeUninit::uninit();
            // SAFETY: the call only stores the current mask in `set`.
            let is_blocked = unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), set.as_mut_ptr());
                libc::sigismember(set.as_ptr(), libc::SIGUSR1) == 1
            };
            assert_eq!(is_blocked, std::thread::current().id() != own);
        });
    }
}
