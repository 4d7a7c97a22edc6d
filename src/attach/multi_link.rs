//! Attaches a program to many functions by one kprobe.multi link (Linux 5.18, with
//! `CONFIG_FPROBE`, on 64-bit kernels). The program must have been loaded for that.

use core::ffi::c_int;

use errno::Errno;

use crate::Error;
use crate::calls::Symbol;
use crate::sys::{self, Fd, KprobeMulti};

/// What the program was loaded for: None if it is for perf events, or is no program, or
/// the kernel knows no such links.
pub(crate) fn kind_of(program_fd: c_int) -> Option<KprobeMulti> {
    let mut kinds = [KprobeMulti::Multi, KprobeMulti::Session].into_iter();
    kinds.find(|kind| sys::is_for_kprobe_multi(program_fd, *kind))
}

/// Attaches a program of that kind to functions, each of which stands there once.
pub(crate) fn attach(
    program_fd: c_int,
    kind: KprobeMulti,
    retprobe: bool,
    functions: &[Symbol],
    cookies: &[u64],
) -> Result<Fd, Error> {
    let names = functions.iter().map(Symbol::as_c_str);
    let retprobe = retprobe && kind == KprobeMulti::Multi;
    sys::bpf_link_create_kprobe_multi(program_fd, kind, retprobe, names, cookies)
        .map_err(|Errno(errno)| Error::MultiLink { errno })
}
