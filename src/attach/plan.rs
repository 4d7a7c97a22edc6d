//! Plans an attachment to many calls: which functions serve them, and which calls share a function.
//! The plan itself attaches nothing.

use alloc::vec::Vec;

use errno::Errno;

use super::search::{find_function, find_native, multiplexer_on, native_row, row_on};
use crate::Error;
use crate::calls::abi::{Abi, Callers};
use crate::calls::conventions::Doubt;
use crate::calls::table::Row;
use crate::calls::{Symbol, SyscallName};
use crate::kernel::symbols::{Symbols, may_be_one};
use crate::kernel::{Known, LEARNT};

/// One call of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchCall {
    pub(crate) name: SyscallName,
    pub(crate) cookie: u64,
    pub(crate) callers: Callers,
    /// Whether to also attach the program to the multiplexer (`socketcall` or `ipc`) if some
    /// callers can make the call only through the multiplexer. This field has an effect
    /// only with [`Callers::All`]. The program then runs for every call made through the
    /// multiplexer and must check which call was made.
    pub(crate) multiplexer: bool,
}

impl BatchCall {
    pub(crate) const fn new(name: SyscallName, callers: Callers) -> Self {
        Self { name, cookie: 0, callers, multiplexer: true }
    }

    fn abis(&self) -> &'static [Abi] {
        self.callers.abis(&self.name)
    }

    /// Returns the multiplexers for callers that can make the call only through a multiplexer.
    fn through_multiplexers(&self) -> impl Iterator<Item = (Abi, BatchCall)> {
        let is_wanted = self.multiplexer && self.callers == Callers::All;
        let abis = if is_wanted { &Abi::ALL[..] } else { &[] };
        abis.iter().filter_map(|abi| {
            let sub_call = multiplexer_on(*abi, &self.name)?;
            let name = SyscallName::new(sub_call.multiplexer).ok()?;
            Some((*abi, BatchCall { name, ..*self }))
        })
    }
}

/// A list of calls, split into parts. A call has one part for each ABI that it is requested for,
/// and one for each multiplexer that some callers must use to make the call.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The parts, in the order of the calls. The parts of a call are adjacent.
    parts: Vec<Part>,
    calls: usize,
}

/// One call made through one ABI.
#[derive(Debug)]
struct Part {
    call: BatchCall,
    /// The index of the call.
    index: usize,
    abi: Abi,
    state: State,
}

/// The result of a part.
#[derive(Debug)]
enum State {
    /// The function is not known yet.
    Unknown,
    /// This function serves the part. No earlier part has the same function.
    Function(Symbol),
    /// The part has the same function as the earlier part with this number.
    SameAs(usize),
    /// Attaching to the part's function failed. The error has not been reported yet.
    Failed(Error),
    Reported,
}

/// Returns the cookie for a multiplexer. The program is attached to the multiplexer only once for
/// all calls. If the list contains the multiplexer itself, the multiplexer's cookie is returned.
/// Otherwise, the cookie of the first call made through the multiplexer is returned.
fn multiplexer_cookie(calls: &[BatchCall], parts: &[Part], abi: Abi, call: &BatchCall) -> u64 {
    let itself = calls.iter().find(|other| other.name == call.name && other.abis().contains(&abi));
    let earlier = || parts.iter().find(|part| part.abi == abi && part.call.name == call.name);
    itself.or_else(|| earlier().map(|part| &part.call)).unwrap_or(call).cookie
}

impl Plan {
    /// Creates a plan in which no function is known yet.
    pub(crate) fn of(calls: &[BatchCall]) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let count = calls.iter().map(|call| call.abis().len()).sum();
        parts.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
        for (index, call) in calls.iter().enumerate() {
            let part = |abi: &Abi| Part { call: *call, index, abi: *abi, state: State::Unknown };
            parts.extend(call.abis().iter().map(part));
            for (abi, mut call) in call.through_multiplexers() {
                call.cookie = multiplexer_cookie(calls, &parts, abi, &call);
                parts.try_reserve(1).map_err(|_| Error::NoMemory)?;
                parts.push(Part { call, index, abi, state: State::Unknown });
            }
        }
        Ok(Self { parts, calls: calls.len() })
    }

    /// Creates a plan for one call, and looks up the call's functions in the kernel's symbol list.
    pub(crate) fn of_call(
        name: SyscallName,
        callers: Callers,
        symbols: &Symbols,
    ) -> Result<Self, Error> {
        let mut plan = Self::of(&[BatchCall::new(name, callers)])?;
        plan.look_up(symbols);
        Ok(plan)
    }

    /// Returns the number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// Returns the number of parts.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Returns the number of distinct rows. Parts with the same row have the same function.
    pub(crate) fn count_rows(&self) -> Result<usize, Error> {
        let mut rows: Vec<(Abi, Row<'_>)> = Vec::new();
        rows.try_reserve_exact(self.parts.len()).map_err(|_| Error::NoMemory)?;
        for number in 0..self.parts.len() {
            let Ok((abi, _, row)) = self.part(number) else { continue };
            if !rows.contains(&(abi, row)) {
                rows.push((abi, row));
            }
        }
        Ok(rows.len())
    }

    /// Returns the numbers of the parts that belong to the call at `index`.
    pub(crate) fn parts_of(&self, index: usize) -> core::ops::Range<usize> {
        let start = self.parts.partition_point(|part| part.index < index);
        let end = self.parts.partition_point(|part| part.index <= index);
        start..end
    }

    /// Guesses the functions, as if the kernel had every call. Returns false if a function cannot
    /// be guessed.
    pub(crate) fn guess(&mut self) -> bool {
        // Use a copy of what is known about the kernel, so that no guess is remembered as a fact.
        let learnt = Known::nothing();
        if let Some(set) = LEARNT.conventions.get() {
            learnt.set(set);
        }
        (0..self.parts.len()).all(|number| {
            let BatchCall { name, callers, .. } = self.parts[number].call;
            if callers != Callers::Native {
                return false;
            }
            let row = native_row(&name);
            let first = find_native(&name, &row, &learnt, &mut |_, doubt| match doubt {
                Doubt::None => Ok(true),
                _ => Err(Error::NotFound { name, tried: Vec::new() }),
            });
            // All parts so far are native, so `set_function` does not call the closure.
            let set = |symbol| self.set_function(number, symbol, &|_, _| Ok(false));
            first.and_then(set).is_ok()
        })
    }

    /// Looks up the functions in the kernel's symbol list.
    pub(crate) fn look_up(&mut self, symbols: &Symbols) {
        for number in 0..self.parts.len() {
            let found = self.part(number).and_then(|(abi, name, row)| {
                let is_there = |symbol: &Symbol| symbols.contains(symbol.as_bytes());
                find_function(abi, name, &row, &mut |symbol| Ok(is_there(symbol)))
            });
            let found = found.and_then(|symbol| {
                self.set_function(number, symbol, &|one, other| {
                    symbols.are_same_function(one, other)
                })
            });
            if let Err(error) = found {
                self.fail(number, error);
            }
        }
    }

    /// Returns the ABI, the name and the row that determine the function of a part.
    pub(crate) fn part(&self, number: usize) -> Result<(Abi, &SyscallName, Row<'_>), Error> {
        let Part { call, abi, .. } = &self.parts[number];
        Ok((*abi, &call.name, row_on(*abi, call.callers, &call.name)?))
    }

    /// Sets the function of a part, and returns whether the program must be attached to the
    /// function. If an earlier part has the same function, the two parts share one attachment, so
    /// their cookies must be equal. `are_same_function` reports whether two symbols name the same
    /// function.
    pub(crate) fn set_function(
        &mut self,
        number: usize,
        symbol: Symbol,
        are_same_function: &dyn Fn(&Symbol, &Symbol) -> Result<bool, Errno>,
    ) -> Result<bool, Error> {
        let part = &self.parts[number];
        let mut state = State::Function(symbol);
        for (place, earlier) in self.parts[..number].iter().enumerate() {
            let State::Function(function) = &earlier.state else { continue };
            let is_same = *function == symbol
                || (earlier.abi != part.abi
                    && may_be_one(function, &symbol)
                    && are_same_function(function, &symbol)
                        .map_err(|Errno(errno)| Error::Addresses { symbol, errno })?);
            if is_same && earlier.call.cookie != part.call.cookie {
                return Err(Error::SameFunction { symbol });
            }
            if is_same {
                state = State::SameAs(place);
                break;
            }
        }
        let is_first = matches!(state, State::Function(_));
        self.parts[number].state = state;
        Ok(is_first)
    }

    pub(crate) fn fail(&mut self, number: usize, error: Error) {
        self.parts[number].state = State::Failed(error);
    }

    /// Sets each part to [`State::Failed`] if the part's function is not in `traceable`, the list
    /// of functions that ftrace can trace.
    pub(crate) fn fail_untraceable(&mut self, traceable: &Symbols) {
        for part in &mut self.parts {
            match part.state {
                State::Function(symbol) if !traceable.contains(symbol.as_bytes()) => {
                    part.state = State::Failed(Error::NotTraceable { symbol });
                }
                _ => {}
            }
        }
    }

    pub(crate) fn is_unknown(&self, number: usize) -> bool {
        matches!(self.parts[number].state, State::Unknown)
    }

    pub(crate) fn cookie(&self, number: usize) -> u64 {
        self.parts[number].call.cookie
    }

    /// Returns each function once, with its cookie.
    pub(crate) fn all_functions(&self) -> impl Iterator<Item = (Symbol, u64)> {
        self.parts.iter().filter_map(|part| match part.state {
            State::Function(symbol) => Some((symbol, part.call.cookie)),
            _ => None,
        })
    }

    /// Returns the functions that serve the call at `index`, without duplicates.
    pub(crate) fn functions(&self, index: usize) -> impl Iterator<Item = Symbol> {
        let parts = self.parts_of(index);
        parts.clone().filter_map(move |number| match self.parts[number].state {
            State::SameAs(earlier) if parts.contains(&earlier) => None,
            _ => self.function(number),
        })
    }

    fn function(&self, number: usize) -> Option<Symbol> {
        match self.parts[number].state {
            State::Function(symbol) => Some(symbol),
            State::SameAs(earlier) => self.function(earlier),
            _ => None,
        }
    }

    /// Returns the result of a call: its function (the first one, if there are several) or its
    /// error. An error is returned only once.
    ///
    /// A call succeeds if at least one part has a function and no part fails. A part whose callers
    /// do not have the call does not count as failed.
    pub(crate) fn take_result(&mut self, index: usize) -> Result<Symbol, Error> {
        let mut result: Option<Result<Symbol, Error>> = None;
        for number in self.parts_of(index) {
            let part = match core::mem::replace(&mut self.parts[number].state, State::Reported) {
                State::Failed(error) => Err(error),
                state => {
                    self.parts[number].state = state;
                    Ok(self.function(number).unwrap_or(Symbol::EMPTY))
                }
            };
            result = Some(match (result, part) {
                (None, part) => part,
                (Some(Err(earlier)), Err(later)) if earlier.is_absence() && later.is_absence() => {
                    Err(Error::with_tried_of(earlier, later))
                }
                (Some(Err(earlier)), part) if Error::is_absence(&earlier) => part,
                (Some(Ok(_)), Err(error)) if !error.is_absence() => Err(error),
                (Some(result), _) => result,
            });
        }
        result.unwrap_or(Ok(Symbol::EMPTY))
    }

    /// Returns the error of the first call that failed, if any.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        (0..self.calls).try_for_each(|index| self.take_result(index).map(drop))
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::sys::fake::Kernel;

    /// Returns the ABI, name and cookie of each part that has a row, for example `Compat ipc 3`.
    fn parts(calls: &[BatchCall], files: &'static [(&str, &str)]) -> Vec<String> {
        let describe = |plan: &Plan, number| {
            let (abi, name, _) = plan.part(number).ok()?;
            Some(format!("{abi:?} {name} {}", plan.cookie(number)))
        };
        let (parts, _) = Kernel { files, ..Kernel::new() }.run(|| {
            let plan = Plan::of(calls).unwrap();
            (0..plan.parts()).filter_map(|number| describe(&plan, number)).collect()
        });
        parts
    }

    fn call(name: &str, callers: Callers, cookie: u64) -> BatchCall {
        BatchCall { cookie, ..BatchCall::new(SyscallName::new(name).unwrap(), callers) }
    }

    /// According to arch/x86/entry/syscalls/syscall_32.tbl, 32-bit processes can make `accept`,
    /// `semop` and `send` only through `socketcall` and `ipc`. 64-bit processes do not have `send`
    /// at all.
    #[test]
    fn all_callers_include_those_through_multiplexers() {
        for (name, callers, expected) in [
            ("semop", Callers::All, &["Native semop 7", "Compat ipc 7"][..]),
            ("semop", Callers::Native, &["Native semop 7"]),
            ("sys_accept", Callers::All, &["Native sys_accept 7", "Compat socketcall 7"]),
            ("connect", Callers::All, &["Native connect 7", "Compat connect 7"]),
        ] {
            assert_eq!(parts(&[call(name, callers, 7)], &[]), expected, "{name} {callers:?}");
        }
        assert!(
            parts(&[call("send", Callers::All, 7)], &[]).contains(&"Compat socketcall 7".into())
        );
        // `multiplexer: false` is for existing programs, which do not check the sub-call.
        let unchanged = BatchCall { multiplexer: false, ..call("semop", Callers::All, 7) };
        assert_eq!(parts(&[unchanged], &[]), ["Native semop 7"]);
    }

    #[test]
    fn a_multiplexer_has_its_own_cookie_or_the_cookie_of_its_first_call() {
        let cookies = |names: &[&str]| {
            let calls =
                names.iter().zip(1..).map(|(name, cookie)| call(name, Callers::All, cookie));
            let parts = parts(&calls.collect::<Vec<_>>(), &[]);
            let cookies = parts.iter().filter_map(|part| part.strip_prefix("Compat socketcall "));
            cookies.map(|cookie| cookie.parse().unwrap()).collect::<Vec<u64>>()
        };
        assert_eq!(cookies(&["accept", "semop", "send"]), [1, 1]);
        assert_eq!(cookies(&["accept", "socketcall", "send"]), [2, 2, 2]);
    }

    /// Linux 5.1 added semget to i386.
    #[test]
    fn the_version_decides_which_calls_need_a_multiplexer() {
        let calls = [call("semget", Callers::All, 0)];
        let old = parts(&calls, &[("/proc/sys/kernel/osrelease", "5.0.0\n")]);
        assert_eq!(old, ["Native semget 0", "Compat ipc 0"]);
        let new = parts(&calls, &[("/proc/sys/kernel/osrelease", "5.1.0\n")]);
        assert_eq!(new, ["Native semget 0", "Compat semget 0"]);
    }
}
