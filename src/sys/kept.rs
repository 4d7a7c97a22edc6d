//! Stores a value that is created once and lives as long as the process.

use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use errno::Errno;

/// A place for a value. Once stored, the value is never changed or dropped.
pub(crate) struct Kept<T>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Kept<T> {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: the pointer is NULL or was stored by `keep`, and is never changed or freed.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Stores the value and returns it, or returns the value that another thread stored first.
    ///
    /// # Errors
    /// Fails with ENOMEM if no memory is available.
    pub(crate) fn keep(&self, value: T) -> Result<&'static T, Errno> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(1).map_err(|_| Errno(libc::ENOMEM))?;
        memory.push(value);
        let (nothing, new) = (ptr::null_mut(), memory.as_mut_ptr());
        match self.0.compare_exchange(nothing, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                memory.leak();
                // SAFETY: the memory contains the value and is leaked.
                Ok(unsafe { &*new })
            }
            // SAFETY: another thread has stored the pointer in the same way.
            Err(others) => Ok(unsafe { &*others }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_is_kept() {
        let kept = Kept::nothing();
        assert!(kept.get().is_none());
        let first = kept.keep(vec![1]).unwrap();
        assert!(ptr::eq(kept.keep(vec![2]).unwrap(), first));
        assert!(ptr::eq(kept.get().unwrap(), first));
        assert_eq!(*first, [1]);
    }
}
