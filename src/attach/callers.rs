//! Finds the function that serves a call to its native callers, or to 32-bit ones.

use super::{is_right, version_or_latest};
use crate::Error;
use crate::kernel::{LEARNT, compat, stubs};
use crate::resolve::callers::{self, Side};
use crate::resolve::conventions::Doubt;
use crate::resolve::search::search;
use crate::resolve::table::{self, Column, Row};
use crate::resolve::{Symbol, SyscallName};

/// The row of the call on a side.
pub(super) fn row_on(side: Side, is_alone: bool, name: &SyscallName) -> Result<Row<'_>, Error> {
    let no_call = || Error::NoCompatCall { name: *name };
    let row = match side {
        Side::Native if is_alone => table::row(name),
        Side::Native => callers::native_row(name)?,
        Side::Compat => callers::compat_row(name)?,
        Side::X32 => callers::x32_row(name).ok_or_else(no_call)?,
    };
    let row = row.in_version(version_or_latest);
    let is_missing = side == Side::Compat && !row.is_in(Column::Compat);
    if is_missing { Err(no_call()) } else { Ok(row) }
}

/// Tries the symbols that may serve the call on a side until `probe` finds one.
///
/// `is_alone` says that the call is asked for on this side only.
pub(crate) fn search_on<T>(
    side: Side,
    is_alone: bool,
    name: &SyscallName,
    mut probe: impl FnMut(&Symbol) -> Result<Option<T>, Error>,
) -> Result<(Symbol, T), Error> {
    let row = row_on(side, is_alone, name)?;
    let probe = |symbol: &Symbol, doubt| {
        if doubt == Doubt::MayBeStub && stubs::is_known_stub(symbol) {
            return Ok(None);
        }
        let Some(found) = probe(symbol)? else { return Ok(None) };
        Ok((!is_right(doubt, symbol, &row)?).then_some(found))
    };
    match side {
        Side::Native => search(name, &row, &LEARNT.conventions, probe),
        Side::Compat if compat::is_off() => Err(callers::no_compat_callers(true)),
        Side::Compat => callers::search(name, &row, &LEARNT.compat, probe),
        Side::X32 => callers::search_x32(name, &row, &LEARNT.x32, probe),
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::attach::Options;
    use crate::attach::many::Many;
    use crate::attach::plan::Call;
    use crate::resolve::Callers;
    use crate::sys::fake::{Answer, Kernel, PMU, refused};

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
            attach_to(call, Options::default()).map_err(|error| error.to_string())
        })
    }

    fn attach_to(call: Call, options: Options) -> Result<String, Error> {
        let mut many = Many::start(3, options, &[call], false)?;
        many.next(3).unwrap().1?;
        let names: Vec<_> = many.functions(0).map(|symbol| symbol.to_string()).collect();
        Ok(format!("{} {}", names.join(" "), many.into_attachments().as_slice().len()))
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

    /// The kernel refuses to remove an entry while its event is open, which is kept here.
    #[test]
    fn what_fails_at_one_function_removes_the_entries_of_the_others() {
        const FILES: &[(&str, &str)] =
            &[PMU[0], PMU[1], ("/sys/kernel/tracing/kprobe_events", ""), ("*/id", "7\n")];
        let link_create = |_| {
            thread_local!(static LINKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
            LINKS.set(LINKS.get() + 1);
            if LINKS.get() == 1 { Ok(20) } else { refused(libc::EPERM) }
        };
        let (attached, calls) = Kernel { files: FILES, link_create, ..kernel() }.run(|| {
            let name = SyscallName::new("openat").unwrap();
            let call = Call { name, cookie: 0, callers: Callers::All };
            let options =
                Options { retprobe: true, keep_event: true, max_active: 9, ..Options::default() };
            attach_to(call, options)
        });
        assert!(attached.unwrap_err().to_string().contains("BPF_LINK_CREATE"));
        let step = |call: &String| {
            let mut words = call.split([' ', ':', '/', '\n']);
            match [words.next(), words.next()].map(Option::unwrap_or_default) {
                ["write", "r9"] => Some("add an entry"),
                ["write", "-"] => Some("remove an entry"),
                ["tracepoint", _] => Some("open an event"),
                ["link", _] => Some("make a link"),
                ["close", "10"] => Some("close an event"),
                ["close", "20"] => Some("close a link"),
                _ => None,
            }
        };
        let steps: Vec<_> = calls.iter().filter_map(step).collect();
        let attach = ["add an entry", "open an event", "make a link"];
        let end = ["close an event", "remove an entry"];
        assert_eq!(steps, [&attach[..], &attach, &end, &["close a link"], &end].concat());
    }
}
