//! Plans an attachment to many calls: which functions serve them, and which of these are the same.
//! It attaches nothing.

use alloc::vec::Vec;

use errno::Errno;

use super::search::{find_function, find_native, native_row, row_on};
use crate::Error;
use crate::calls::abi::{Abi, Callers};
use crate::calls::conventions::Doubt;
use crate::calls::table::Row;
use crate::calls::{Symbol, SyscallName};
use crate::kernel::symbols::{Symbols, may_be_one};
use crate::kernel::{Known, LEARNT};

/// One of the calls of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchCall {
    pub(crate) name: SyscallName,
    pub(crate) cookie: u64,
    pub(crate) callers: Callers,
}

impl BatchCall {
    fn abis(&self) -> &'static [Abi] {
        self.callers.abis(&self.name)
    }
}

/// The parts of a list of calls.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Those of a call stand together, in the order of the calls.
    parts: Vec<Part>,
    calls: usize,
}

/// A call as callers of one ABI make it, through a function of its own.
#[derive(Debug)]
struct Part {
    call: BatchCall,
    /// The index of the call.
    index: usize,
    abi: Abi,
    /// Whether the call has no other part.
    is_alone: bool,
    state: State,
}

/// What a part comes to.
#[derive(Debug)]
enum State {
    /// Its function is not known yet.
    Unknown,
    /// It has a function of its own.
    Function(Symbol),
    /// Its function is that of the part at that place.
    SameAs(usize),
    /// It cannot be attached to, which has not been reported yet.
    Failed(Error),
    Reported,
}

impl Plan {
    /// A plan in which no function is known yet.
    pub(crate) fn of(calls: &[BatchCall]) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let count = calls.iter().map(|call| call.abis().len()).sum();
        parts.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
        for (index, call) in calls.iter().enumerate() {
            let (call, is_alone) = (*call, call.abis().len() == 1);
            parts.extend(call.abis().iter().map(|abi| {
                let abi = *abi;
                Part { call, index, abi, is_alone, state: State::Unknown }
            }));
        }
        Ok(Self { parts, calls: calls.len() })
    }

    /// The plan of one call, with its functions in the kernel's list of symbols.
    pub(crate) fn of_call(
        name: SyscallName,
        callers: Callers,
        symbols: &Symbols,
    ) -> Result<Self, Error> {
        let mut plan = Self::of(&[BatchCall { name, cookie: 0, callers }])?;
        plan.look_up(symbols);
        Ok(plan)
    }

    /// How many calls there are.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// How many parts there are.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// How many parts have a row of their own: two of one row have the same function.
    pub(crate) fn count_rows(&self) -> Result<usize, Error> {
        let mut rows: Vec<(Abi, Row<'_>)> = Vec::new();
        rows.try_reserve_exact(self.parts.len()).map_err(|_| Error::NoMemory)?;
        for Part { call, abi, is_alone, .. } in &self.parts {
            let Ok(row) = row_on(*abi, *is_alone, &call.name) else { continue };
            if !rows.iter().any(|(other_abi, other)| other_abi == abi && row == *other) {
                rows.push((*abi, row));
            }
        }
        Ok(rows.len())
    }

    /// The parts of the call of that index.
    pub(crate) fn parts_of(&self, index: usize) -> core::ops::Range<usize> {
        let start = self.parts.partition_point(|part| part.index < index);
        let end = self.parts.partition_point(|part| part.index <= index);
        start..end
    }

    /// Finds the functions that a kernel has in which nothing is missing. False if that cannot
    /// be guessed.
    pub(crate) fn guess(&mut self) -> bool {
        // A guess is no evidence: nothing is learnt from it.
        let learnt = Known::nothing();
        if let Some(set) = LEARNT.conventions.get() {
            learnt.set(set);
        }
        (0..self.parts.len()).all(|number| {
            let Some(Part { call, abi: Abi::Native, is_alone: true, .. }) = self.parts.get(number)
            else {
                return false;
            };
            let (name, row) = (call.name, native_row(&call.name));
            let first = find_native(&name, &row, &learnt, &mut |_, doubt| match doubt {
                Doubt::None => Ok(true),
                _ => Err(Error::NotFound { name, tried: Vec::new() }),
            });
            // Of native callers alone no two symbols are names of one function.
            let set = |symbol| self.set_function(number, symbol, &|_, _| Ok(false));
            first.and_then(set).is_ok()
        })
    }

    /// Finds the functions in the kernel's list of symbols.
    pub(crate) fn look_up(&mut self, symbols: &Symbols) {
        for number in 0..self.parts.len() {
            let found = self.part(number).and_then(|(abi, name, row)| {
                let is_there = |symbol: &Symbol| symbols.contains(symbol.as_bytes());
                find_function(abi, name, &row, &mut |symbol| Ok(is_there(symbol)))
            });
            let found = found.and_then(|symbol| {
                self.set_function(number, symbol, &|one, other| symbols.are_one(one, other))
            });
            if let Err(error) = found {
                self.fail(number, error);
            }
        }
    }

    /// Which function a part is in search of: by which ABI, of which call, and its row.
    pub(crate) fn part(&self, number: usize) -> Result<(Abi, &SyscallName, Row<'_>), Error> {
        let Part { call, abi, is_alone, .. } = &self.parts[number];
        Ok((*abi, &call.name, row_on(*abi, *is_alone, &call.name)?))
    }

    /// Sets the function of a part, and returns whether no earlier part has the same one: then the
    /// program is attached to it once, so there can be only one cookie. `are_one` tells whether two
    /// symbols are names of one function.
    pub(crate) fn set_function(
        &mut self,
        number: usize,
        symbol: Symbol,
        are_one: &dyn Fn(&Symbol, &Symbol) -> Result<bool, Errno>,
    ) -> Result<bool, Error> {
        let part = &self.parts[number];
        let mut state = State::Function(symbol);
        for (place, earlier) in self.parts[..number].iter().enumerate() {
            let State::Function(function) = &earlier.state else { continue };
            let is_same = *function == symbol
                || (earlier.abi != part.abi
                    && may_be_one(function, &symbol)
                    && are_one(function, &symbol)
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

    /// Fails the parts whose function is not among these, which ftrace can trace.
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

    /// Each function once, with its cookie.
    pub(crate) fn all_functions(&self) -> impl Iterator<Item = (Symbol, u64)> {
        self.parts.iter().filter_map(|part| match part.state {
            State::Function(symbol) => Some((symbol, part.call.cookie)),
            _ => None,
        })
    }

    /// The functions of the call of that index, each once.
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

    /// What a call comes to: its function (the first, if it has several), or why it cannot be
    /// attached to, which is given out once.
    ///
    /// A call has a function if one of its parts has and no other failed; callers that do not have
    /// the call do not count.
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

    /// The first error that keeps a call from being attached to.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        (0..self.calls).try_for_each(|index| self.take_result(index).map(drop))
    }
}
