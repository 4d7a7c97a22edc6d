//! The way of many calls: the program is attached to all by one kprobe.multi link, if it
//! was loaded for that, or else to one after the other by perf events.
//!
//! The functions of a kprobe.multi link must all be known. First those are tried that a
//! kernel has in which nothing is missing; only if it has not all of them they are looked
//! up in its list of symbols, which takes longer than all the rest.

use alloc::vec::Vec;
use core::ffi::c_int;

use errno::Errno;

use super::callers::search_on;
use super::{Options, multi_link, perf_link, probe};
use crate::attachment::Attachment;
use crate::attachments::Attachments;
use crate::kernel::LEARNT;
use crate::kernel::addresses::{Addresses, may_be_one};
use crate::kernel::symbols::Symbols;
use crate::kernel::version::version;
use crate::refusal::{Place, Refusal};
use crate::resolve::callers::{Callers, Side};
use crate::resolve::conventions::Doubt;
use crate::resolve::search::search;
use crate::resolve::{Symbol, SyscallName, table};
use crate::sys::{self, Fd, KprobeMulti};

/// One of the calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: SyscallName,
    pub(crate) cookie: u64,
    pub(crate) callers: Callers,
}

impl Call {
    fn sides(&self) -> &'static [Side] {
        self.callers.sides(&self.name)
    }
}

/// A call as it is made from one side, by a function of its own.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The call's number.
    call: usize,
    side: Side,
    plan: Plan,
}

/// What is to be done for a part, or was.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// The function that serves it is attached to, or will be by the kprobe.multi link.
    Function(Symbol),
    /// Nothing: the earlier part of that number has the same function.
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
    /// Those of a call stand together, in the order of the calls.
    parts: Vec<Part>,
    symbols: Option<Symbols>,
    /// Read when it is first asked whether two symbols are of one function.
    addresses: Option<Result<Addresses, Errno>>,
    attachments: Attachments,
    /// The perf events' descriptors that are to be kept.
    kept: Vec<Fd>,
    /// How many calls are done with, and how many parts.
    done: usize,
    parts_done: usize,
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
        let count = calls.iter().map(|call| call.sides().len()).sum();
        let attachments = Attachments::with_room(count).ok_or(Refusal::NoMemory)?;
        let mut parts = Vec::new();
        parts.try_reserve_exact(count).map_err(|_| Refusal::NoMemory)?;
        for (index, call) in calls.iter().enumerate() {
            let part = |side: &Side| Part { call: index, side: *side, plan: Plan::Search };
            parts.extend(call.sides().iter().map(part));
        }
        let mut many = Self {
            program_fd,
            options,
            calls,
            parts,
            symbols: None,
            addresses: None,
            attachments,
            kept: Vec::new(),
            done: 0,
            parts_done: 0,
        };
        match kind {
            Some(kind) if many.attach_guessed(kind)? => {}
            Some(kind) => {
                many.symbols = Some(Symbols::read().map_err(Refusal::KernelSymbols)?);
                for number in 0..count {
                    let plan = many.plan(number);
                    many.set_plan(number, plan);
                }
                if !best_effort {
                    many.none_is_refused(place)?;
                }
                many.attach_multi(kind, best_effort, place)?;
            }
            None => many.has_descriptors()?,
        }
        Ok(many)
    }

    /// Of the call with this number, before any symbol was tried.
    fn place(&self, index: usize) -> Place {
        let name = self.calls.get(index).map_or(SyscallName::EMPTY, |call| call.name);
        Place::of(name, self.options.retprobe)
    }

    /// The part of that number, or one of no call.
    fn part(&self, number: usize) -> Part {
        let none = Part { call: usize::MAX, side: Side::Native, plan: Plan::Search };
        self.parts.get(number).copied().unwrap_or(none)
    }

    fn set_plan(&mut self, number: usize, plan: Plan) {
        if let Some(part) = self.parts.get_mut(number) {
            part.plan = plan;
        }
    }

    /// Makes one link on the functions that native callers have in a kernel in which nothing
    /// is missing. False if this kernel is none, or others are meant, too; then nothing is
    /// attached.
    fn attach_guessed(&mut self, kind: KprobeMulti) -> Result<bool, Refusal> {
        // Of a guess nothing is learnt.
        let learnt = LEARNT.conventions.copy();
        for number in 0..self.parts.len() {
            let part = self.part(number);
            if part.side != Side::Native || !self.is_alone(part) {
                return Ok(false);
            }
            let mut place = self.place(part.call);
            let row = table::row(&place.name).in_version(version);
            let first = search(&row, &learnt, &mut place, |_, doubt| match doubt {
                Doubt::None => Ok(Some(())),
                _ => Err(Refusal::NotFound),
            });
            match first.map(|()| self.function(number, &place.symbol)) {
                Ok(plan @ (Plan::Function(_) | Plan::SameAs(_))) => self.set_plan(number, plan),
                _ => return Ok(false),
            }
        }
        Ok(self.link_functions(kind)?.is_ok())
    }

    fn plan(&mut self, number: usize) -> Plan {
        let part = self.part(number);
        let mut place = self.place(part.call);
        match self.find(part, &mut place) {
            Ok(()) => self.function(number, &place.symbol),
            Err(refusal) => Plan::Refused(refusal),
        }
    }

    /// Finds the function of the part in the list of symbols.
    fn find(&self, part: Part, place: &mut Place) -> Result<(), Refusal> {
        search_on(part.side, self.is_alone(part), place, |symbol| {
            let is_there = self.symbols.as_ref().is_some_and(|symbols| symbols.contains(symbol));
            Ok(is_there.then_some(()))
        })
    }

    /// Whether the call has no other part.
    fn is_alone(&self, part: Part) -> bool {
        self.calls.get(part.call).is_none_or(|call| call.sides().len() == 1)
    }

    /// What is to be done for a part with that function. If an earlier one has it, too, it is
    /// attached to once, so there can be but one cookie.
    fn function(&mut self, number: usize, symbol: &Symbol) -> Plan {
        let cookie =
            |many: &Self, number| many.calls.get(many.part(number).call).map(|it| it.cookie);
        let side = self.part(number).side;
        for earlier in 0..number {
            let Some(Part { plan: Plan::Function(other), side: its_side, .. }) =
                self.parts.get(earlier)
            else {
                continue;
            };
            if other != symbol && (*its_side == side || !may_be_one(other, symbol)) {
                continue;
            }
            let other = *other;
            match self.are_one(&other, symbol) {
                Ok(false) => {}
                Ok(true) if cookie(self, earlier) == cookie(self, number) => {
                    return Plan::SameAs(earlier);
                }
                Ok(true) => return Plan::Refused(Refusal::SameFunction),
                Err(errno) => return Plan::Refused(Refusal::Addresses(errno)),
            }
        }
        Plan::Function(*symbol)
    }

    fn are_one(&mut self, one: &Symbol, other: &Symbol) -> Result<bool, Errno> {
        if one == other {
            return Ok(true);
        }
        let addresses = self.addresses.get_or_insert_with(Addresses::read);
        addresses.as_ref().map_err(|errno| *errno)?.are_one(one, other)
    }

    /// Fails with what keeps a call from being attached to; the place is then that.
    fn none_is_refused(&self, place: &mut Place) -> Result<(), Refusal> {
        let mut number = 0;
        for (index, call) in self.calls.iter().enumerate() {
            let mut outcome = Outcome::of(self.place(index));
            for _ in call.sides() {
                let part = self.part(number);
                number += 1;
                let result = match part.plan {
                    Plan::Refused(refusal) => {
                        let _ = self.find(part, &mut outcome.place);
                        Err(refusal)
                    }
                    _ => Ok(()),
                };
                outcome.add(result);
            }
            outcome.into_result(place)?;
        }
        Ok(())
    }

    /// Whether there are as many descriptors as perf events and links will take: a link's
    /// for each call, and an event's for a moment.
    fn has_descriptors(&self) -> Result<(), Refusal> {
        let kept = if self.options.keep_event { 2 } else { 1 };
        let needed = kept * self.parts.len() + 1;
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
        functions.try_reserve_exact(self.parts.len()).map_err(no_memory)?;
        cookies.try_reserve_exact(self.parts.len()).map_err(no_memory)?;
        for part in &self.parts {
            if let Plan::Function(symbol) = part.plan {
                functions.push(symbol);
                cookies.push(self.calls.get(part.call).map_or(0, |call| call.cookie));
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
        for Part { plan, .. } in &mut self.parts {
            if matches!(plan, Plan::Function(symbol) if !traceable.contains(symbol)) {
                *plan = Plan::Refused(Refusal::NotTraceable);
            }
        }
    }

    /// Attaches to the next call; returns its number and what became of it. None if that
    /// was all.
    ///
    /// Of a call with several functions, those that can be attached to are, whatever becomes
    /// of the others.
    pub(crate) fn next(&mut self, place: &mut Place) -> Option<(usize, Result<(), Refusal>)> {
        let index = self.done;
        let sides = self.calls.get(index)?.sides().len();
        self.done += 1;
        let mut outcome = Outcome::of(self.place(index));
        for _ in 0..sides {
            let number = self.parts_done;
            self.parts_done += 1;
            let result = self.attach_part(number, &mut outcome.place);
            if let Err(refusal) = result {
                self.set_plan(number, Plan::Refused(refusal));
            }
            outcome.add(result);
        }
        Some((index, outcome.into_result(place)))
    }

    fn attach_part(&mut self, number: usize, place: &mut Place) -> Result<(), Refusal> {
        let part = self.part(number);
        let plan = match part.plan {
            Plan::SameAs(earlier) => self.part(earlier).plan,
            plan => plan,
        };
        match plan {
            Plan::Search => self.search_and_attach(number, place),
            Plan::Function(symbol) => {
                place.symbol = symbol;
                Ok(())
            }
            Plan::Refused(refusal) => {
                // For the place alone.
                let _ = self.find(part, place);
                Err(refusal)
            }
            Plan::SameAs(_) => Ok(()),
        }
    }

    /// Opens a perf event on the function of the part, and attaches the program to it.
    fn search_and_attach(&mut self, number: usize, place: &mut Place) -> Result<(), Refusal> {
        let part = self.part(number);
        let kind = self.options.kind();
        let probe = |symbol: &Symbol| probe::probe_symbol(symbol, kind);
        let event = search_on(part.side, self.is_alone(part), place, probe)?;
        let plan = self.function(number, &place.symbol);
        match plan {
            Plan::Function(_) => {
                let cookie = self.calls.get(part.call).map_or(0, |call| call.cookie);
                let options = Options { cookie, ..self.options };
                let (attachment, kept) = perf_link::join(self.program_fd, event, options)?;
                self.attachments.push(attachment);
                self.kept.extend(kept);
            }
            Plan::Refused(refusal) => return Err(refusal),
            Plan::SameAs(_) | Plan::Search => {}
        }
        self.set_plan(number, plan);
        Ok(())
    }

    /// The functions that the program is attached to for the call of that number.
    #[cfg(feature = "std")]
    pub(crate) fn functions(&self, index: usize) -> impl Iterator<Item = Symbol> {
        let parts = self.parts.iter().filter(move |part| part.call == index);
        parts.filter_map(move |part| match part.plan {
            Plan::Function(symbol) => Some(symbol),
            Plan::SameAs(earlier) => match self.part(earlier) {
                // Another call's, and so not one of these.
                Part { call, plan: Plan::Function(symbol), .. } if call != index => Some(symbol),
                _ => None,
            },
            Plan::Search | Plan::Refused(_) => None,
        })
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

    /// The same, and the perf events' descriptors that are kept.
    pub(crate) fn into_all(self) -> (Attachments, Vec<Fd>) {
        (self.attachments, self.kept)
    }
}

/// What becomes of a call, of which there are parts: it is attached to if one of them is, and
/// no other has a function that could not be.
struct Outcome {
    /// Where the next part is tried.
    place: Place,
    /// The place of the first that was attached to, or that failed.
    decided: Option<(Result<(), Refusal>, Place)>,
    absent: Option<Refusal>,
}

impl Outcome {
    fn of(place: Place) -> Self {
        Self { place, decided: None, absent: None }
    }

    /// Adds what became of a part.
    fn add(&mut self, result: Result<(), Refusal>) {
        match result {
            Err(refusal) if refusal.is_absence() => self.absent = self.absent.or(Some(refusal)),
            Ok(()) if self.decided.is_some() => {}
            Err(_) if matches!(self.decided, Some((Err(_), _))) => {}
            result => self.decided = Some((result, self.place)),
        }
    }

    fn into_result(self, place: &mut Place) -> Result<(), Refusal> {
        let (result, at) = match (self.decided, self.absent) {
            (Some(decided), _) => decided,
            (None, Some(refusal)) => (Err(refusal), self.place),
            (None, None) => (Ok(()), self.place),
        };
        *place = at;
        result
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
        let call = |name: &&str| Call {
            name: SyscallName::new(name).unwrap(),
            cookie: 0,
            callers: Callers::Native,
        };
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
