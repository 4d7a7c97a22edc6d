//! The way of many calls: the program is attached to all by one kprobe.multi link, if it
//! was loaded for that, or else to one after the other by perf events.
//!
//! The functions of a kprobe.multi link must all be known. First those are tried that a
//! kernel has in which nothing is missing; only if it has not all of them they are looked
//! up in its list of symbols, which takes longer than all the rest.

use alloc::vec::Vec;
use core::ffi::c_int;

use errno::Errno;

use super::{Options, is_right, multi_link, perf_link};
use crate::attachment::Attachment;
use crate::attachments::Attachments;
use crate::kernel::LEARNT;
use crate::kernel::symbols::Symbols;
use crate::refusal::{Place, Refusal};
use crate::resolve::conventions::Doubt;
use crate::resolve::search::search;
use crate::resolve::{Symbol, SyscallName, table};
use crate::sys::{self, KprobeMulti};

/// One of the calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: SyscallName,
    pub(crate) cookie: u64,
}

/// What is to be done for a call, or was.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// The function that serves it is attached to, or will be by the kprobe.multi link.
    Function(Symbol),
    /// Nothing: an earlier call of that number has the same function.
    SameAs(usize),
    /// To search for the function by perf events, when its turn comes.
    Search,
    /// Nothing: it cannot be attached to.
    Refused(Refusal),
}

/// An attachment to many calls in the making. Dropping it ends what was made.
#[derive(Debug)]
pub(crate) struct Many {
    program_fd: c_int,
    options: Options,
    calls: Vec<Call>,
    plans: Vec<Plan>,
    symbols: Option<Symbols>,
    attachments: Attachments,
    /// How many calls are done with.
    done: usize,
}

impl Many {
    /// Attaches a program for kprobe.multi; for any other, [`Many::next`] does it.
    ///
    /// # Errors
    /// If none can be attached to; and of a program for kprobe.multi unless `best_effort`,
    /// if one cannot.
    pub(crate) fn start(
        program_fd: c_int,
        options: Options,
        calls: Vec<Call>,
        best_effort: bool,
        place: &mut Place,
    ) -> Result<Self, Refusal> {
        options.check()?;
        let kind = multi_link::kind_of(program_fd);
        if kind.is_some() && options.max_active != 0 {
            return Err(Refusal::MaxActive);
        }
        let attachments = Attachments::with_room(calls.len()).ok_or(Refusal::NoMemory)?;
        let mut plans = Vec::new();
        plans.try_reserve_exact(calls.len()).map_err(|_| Refusal::NoMemory)?;
        let mut many =
            Self { program_fd, options, calls, plans, symbols: None, attachments, done: 0 };
        match kind {
            Some(kind) if many.attach_guessed(kind)? => {}
            Some(kind) => {
                many.symbols = Some(Symbols::read().map_err(Refusal::KernelSymbols)?);
                many.plans.clear();
                for index in 0..many.calls.len() {
                    many.plans.push(many.plan(index));
                }
                if !best_effort {
                    many.none_is_refused(place)?;
                }
                many.attach_multi(kind, best_effort, place)?;
            }
            None => {
                many.plans.resize(many.calls.len(), Plan::Search);
                many.has_descriptors()?;
            }
        }
        Ok(many)
    }

    /// Of the call with this number, before any symbol was tried.
    fn place(&self, index: usize) -> Place {
        let name = self.calls.get(index).map_or(SyscallName::EMPTY, |call| call.name);
        Place::of(name, self.options.retprobe)
    }

    /// Makes one link on the functions that a kernel has in which nothing is missing. False
    /// if this kernel is none, and nothing is attached then.
    fn attach_guessed(&mut self, kind: KprobeMulti) -> Result<bool, Refusal> {
        // Of a guess nothing is learnt.
        let learnt = LEARNT.conventions.copy();
        for index in 0..self.calls.len() {
            let mut place = self.place(index);
            let row = table::row(&place.name);
            let first = search(&row, &learnt, &mut place, |_, doubt| match doubt {
                Doubt::None => Ok(Some(())),
                _ => Err(Refusal::NotFound),
            });
            match (first, self.same_as(index, &place.symbol)) {
                (Ok(()), None) => self.plans.push(Plan::Function(place.symbol)),
                (Ok(()), Some(plan @ Plan::SameAs(_))) => self.plans.push(plan),
                _ => return Ok(false),
            }
        }
        Ok(self.link_functions(kind)?.is_ok())
    }

    fn plan(&self, index: usize) -> Plan {
        let mut place = self.place(index);
        match self.find(&mut place) {
            Ok(()) => self.same_as(index, &place.symbol).unwrap_or(Plan::Function(place.symbol)),
            Err(refusal) => Plan::Refused(refusal),
        }
    }

    /// Finds the function of the call in the list of symbols.
    fn find(&self, place: &mut Place) -> Result<(), Refusal> {
        let row = table::row(&place.name);
        search(&row, &LEARNT.conventions, place, |symbol, doubt| {
            let is_there = self.symbols.as_ref().is_some_and(|symbols| symbols.contains(symbol));
            Ok((is_there && !is_right(doubt, symbol, &row)?).then_some(()))
        })
    }

    /// What is to be done for a call whose function an earlier one has: it is attached to
    /// once, so there can be but one cookie.
    fn same_as(&self, index: usize, symbol: &Symbol) -> Option<Plan> {
        let has_it = |plan: &Plan| matches!(plan, Plan::Function(other) if other == symbol);
        let earlier = self.plans.iter().take(index).position(has_it)?;
        let cookie = |index| self.calls.get(index).map(|call: &Call| call.cookie);
        Some(if cookie(earlier) == cookie(index) {
            Plan::SameAs(earlier)
        } else {
            Plan::Refused(Refusal::SameFunction)
        })
    }

    fn none_is_refused(&self, place: &mut Place) -> Result<(), Refusal> {
        for (index, plan) in self.plans.iter().enumerate() {
            if let Plan::Refused(refusal) = plan {
                *place = self.place(index);
                let _ = self.find(place);
                return Err(*refusal);
            }
        }
        Ok(())
    }

    /// Whether there are as many descriptors as perf events and links will take: a link's
    /// for each call, and an event's for a moment.
    fn has_descriptors(&self) -> Result<(), Refusal> {
        let needed = self.calls.len() + 1;
        let mut places = Vec::new();
        places.try_reserve_exact(needed).map_err(|_| Refusal::NoMemory)?;
        places.resize_with(needed, || None);
        sys::can_open(self.program_fd, &mut places)
            .map_err(|free| Refusal::Descriptors { needed, free })
    }

    /// Makes one link on all functions.
    fn attach_multi(
        &mut self,
        kind: KprobeMulti,
        best_effort: bool,
        place: &mut Place,
    ) -> Result<(), Refusal> {
        match self.link_functions(kind)? {
            Ok(()) => return Ok(()),
            // One of them ftrace cannot trace (`ftrace_lookup_symbols()` of
            // kernel/trace/ftrace.c). Which, the kernel does not say.
            Err(Errno(libc::ESRCH)) => self.refuse_untraceable(),
            Err(errno) => return Err(Refusal::MultiLink(errno)),
        }
        if !best_effort {
            self.none_is_refused(place)?;
        }
        self.link_functions(kind)?.map_err(Refusal::MultiLink)
    }

    /// Makes one link on the functions that are planned, if there are any.
    fn link_functions(&mut self, kind: KprobeMulti) -> Result<Result<(), Errno>, Refusal> {
        let no_memory = |_| Refusal::NoMemory;
        let (mut functions, mut cookies) = (Vec::new(), Vec::new());
        functions.try_reserve_exact(self.calls.len()).map_err(no_memory)?;
        cookies.try_reserve_exact(self.calls.len()).map_err(no_memory)?;
        for (plan, call) in self.plans.iter().zip(&self.calls) {
            if let Plan::Function(symbol) = plan {
                functions.push(*symbol);
                cookies.push(call.cookie);
            }
        }
        if functions.is_empty() {
            return Ok(Ok(()));
        }
        let retprobe = self.options.retprobe;
        let link = multi_link::attach(self.program_fd, kind, retprobe, &functions, &cookies);
        Ok(link.map(|fd| self.attachments.push(Attachment { fd, entry: None })))
    }

    fn refuse_untraceable(&mut self) {
        let Ok(traceable) = Symbols::read_traceable() else { return };
        for plan in &mut self.plans {
            if matches!(plan, Plan::Function(symbol) if !traceable.contains(symbol)) {
                *plan = Plan::Refused(Refusal::NotTraceable);
            }
        }
    }

    /// Attaches to the next call; returns its number and what became of it. None if that
    /// was all.
    pub(crate) fn next(&mut self, place: &mut Place) -> Option<(usize, Result<(), Refusal>)> {
        let index = self.done;
        let plan = *self.plans.get(index)?;
        self.done += 1;
        *place = self.place(index);
        let same = match plan {
            Plan::SameAs(earlier) => *self.plans.get(earlier)?,
            plan => plan,
        };
        let result = match same {
            Plan::Search => self.search_and_attach(index, place),
            Plan::Function(symbol) => {
                place.symbol = symbol;
                Ok(())
            }
            Plan::Refused(refusal) => {
                // For the place alone.
                let _ = self.find(place);
                Err(refusal)
            }
            Plan::SameAs(_) => Ok(()),
        };
        Some((index, result))
    }

    /// Opens a perf event on the function of the call, and attaches the program to it.
    fn search_and_attach(&mut self, index: usize, place: &mut Place) -> Result<(), Refusal> {
        let target = super::probe_call(place, self.options)?;
        let plan = self.same_as(index, &place.symbol).unwrap_or(Plan::Function(place.symbol));
        match plan {
            Plan::Function(_) => {
                let cookie = self.calls.get(index).map_or(0, |call| call.cookie);
                let options = Options { cookie, ..self.options };
                let (attachment, _) = perf_link::join(self.program_fd, target.event, options)?;
                self.attachments.push(attachment);
            }
            Plan::Refused(refusal) => return Err(refusal),
            _ => {}
        }
        if let Some(place) = self.plans.get_mut(index) {
            *place = plan;
        }
        Ok(())
    }

    /// How many calls are not done with.
    #[cfg(feature = "std")]
    pub(crate) fn left(&self) -> usize {
        self.calls.len() - self.done
    }

    pub(crate) fn set_threads(&mut self, threads: usize) {
        self.attachments.threads = threads;
    }

    /// What was attached, of which fewer may be open than calls are attached to.
    pub(crate) fn into_attachments(self) -> Attachments {
        self.attachments
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::sys::fake::{Answer, Kernel, PMU, refused};

    /// Without wrappers, as that of the tests of attach.rs: what is learnt of it stays.
    const SYMBOLS: &str = "\
c01 T sys_getpid
c02 T sys_openat
c03 T sys_close
";
    const FILES: &[(&str, &str)] = &[
        PMU[0],
        PMU[1],
        ("/proc/kallsyms", SYMBOLS),
        ("/sys/kernel/tracing/available_filter_functions", "sys_openat\n"),
    ];

    /// The program is for kprobe.multi, and ftrace cannot trace close(2)'s function.
    fn multi(names: &[&str]) -> Answer {
        match names {
            [] => refused(libc::EFAULT),
            names if names.iter().any(|name| name.ends_with("sys_close")) => refused(libc::ESRCH),
            _ => Ok(20),
        }
    }

    /// What became of each call, or where all failed; and the links that were asked for.
    fn attach(
        names: &[&str],
        best_effort: bool,
        kernel: Kernel,
    ) -> (Result<Vec<Option<i32>>, String>, Vec<String>) {
        let call = |name: &&str| Call { name: SyscallName::new(name).unwrap(), cookie: 0 };
        let calls = names.iter().map(call).collect();
        let (results, calls) = kernel.run(|| {
            let mut place = Place::of(SyscallName::EMPTY, false);
            let many = Many::start(3, Options::default(), calls, best_effort, &mut place);
            let mut many = many.map_err(|refusal| format!("{refusal:?} {}", place.symbol))?;
            let mut results = Vec::new();
            while let Some((_, result)) = many.next(&mut place) {
                results.push(result.err().map(|refusal| refusal.errno().0));
            }
            Ok(results)
        });
        let is_of_a_link =
            |call: &String| ["multi s", "multi _", "link"].iter().any(|it| call.starts_with(it));
        (results, calls.into_iter().filter(is_of_a_link).collect())
    }

    #[test]
    fn what_ftrace_cannot_trace_is_left_out_of_a_multi_link_or_fails_it() {
        let kernel = || Kernel { files: FILES, multi, ..Kernel::new() };
        let (results, links) = attach(&["openat", "close"], true, kernel());
        assert_eq!(results, Ok(vec![None, Some(libc::EOPNOTSUPP)]));
        // The first is a guess.
        assert_eq!(links[1..], ["multi sys_openat sys_close", "multi sys_openat"]);
        let (results, links) = attach(&["openat", "close"], false, kernel());
        assert_eq!(results, Err("NotTraceable sys_close".to_owned()));
        assert_eq!(links.len(), 2);
        // The list does not say which: then it is the kernel's answer.
        let silent =
            |names: &[&str]| refused(if names.is_empty() { libc::EFAULT } else { libc::ESRCH });
        let (results, links) = attach(&["openat"], true, Kernel { multi: silent, ..kernel() });
        assert!(results.unwrap_err().starts_with("MultiLink"));
        assert_eq!(links.len(), 3);
    }

    #[test]
    fn perf_events_are_opened_one_by_one_and_once_a_function() {
        let kprobe = |symbol: &str, _, _| {
            if SYMBOLS.contains(&format!(" {symbol}\n")) { Ok(10) } else { refused(libc::ENOENT) }
        };
        let kernel = || Kernel { files: FILES, kprobe, link_create: |_| Ok(20), ..Kernel::new() };
        let names = ["openat", "frobnicate", "sys_openat", "close"];
        let (results, links) = attach(&names, true, kernel());
        assert_eq!(results.unwrap(), [None, Some(libc::ENOENT), None, None]);
        assert_eq!(links.len(), 2, "once a function");
    }

    #[test]
    fn functions_that_can_be_guessed_are_not_looked_up() {
        // With or without wrappers, by what was learnt in other tests.
        let has = |names: &[&str]| {
            let plain = |name: &&str| name.trim_start_matches("__x64_").to_owned();
            let is_there = |name| ["sys_openat", "sys_newstat"].contains(&plain(name).as_str());
            match names {
                [] => refused(libc::EFAULT),
                names if names.iter().all(is_there) => Ok(20),
                _ => refused(libc::ESRCH),
            }
        };
        // Without a list: were it read, that would fail.
        let kernel = || Kernel { multi: has, ..Kernel::new() };
        let (results, links) = attach(&["openat", "stat", "sys_openat"], false, kernel());
        assert_eq!(results, Ok(vec![None; 3]));
        let plain: Vec<_> = links.iter().map(|link| link.replace("__x64_", "")).collect();
        assert_eq!(plain, ["multi sys_openat sys_newstat"]);
        let (results, links) = attach(&["openat", "close"], false, kernel());
        assert!(results.unwrap_err().starts_with("KernelSymbols"), "the list is read only now");
        assert_eq!(links.len(), 1);
    }
}
