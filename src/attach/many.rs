//! Attaches a program to many calls: through one kprobe.multi link if the program was loaded for
//! kprobe.multi, otherwise through a perf event for each function.
//!
//! A kprobe.multi link requires the names of all functions in advance. The first attempt uses
//! guessed names, on the assumption that the kernel has every call. If that attempt fails, the
//! names are looked up in the kernel's list of symbols. The lookup takes longer than all other
//! steps combined.

use alloc::vec::Vec;
use core::cell::OnceCell;
use core::ffi::c_int;

use errno::Errno;

use super::plan::{BatchCall, Plan};
use super::{Options, perf_link, probe};
use crate::Error;
use crate::attach::attachment::Attachment;
use crate::attach::attachments::Attachments;
use crate::calls::Symbol;
use crate::kernel::symbols::Symbols;
use crate::sys::{self, KprobeMulti};

/// An unfinished attachment to many calls. Dropping this value detaches everything attached so far.
///
/// The caller passes the program's descriptor to each method that attaches, because a stored
/// descriptor number could refer to another file by the time it is used.
#[derive(Debug)]
pub(crate) struct Many {
    options: Options,
    plan: Plan,
    /// There may be fewer attachments than calls.
    pub(crate) attachments: Attachments,
    /// The kernel's symbol list, read on first use.
    symbols: OnceCell<Result<Symbols, Errno>>,
    /// Number of calls whose results have been reported.
    done: usize,
}

impl Many {
    /// Starts to attach. A program that was loaded for kprobe.multi is attached immediately;
    /// [`Many::next`] attaches any other program.
    ///
    /// # Errors
    /// Fails if nothing can be attached, for example because the process cannot open enough
    /// descriptors. Without `best_effort`, also fails if a kprobe.multi program cannot be attached
    /// to one of the calls.
    pub(crate) fn start(
        program_fd: c_int,
        options: Options,
        calls: &[BatchCall],
        best_effort: bool,
    ) -> Result<Self, Error> {
        options.check()?;
        // `kind` is None if the program was loaded for perf events, or if the kernel does not
        // support kprobe.multi links, which require Linux 5.18, `CONFIG_FPROBE` and a 64-bit
        // kernel.
        let kind = [KprobeMulti::Multi, KprobeMulti::Session]
            .into_iter()
            .find(|kind| sys::is_for_kprobe_multi(program_fd, *kind));
        if kind.is_some() && options.max_active != 0 {
            return Err(Error::MaxActive);
        }
        let plan = Plan::of(calls)?;
        let attachments = Attachments::with_room(plan.parts())?;
        let mut many = Self { options, plan, attachments, symbols: OnceCell::new(), done: 0 };
        match kind {
            Some(kind) => many.attach_multi(program_fd, kind, best_effort)?,
            None => many.has_descriptors(program_fd)?,
        }
        Ok(many)
    }

    /// Attaches the program to all functions with one link.
    fn attach_multi(
        &mut self,
        program_fd: c_int,
        kind: KprobeMulti,
        best_effort: bool,
    ) -> Result<(), Error> {
        if self.plan.guess() && self.link_functions(program_fd, kind).is_ok() {
            return Ok(());
        }
        let symbols = self.symbols.get_or_init(Symbols::read).as_ref();
        let symbols = symbols.map_err(|Errno(errno)| Error::KernelSymbols { errno: *errno })?;
        self.plan.look_up(symbols);
        if !best_effort {
            self.plan.check()?;
        }
        match self.link_functions(program_fd, kind) {
            // ftrace cannot trace one of the functions (`ftrace_lookup_symbols()` in
            // kernel/trace/ftrace.c), and the kernel does not report which one.
            Err(Error::MultiLink { errno: libc::ESRCH }) => {}
            linked => return linked,
        }
        if let Ok(traceable) = Symbols::read_traceable() {
            self.plan.fail_untraceable(&traceable);
        }
        if !best_effort {
            self.plan.check()?;
        }
        self.link_functions(program_fd, kind)
    }

    /// Creates one link for the functions in the plan, if there are any.
    fn link_functions(&mut self, program_fd: c_int, kind: KprobeMulti) -> Result<(), Error> {
        let (mut functions, mut cookies) = (Vec::new(), Vec::new());
        functions.try_reserve_exact(self.plan.parts()).map_err(|_| Error::NoMemory)?;
        cookies.try_reserve_exact(self.plan.parts()).map_err(|_| Error::NoMemory)?;
        for (symbol, cookie) in self.plan.all_functions() {
            functions.push(symbol);
            cookies.push(cookie);
        }
        if !functions.is_empty() {
            let names = functions.iter().map(Symbol::as_c_str);
            let retprobe = self.options.retprobe && kind == KprobeMulti::Multi;
            let link =
                sys::bpf_link_create_kprobe_multi(program_fd, kind, retprobe, names, &cookies)
                    .map_err(|Errno(errno)| Error::MultiLink { errno })?;
            self.attachments.push(Attachment::new(link, None));
        }
        Ok(())
    }

    /// Checks that the process can open enough descriptors: one for each function's link, one for
    /// each event that is kept open, and one for a temporary event.
    fn has_descriptors(&self, program_fd: c_int) -> Result<(), Error> {
        let of_each = if self.options.keep_event { 2 } else { 1 };
        let needed = of_each * self.plan.parts() + 1;
        let mut places = Vec::new();
        places.try_reserve_exact(needed).map_err(|_| Error::NoMemory)?;
        places.resize_with(needed, || None);
        sys::can_open(program_fd, &mut places).or_else(|free| {
            let needed = of_each * self.plan.count_rows()? + 1;
            if needed <= free { Ok(()) } else { Err(Error::Descriptors { needed, free }) }
        })
    }

    /// Attaches the program to the next call. Returns the call's index, and either the function
    /// that serves the call (the first one, if there are several) or an error. Returns None after
    /// the last call.
    ///
    /// If the program cannot be attached to one of a call's functions, it stays attached to the
    /// call's other functions.
    pub(crate) fn next(&mut self, program_fd: c_int) -> Option<(usize, Result<Symbol, Error>)> {
        let index = self.done;
        if index == self.plan.calls() {
            return None;
        }
        self.done += 1;
        for number in self.plan.parts_of(index) {
            if self.plan.is_unknown(number) {
                if let Err(error) = self.attach_part(program_fd, number) {
                    self.plan.fail(number, error);
                }
            }
        }
        Some((index, self.plan.take_result(index)))
    }

    /// Attaches the program to the part's function through a perf event.
    fn attach_part(&mut self, program_fd: c_int, number: usize) -> Result<(), Error> {
        let (abi, name, row) = self.plan.part(number)?;
        let (symbol, event) = probe::probe_function(abi, name, &row, self.options.kind())?;
        let are_same_function = |one: &Symbol, other: &Symbol| {
            let symbols = self.symbols.get_or_init(Symbols::read);
            symbols.as_ref().map_err(|errno| *errno)?.are_same_function(one, other)
        };
        if self.plan.set_function(number, symbol, &are_same_function)? {
            let options = Options { cookie: self.plan.cookie(number), ..self.options };
            self.attachments.push(perf_link::join(program_fd, event, &symbol, options)?);
        }
        Ok(())
    }

    /// Returns the functions that the program is attached to for the call at `index`, without
    /// duplicates.
    pub(crate) fn functions(&self, index: usize) -> impl Iterator<Item = Symbol> {
        self.plan.functions(index)
    }

    /// Returns the number of calls whose results have not been reported yet.
    pub(crate) fn left(&self) -> usize {
        self.plan.calls() - self.done
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::calls::{Callers, SyscallName};
    use crate::sys::fake::{Answer, Kernel, PMU, refused};

    /// The symbols of a kernel without syscall wrappers.
    pub(super) const SYMBOLS: &str = "\
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
    const FILES: &[(&str, &str)] = &[
        PMU[0],
        PMU[1],
        ("/proc/kallsyms", SYMBOLS),
        ("/sys/kernel/tracing/available_filter_functions", "sys_openat\n"),
    ];

    pub(super) fn kprobe(symbol: &str, _: bool, _: usize) -> Answer {
        if SYMBOLS.contains(&format!(" {symbol}\n")) { Ok(10) } else { refused(libc::ENOENT) }
    }

    /// Simulates a kernel that accepts any program as a kprobe.multi program, but in which ftrace
    /// cannot trace the function that serves close(2).
    fn multi(names: &[&str]) -> Answer {
        match names {
            [] => refused(libc::EFAULT),
            names if names.iter().any(|name| name.ends_with("sys_close")) => refused(libc::ESRCH),
            _ => Ok(20),
        }
    }

    /// Returns each call's errno (None for success), or the error if the whole attach failed. Also
    /// returns every request to create a link.
    fn attach(
        names: &[&str],
        best_effort: bool,
        kernel: Kernel,
    ) -> (Result<Vec<Option<i32>>, String>, Vec<String>) {
        let call = |name: &&str| BatchCall::new(SyscallName::new(name).unwrap(), Callers::Native);
        let calls: Vec<_> = names.iter().map(call).collect();
        let (results, calls) = kernel.run(|| {
            let many = Many::start(3, Options::default(), &calls, best_effort);
            let mut many = many.map_err(|error| error.to_string())?;
            let mut results = Vec::new();
            while let Some((_, result)) = many.next(3) {
                results.push(result.err().map(|error| error.errno()));
            }
            Ok(results)
        });
        let is_of_a_link =
            |call: &String| ["multi s", "multi _", "link"].iter().any(|it| call.starts_with(it));
        (results, calls.into_iter().filter(is_of_a_link).collect())
    }

    #[test]
    fn best_effort_omits_functions_that_ftrace_cannot_trace() {
        let kernel = || Kernel { files: FILES, multi, ..Kernel::new() };
        let (results, links) = attach(&["openat", "close"], true, kernel());
        assert_eq!(results, Ok(vec![None, Some(libc::EOPNOTSUPP)]));
        // The first request contains the guessed function names.
        assert_eq!(links[1..], ["multi sys_openat sys_close", "multi sys_openat"]);
        let (results, links) = attach(&["openat", "close"], false, kernel());
        assert!(results.unwrap_err().starts_with("ftrace cannot trace sys_close"));
        assert_eq!(links.len(), 2);
        // If the list of traceable functions does not explain the failure, the kernel's error is
        // reported.
        let silent =
            |names: &[&str]| refused(if names.is_empty() { libc::EFAULT } else { libc::ESRCH });
        let (results, links) = attach(&["openat"], true, Kernel { multi: silent, ..kernel() });
        assert!(results.unwrap_err().contains("kprobe.multi link"));
        assert_eq!(links.len(), 3);
    }

    #[test]
    fn each_function_gets_one_perf_event() {
        let kernel = || Kernel { files: FILES, kprobe, link_create: |_| Ok(20), ..Kernel::new() };
        let names = ["openat", "frobnicate", "sys_openat", "close"];
        let (results, links) = attach(&names, true, kernel());
        assert_eq!(results.unwrap(), [None, Some(libc::ENOENT), None, None]);
        assert_eq!(links.len(), 2, "one link per function");
    }

    #[test]
    fn names_of_one_function_need_descriptors_once() {
        let link_create = |_| Ok(20);
        let attach = |names: &[&str], free_fds| {
            let kernel = Kernel { files: FILES, kprobe, link_create, free_fds, ..Kernel::new() };
            attach(names, false, kernel)
        };
        let names = ["openat", "sys_openat", "openat", "__NR_openat"];
        let (results, links) = attach(&names, 2);
        assert_eq!((results, links.len()), (Ok(vec![None; 4]), 1));
        for (names, free) in [(&names[..], 1), (&["openat", "openat", "close"], 2)] {
            let (results, links) = attach(names, free);
            let needed = format!("requires {} file descriptors", free + 1);
            assert!(results.unwrap_err().starts_with(&needed), "{names:?}");
            assert_eq!(links.len(), 0);
        }
    }

    #[test]
    fn functions_that_can_be_guessed_are_not_looked_up() {
        // The fake kernel accepts function names with or without the `__x64_` prefix.
        let has = |names: &[&str]| {
            let plain = |name: &&str| name.trim_start_matches("__x64_").to_owned();
            let is_there = |name| ["sys_openat", "sys_newstat"].contains(&plain(name).as_str());
            match names {
                [] => refused(libc::EFAULT),
                names if names.iter().all(is_there) => Ok(20),
                _ => refused(libc::ESRCH),
            }
        };
        // This kernel has no symbol list, so an attempt to read the list would fail.
        let kernel = || Kernel { multi: has, ..Kernel::new() };
        let (results, links) = attach(&["openat", "stat", "sys_openat"], false, kernel());
        assert_eq!(results, Ok(vec![None; 3]));
        let plain: Vec<_> = links.iter().map(|link| link.replace("__x64_", "")).collect();
        assert_eq!(plain, ["multi sys_openat sys_newstat"]);
        let (results, links) = attach(&["openat", "close"], false, kernel());
        assert!(results.unwrap_err().contains("/proc/kallsyms"), "the list is read only now");
        assert_eq!(links.len(), 1);
    }
}

/// Tests attaching a program to one call for different kinds of callers.
#[cfg(all(test, target_arch = "x86_64"))]
mod tests_of_callers {
    use super::tests::{SYMBOLS, kprobe};
    use super::*;
    use crate::calls::conventions::{COMPAT_CONVENTIONS, CONVENTIONS};
    use crate::calls::{Callers, SyscallName};
    use crate::kernel::LEARNT;
    use crate::sys::fake::{Kernel, PMU, refused};

    /// Returns the functions and the number of attachments, or the error. Also returns the system
    /// calls that were made.
    fn attach(
        name: &str,
        callers: Callers,
        kernel: Kernel,
    ) -> (Result<String, String>, Vec<String>) {
        kernel.run(|| {
            let name = SyscallName::new(name).unwrap();
            let call = BatchCall { cookie: 7, ..BatchCall::new(name, callers) };
            attach_to(call, Options::default()).map_err(|error| error.to_string())
        })
    }

    fn attach_to(call: BatchCall, options: Options) -> Result<String, Error> {
        let mut many = Many::start(3, options, &[call], false)?;
        many.next(3).unwrap().1?;
        let names: Vec<_> = many.functions(0).map(|symbol| symbol.to_string()).collect();
        Ok(format!("{} {}", names.join(" "), many.attachments.as_slice().len()))
    }

    /// Descriptors may be closed in other threads, which use the real kernel. For the link, the
    /// test therefore uses a descriptor number that is never open.
    fn kernel() -> Kernel {
        let files = [PMU, &[("/proc/kallsyms", SYMBOLS)]].concat().leak();
        Kernel { files, kprobe, link_create: |_| Ok(1 << 20), ..Kernel::new() }
    }

    #[test]
    fn each_function_of_the_callers_is_attached_once() {
        for (name, callers, expected) in [
            ("openat", Callers::Native, "sys_openat 1"),
            ("openat", Callers::Compat, "compat_sys_openat 1"),
            ("openat", Callers::All, "sys_openat compat_sys_openat 2"),
            // One function serves both kinds of callers.
            ("close", Callers::All, "sys_close 1"),
            // `_llseek` is a 32-bit call. For 64-bit callers, `_llseek` is an alias of `lseek`.
            ("_llseek", Callers::Compat, "sys_llseek 1"),
        ] {
            assert_eq!(attach(name, callers, kernel()).0.unwrap(), expected, "{name} {callers:?}");
        }
    }

    /// In Linux 5.0, these functions serve native calls only
    /// (arch/x86/entry/syscalls/syscall_32.tbl).
    #[test]
    fn calls_that_32_bit_callers_do_not_have_yet_fail() {
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
        // For 64-bit callers, `clock_gettime64` is an alias of `clock_gettime`.
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
    fn kprobe_multi_attaches_to_both_functions_with_one_link() {
        let multi = |names: &[&str]| {
            if names.is_empty() { refused(libc::EFAULT) } else { Ok(1 << 20) }
        };
        let (attached, calls) = attach("openat", Callers::All, Kernel { multi, ..kernel() });
        assert_eq!(attached.unwrap(), "sys_openat compat_sys_openat 1");
        assert!(calls.contains(&"multi sys_openat compat_sys_openat".to_owned()), "{calls:?}");
    }

    #[test]
    fn errors_mention_32_bit_callers_only_if_they_alone_lack_the_call() {
        let (error, _) = attach("vm86", Callers::Compat, kernel());
        assert!(error.unwrap_err().contains("no system call vm86 of 32-bit callers"));
        let (error, _) = attach("semop", Callers::Compat, kernel());
        let error = error.unwrap_err();
        assert!(error.ends_with("; they make it through ipc: attach to ipc"), "{error}");
        let (error, _) = attach("vm86", Callers::All, kernel());
        assert!(error.unwrap_err().contains("no system call vm86"));
        let (error, _) = attach("frobnicate", Callers::All, kernel());
        let error = error.unwrap_err();
        assert!(error.contains("sys_frobnicate") && !error.contains("32-bit"), "{error}");
    }

    #[test]
    fn ia32_emulation_off_disables_32_bit_callers() {
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

    /// The attachment to the first function is removed.
    #[test]
    fn one_failed_function_fails_the_whole_call() {
        let kprobe = |symbol: &str, is_return, cpu| match symbol {
            "compat_sys_openat" => refused(libc::EPERM),
            symbol => kprobe(symbol, is_return, cpu),
        };
        let (error, calls) = attach("openat", Callers::All, Kernel { kprobe, ..kernel() });
        assert!(error.unwrap_err().contains("kprobe on compat_sys_openat"), "{calls:?}");
        assert!(calls.contains(&format!("close {}", 1 << 20)), "{calls:?}");
    }

    /// The kernel refuses to remove an entry while its event is open, and `keep_event` keeps the
    /// event open.
    #[test]
    fn one_failed_function_removes_the_entries_of_the_others() {
        const FILES: &[(&str, &str)] =
            &[PMU[0], PMU[1], ("/sys/kernel/tracing/kprobe_events", ""), ("*/id", "7\n")];
        let link_create = |_| {
            thread_local!(static LINKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
            LINKS.set(LINKS.get() + 1);
            if LINKS.get() == 1 { Ok(20) } else { refused(libc::EPERM) }
        };
        let (attached, calls) = Kernel { files: FILES, link_create, ..kernel() }.run(|| {
            // The kernel is already known to have no wrappers.
            LEARNT.conventions.set(1 << (CONVENTIONS.len() - 1));
            LEARNT.compat.set(COMPAT_CONVENTIONS.len() - 1);
            let name = SyscallName::new("openat").unwrap();
            let call = BatchCall::new(name, Callers::All);
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
