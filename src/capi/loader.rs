//! Asks the dynamic loader which file contains an address, and how many files the loader has loaded
//! and unloaded.

use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, offset_of};
use core::ops::Range;
use core::slice;

use libc::{Dl_info, dl_phdr_info};

/// The loader's counters. Both counters only grow. As long as the counters do not change, the same
/// files are loaded at the same addresses.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Generation {
    pub(super) loaded: usize,
    pub(super) unloaded: usize,
}

/// Returns the loaded file that contains the address.
pub(super) fn file_at(address: *const c_void) -> Option<Dl_info> {
    let mut info = MaybeUninit::<Dl_info>::uninit();
    // SAFETY: dladdr() accepts any address, and writes `info` if the result is not 0.
    unsafe { (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init()) }
}

/// Returns the loader's counters, or None if the C library does not provide them.
///
/// This function takes a lock in the C library, and a child of fork(2) may inherit the lock in the
/// locked state. Call this function only in the process that called it first, never in a child of
/// that process.
pub(super) fn generation() -> Option<Generation> {
    ask(Query { address: None, generation: None, range: 0..0 }).generation
}

/// Returns the address range of the file that contains `address`. As with [`generation`], do not
/// call this function in a child process.
pub(super) fn range_at(address: usize) -> Range<usize> {
    ask(Query { address: Some(address), generation: None, range: 0..0 }).range
}

struct Query {
    address: Option<usize>,
    generation: Option<Generation>,
    range: Range<usize>,
}

fn ask(mut query: Query) -> Query {
    // SAFETY: `visit` receives the pointer to the query, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut query).cast()) };
    query
}

/// The loader calls this function for each loaded file until the function returns 1.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, size: usize, query: *mut c_void) -> c_int {
    // SAFETY: `ask` passes a pointer to its query, which nobody else uses.
    let query = unsafe { &mut *query.cast::<Query>() };
    if size < offset_of!(dl_phdr_info, dlpi_subs) + size_of::<u64>() {
        return 1;
    }
    // SAFETY: `size` covers all fields that are read.
    let (adds, subs) = unsafe { ((*info).dlpi_adds, (*info).dlpi_subs) };
    query.generation = Some(Generation { loaded: adds as usize, unloaded: subs as usize });
    let Some(address) = query.address else { return 1 };
    // SAFETY: `dlpi_phdr` points to `dlpi_phnum` headers, for as long as the file is loaded.
    let (base, headers) = unsafe {
        ((*info).dlpi_addr, slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into()))
    };
    let parts = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
        let start = (base as usize).wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    });
    if !parts.clone().any(|part| part.contains(&address)) {
        return 0;
    }
    let start = parts.clone().map(|part| part.start).min().unwrap_or(0);
    let end = parts.map(|part| part.end).max().unwrap_or(0);
    query.range = start..end;
    1
}
