//! The way of many calls: the program is attached to all by one kprobe.multi link, if it
//! was loaded for that, or else to one after the other by perf events. The functions that
//! serve them are looked up before in the kernel's list of symbols, but for a few perf
//! events.

use alloc::vec::Vec;
use core::ffi::c_int;

use errno::Errno;

use super::{Options, is_right, multi_link, perf_link, probe};
use crate::attachment::Attachment;
use crate::attachments::Attachments;
use crate::kernel::LEARNT;
use crate::kernel::symbols::Symbols;
use crate::refusal::{Place, Refusal};
use crate::resolve::search::search;
use crate::resolve::{Symbol, SyscallName, table};
use crate::sys::{self, KprobeMulti};

/// How many perf events are opened in less time than reading the list takes
/// (docs/performance-many.md).
const FEW: usize = 32;

/// One of the calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: SyscallName,
    pub(crate) cookie: u64,
}

/// What is to be done for a call, or was.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// To attach to the function that serves it.
    Function(Symbol),
    /// Nothing: an earlier call of that number has the same function.
    SameAs(usize),
    /// To search for the function when its turn comes, without a list of symbols.
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
    kind: Option<KprobeMulti>,
    attachments: Attachments,
    /// How many calls are done with.
    done: usize,
}

impl Many {
    /// Looks up the functions, if there is a list, and sees to it that they can be attached to.
    ///
    /// A program for kprobe.multi is attached now; for any other, [`Many::next`] does it.
    ///
    /// # Errors
    /// If none can be attached to; and unless `best_effort`, if one of the functions cannot
    /// be found.
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
        let symbols = match kind {
            Some(_) => Some(Symbols::read().map_err(Refusal::KernelSymbols)?),
            None if calls.len() > FEW => Symbols::read().ok(),
            None => None,
        };
        let attachments = Attachments::with_room(calls.len()).ok_or(Refusal::NoMemory)?;
        let mut plans = Vec::new();
        plans.try_reserve_exact(calls.len()).map_err(|_| Refusal::NoMemory)?;
        let mut many =
            Self { program_fd, options, calls, plans, symbols, kind, attachments, done: 0 };
        for index in 0..many.calls.len() {
            let plan = many.plan(index, &mut many.place(index));
            many.plans.push(plan);
        }
        if !best_effort {
            many.none_is_refused(place)?;
        }
        match kind {
            Some(kind) => many.attach_multi(kind, best_effort, place)?,
            None => many.has_descriptors()?,
        }
        Ok(many)
    }

    /// Of the call with this number, before any symbol was tried.
    fn place(&self, index: usize) -> Place {
        let name = self.calls.get(index).map_or(SyscallName::EMPTY, |call| call.name);
        Place::of(name, self.options.retprobe)
    }

    fn plan(&self, index: usize, place: &mut Place) -> Plan {
        match self.find(place) {
            Ok(true) => self.same_as(index, &place.symbol).unwrap_or(Plan::Function(place.symbol)),
            Ok(false) => Plan::Search,
            Err(refusal) => Plan::Refused(refusal),
        }
    }

    /// Finds the function of the call; false if there is no list to find it in.
    fn find(&self, place: &mut Place) -> Result<bool, Refusal> {
        let Some(symbols) = &self.symbols else { return Ok(false) };
        let row = table::row(&place.name);
        search(&row, &LEARNT.conventions, place, |symbol, doubt| {
            Ok((symbols.contains(symbol) && !is_right(doubt, symbol, &row)?).then_some(true))
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
        let takes_one = |plan: &&Plan| matches!(plan, Plan::Function(_) | Plan::Search);
        let needed = self.plans.iter().filter(takes_one).count() + 1;
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
        let no_memory = |_| Refusal::NoMemory;
        let (mut functions, mut cookies) = (Vec::new(), Vec::new());
        functions.try_reserve_exact(self.calls.len()).map_err(no_memory)?;
        cookies.try_reserve_exact(self.calls.len()).map_err(no_memory)?;
        let mut is_tried = false;
        loop {
            functions.clear();
            cookies.clear();
            for (plan, call) in self.plans.iter().zip(&self.calls) {
                if let Plan::Function(symbol) = plan {
                    functions.push(*symbol);
                    cookies.push(call.cookie);
                }
            }
            if functions.is_empty() {
                return Ok(());
            }
            match multi_link::attach(
                self.program_fd,
                kind,
                self.options.retprobe,
                &functions,
                &cookies,
            ) {
                Ok(fd) => {
                    self.attachments.push(Attachment { fd, entry: None });
                    return Ok(());
                }
                // One of them ftrace cannot trace (`ftrace_lookup_symbols()` of
                // kernel/trace/ftrace.c). Which, the kernel does not say.
                Err(Errno(libc::ESRCH)) if !is_tried => {
                    is_tried = true;
                    self.refuse_untraceable();
                    if !best_effort {
                        self.none_is_refused(place)?;
                    }
                }
                Err(errno) => return Err(Refusal::MultiLink(errno)),
            }
        }
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
        let result = match plan {
            Plan::Function(symbol) => {
                place.symbol = symbol;
                self.attach(index, &symbol)
            }
            Plan::SameAs(earlier) => match self.plans.get(earlier) {
                Some(Plan::Refused(refusal)) => Err(*refusal),
                _ => Ok(()),
            },
            Plan::Search => self.search_and_attach(index, place),
            Plan::Refused(refusal) => Err(refusal),
        };
        if matches!(plan, Plan::SameAs(_) | Plan::Refused(_)) {
            // For the place alone.
            let _ = self.find(place);
        }
        if let (Err(refusal), Some(plan)) = (&result, self.plans.get_mut(index)) {
            *plan = Plan::Refused(*refusal);
        }
        Some((index, result))
    }

    fn attach(&mut self, index: usize, symbol: &Symbol) -> Result<(), Refusal> {
        if self.kind.is_some() {
            return Ok(());
        }
        let event = probe::probe_symbol(symbol, self.options.kind())?.ok_or(Refusal::NotFound)?;
        self.attach_to(index, event)
    }

    fn search_and_attach(&mut self, index: usize, place: &mut Place) -> Result<(), Refusal> {
        let target = super::probe_call(place, self.options)?;
        let plan = self.same_as(index, &place.symbol).unwrap_or(Plan::Function(place.symbol));
        if let Some(place) = self.plans.get_mut(index) {
            *place = plan;
        }
        match plan {
            Plan::Function(_) => self.attach_to(index, target.event),
            Plan::Refused(refusal) => Err(refusal),
            _ => Ok(()),
        }
    }

    fn attach_to(&mut self, index: usize, event: Attachment) -> Result<(), Refusal> {
        let cookie = self.calls.get(index).map_or(0, |call| call.cookie);
        let options = Options { cookie, ..self.options };
        let (attachment, _) = perf_link::join(self.program_fd, event, options)?;
        self.attachments.push(attachment);
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
            names if names.contains(&"sys_close") => refused(libc::ESRCH),
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
            |call: &String| ["multi s", "link"].iter().any(|it| call.starts_with(it));
        (results, calls.into_iter().filter(is_of_a_link).collect())
    }

    #[test]
    fn what_ftrace_cannot_trace_is_left_out_of_a_multi_link_or_fails_it() {
        let kernel = || Kernel { files: FILES, multi, ..Kernel::new() };
        let (results, links) = attach(&["openat", "close"], true, kernel());
        assert_eq!(results, Ok(vec![None, Some(libc::EOPNOTSUPP)]));
        assert_eq!(links, ["multi sys_openat sys_close", "multi sys_openat"]);
        let (results, links) = attach(&["openat", "close"], false, kernel());
        assert_eq!(results, Err("NotTraceable sys_close".to_owned()));
        assert_eq!(links.len(), 1);
        // The list does not say which: then it is the kernel's answer.
        let silent =
            |names: &[&str]| refused(if names.is_empty() { libc::EFAULT } else { libc::ESRCH });
        let (results, links) = attach(&["openat"], true, Kernel { multi: silent, ..kernel() });
        assert!(results.unwrap_err().starts_with("MultiLink"));
        assert_eq!(links.len(), 2);
    }

    #[test]
    fn perf_events_of_a_list_and_of_a_few_names_are_the_same() {
        let kprobe = |symbol: &str, _, _| {
            if SYMBOLS.contains(&format!(" {symbol}\n")) { Ok(10) } else { refused(libc::ENOENT) }
        };
        let kernel = || Kernel { files: FILES, kprobe, link_create: |_| Ok(20), ..Kernel::new() };
        let few = ["openat", "frobnicate", "sys_openat"];
        let many = [&few[..], &["close"; FEW]].concat();
        let expected = [None, Some(libc::ENOENT), None];
        for names in [&few[..], &many] {
            let (results, links) = attach(names, true, kernel());
            assert_eq!(results.unwrap()[..3], expected);
            assert_eq!(links.len(), if names.len() > FEW { 2 } else { 1 }, "once a function");
        }
        let (results, links) = attach(&many, false, kernel());
        assert!(results.unwrap_err().starts_with("NotFound"));
        assert!(links.is_empty(), "nothing was attached to before it was found out");
    }
}
