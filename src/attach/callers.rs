//! Finding the function that serves a call to its native callers, or to 32-bit ones; and a
//! call's attachment on the functions of several callers.

#[cfg(feature = "std")]
use core::ffi::c_int;

use super::is_right;
#[cfg(feature = "std")]
use super::{
    Options,
    many::{Call, Many},
};
use crate::kernel::version::version;
use crate::kernel::{LEARNT, compat, stubs};
use crate::refusal::{Place, Refusal};
use crate::resolve::callers::{self, Side};
use crate::resolve::conventions::Doubt;
use crate::resolve::search::search;
use crate::resolve::table::Column;
use crate::resolve::{Symbol, table};
#[cfg(feature = "std")]
use crate::{Error, Link};

/// Tries the symbols that may serve the call of `place` on a side until `probe` finds one,
/// which the place has then as its symbol.
///
/// `is_alone` says that the call is asked for on this side only.
pub(crate) fn search_on<T>(
    side: Side,
    is_alone: bool,
    place: &mut Place,
    mut probe: impl FnMut(&Symbol) -> Result<Option<T>, Refusal>,
) -> Result<T, Refusal> {
    let row = match side {
        Side::Native if is_alone => table::row(&place.name),
        Side::Native => callers::native_row(&place.name)?,
        Side::Compat => callers::compat_row(&place.name)?,
        Side::X32 => callers::x32_row(&place.name),
    }
    .in_version(version);
    if side == Side::Compat && !row.is_in(Column::Compat) {
        return Err(Refusal::NoCompatCall);
    }
    let probe = |symbol: &Symbol, doubt| {
        if doubt == Doubt::MayBeStub && stubs::is_known_stub(symbol) {
            return Ok(None);
        }
        let Some(found) = probe(symbol)? else { return Ok(None) };
        Ok((!is_right(doubt, symbol, &row)?).then_some(found))
    };
    match side {
        Side::Native => search(&row, &LEARNT.conventions, place, probe),
        Side::Compat if compat::is_off() => Err(Refusal::NoCompatCallers { is_off: true }),
        Side::Compat => callers::search(&row, &LEARNT.compat, place, probe),
        Side::X32 => callers::search_x32(&row, &LEARNT.x32, place, probe),
    }
}

/// Attaches the loaded program to all functions that serve the call to its callers.
#[cfg(feature = "std")]
pub(crate) fn attach(program_fd: c_int, call: Call, options: Options) -> Result<Link, Error> {
    let mut place = Place::of(call.name, options.retprobe);
    let attached = Many::start(program_fd, options, vec![call], false, &mut place);
    let attached = attached.and_then(|mut many| match many.next(&mut place) {
        Some((_, Err(refusal))) => Err(refusal),
        _ => Ok(many),
    });
    match attached {
        Ok(many) => Ok(Link::of_many(many)),
        Err(refusal) => Err(Error::new(refusal, &place)),
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::resolve::{Callers, SyscallName};
    use crate::sys::fake::{Answer, Kernel, PMU, refused};
    use std::os::fd::AsRawFd;

    /// Without wrappers, as that of the tests of attach.rs: what is learnt of it stays.
    const SYMBOLS: &str = "\
c01 T sys_getpid
c02 T sys_openat
c03 T sys_close
c04 T compat_sys_ioctl
c05 T compat_sys_openat
c06 T sys_llseek
c07 T sys_clock_getres
c08 T sys_clock_gettime
c09 T sys_rt_sigsuspend
c0a T compat_sys_rt_sigsuspend
";

    /// What an attachment was made of, or why there is none; and the calls to the kernel.
    fn attach(
        name: &str,
        callers: Callers,
        kernel: Kernel,
    ) -> (Result<String, String>, Vec<String>) {
        kernel.run(|| {
            let name = SyscallName::new(name).unwrap();
            let call = Call { name, cookie: 7, callers };
            let link = super::attach(3, call, Options { cookie: 7, ..Options::default() });
            let say = |link: Link| {
                let names: Vec<_> = link.symbols().iter().map(Symbol::as_str).collect();
                format!("{} {}", names.join(" "), link.fds().len())
            };
            link.map(say).map_err(|error| error.to_string())
        })
    }

    fn kprobe(symbol: &str, _: bool, _: usize) -> Answer {
        if SYMBOLS.contains(&format!(" {symbol}\n")) { Ok(10) } else { refused(libc::ENOENT) }
    }

    /// Its descriptors are closed by other threads, too, which are on the real kernel.
    fn kernel() -> Kernel {
        let files = [PMU, &[("/proc/kallsyms", SYMBOLS)]].concat().leak();
        Kernel { files, kprobe, link_create: |_| Ok(1 << 20), ..Kernel::new() }
    }

    #[test]
    fn every_function_of_the_callers_is_attached_to_once() {
        for (name, callers, expected) in [
            ("openat", Callers::Native, "sys_openat 1"),
            ("openat", Callers::Compat, "compat_sys_openat 1"),
            ("openat", Callers::All, "sys_openat compat_sys_openat 2"),
            // One function serves both.
            ("close", Callers::All, "sys_close 1"),
            // A call of 32 bits alone, which is another call's spelling in 64 bits.
            ("_llseek", Callers::Compat, "sys_llseek 1"),
        ] {
            assert_eq!(attach(name, callers, kernel()).0.unwrap(), expected, "{name} {callers:?}");
        }
    }

    /// arch/x86/entry/syscalls/syscall_32.tbl of Linux 5.0: the functions are those of native calls.
    #[test]
    fn a_call_that_32_bit_callers_do_not_have_yet_is_an_error() {
        let attach = |name, callers, release| {
            let mut files = vec![PMU[0], PMU[1], ("/proc/kallsyms", SYMBOLS)];
            files.push(("/proc/sys/kernel/osrelease", release));
            attach(name, callers, Kernel { files: files.leak(), ..kernel() }).0
        };
        for name in ["clock_getres_time64", "clock_gettime64"] {
            let error = attach(name, Callers::Compat, "5.0.0-31-generic\n").unwrap_err();
            assert!(error.contains("of 32-bit callers"), "{error}");
            attach(name, Callers::Compat, "5.1.0\n").unwrap();
        }
        // In 64 bits that is another spelling.
        let attached = attach("clock_gettime64", Callers::All, "4.4.155\n");
        assert_eq!(attached.unwrap(), "sys_clock_gettime 1");
        assert_eq!(
            attach("rt_sigsuspend", Callers::All, "4.4.155\n").unwrap(),
            "sys_rt_sigsuspend 1"
        );
        assert_eq!(
            attach("rt_sigsuspend", Callers::All, "5.4.0\n").unwrap(),
            "sys_rt_sigsuspend compat_sys_rt_sigsuspend 2"
        );
    }

    #[test]
    fn a_program_for_kprobe_multi_is_attached_by_one_link() {
        let multi = |names: &[&str]| {
            if names.is_empty() { refused(libc::EFAULT) } else { Ok(1 << 20) }
        };
        let (attached, calls) = attach("openat", Callers::All, Kernel { multi, ..kernel() });
        assert_eq!(attached.unwrap(), "sys_openat compat_sys_openat 1");
        assert!(calls.contains(&"multi sys_openat compat_sys_openat".to_owned()), "{calls:?}");
    }

    #[test]
    fn what_callers_do_not_have_is_told_unless_others_do() {
        let (error, _) = attach("vm86", Callers::Compat, kernel());
        assert!(error.unwrap_err().contains("no system call vm86 of 32-bit callers"));
        let (error, _) = attach("vm86", Callers::All, kernel());
        assert!(error.unwrap_err().contains("no system call vm86"));
        let (error, _) = attach("frobnicate", Callers::All, kernel());
        let error = error.unwrap_err();
        assert!(error.contains("sys_frobnicate") && !error.contains("32-bit"), "{error}");
    }

    #[test]
    fn a_kernel_that_was_booted_without_has_no_32_bit_callers() {
        let off = || {
            let files: &[_] = &[
                ("/proc/cmdline", "ia32_emulation=0\n"),
                ("/proc/sys/kernel/osrelease", "6.12.1\n"),
            ];
            Kernel { files: [PMU, files].concat().leak(), ..kernel() }
        };
        let (error, _) = attach("openat", Callers::Compat, off());
        assert!(error.unwrap_err().contains("ia32_emulation=0"));
        assert_eq!(attach("openat", Callers::All, off()).0.unwrap(), "sys_openat 1");
    }

    /// Nothing is left of the first function's.
    #[test]
    fn what_fails_at_one_function_fails_whole() {
        let kprobe = |symbol: &str, is_return, cpu| match symbol {
            "compat_sys_openat" => refused(libc::EPERM),
            symbol => kprobe(symbol, is_return, cpu),
        };
        let (error, calls) = attach("openat", Callers::All, Kernel { kprobe, ..kernel() });
        assert!(error.unwrap_err().contains("kprobe on compat_sys_openat"), "{calls:?}");
        assert!(calls.contains(&format!("close {}", 1 << 20)), "{calls:?}");
    }

    #[test]
    fn what_takes_one_descriptor_is_refused_of_several() {
        let ((pinned, fd), _) = kernel().run(|| {
            let name = SyscallName::new("openat").unwrap();
            let call = Call { name, cookie: 0, callers: Callers::All };
            let link = super::attach(3, call, Options::default()).unwrap();
            assert!(link.fds().all(|fd| fd.as_raw_fd() == 1 << 20));
            assert!(link.fd().is_err());
            (link.pin("/sys/fs/bpf/x").unwrap_err(), std::os::fd::OwnedFd::try_from(link))
        });
        for error in [pinned, fd.unwrap_err()] {
            assert!(matches!(error, Error::Several { count: 2 }), "{error}");
            assert_eq!(error.errno(), libc::EOPNOTSUPP);
            assert!(error.to_string().contains("2 descriptors"), "{error}");
        }
    }
}
