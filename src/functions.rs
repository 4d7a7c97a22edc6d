//! Which kernel function serves a call here, without a probe on it.

use crate::attach::is_right;
use crate::kernel::LEARNT;
use crate::kernel::symbols::Symbols;
use crate::kernel::version::version;
use crate::refusal::Place;
use crate::resolve::search::search;
use crate::resolve::table;
use crate::{Error, Symbol, SyscallName};

/// The functions that the running kernel has of system calls, read from /proc/kallsyms.
///
/// ```no_run
/// use ksyscall::{KernelFunctions, SyscallName};
///
/// let functions = KernelFunctions::read()?;
/// println!("{}", functions.serving(&SyscallName::new("stat")?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KernelFunctions(Symbols);

impl KernelFunctions {
    /// Reads the list, some 100,000 lines.
    ///
    /// # Errors
    /// What reading /proc/kallsyms fails with; ENODATA if there are none in it.
    pub fn read() -> Result<Self, std::io::Error> {
        Symbols::read().map(Self).map_err(|errno| std::io::Error::from_raw_os_error(errno.0))
    }

    /// The function that serves the call, to which [`Ksyscall::attach`] attaches.
    ///
    /// [`Ksyscall::attach`]: crate::Ksyscall::attach
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::KernelSymbols`] if whether the function is the call's
    /// own could not be read.
    pub fn serving(&self, name: &SyscallName) -> Result<Symbol, Error> {
        let mut place = Place::of(*name, false);
        let row = table::row(name).in_version(version);
        let found = search(&row, &LEARNT.conventions, &mut place, |symbol, doubt| {
            Ok((self.0.contains(symbol) && !is_right(doubt, symbol, &row)?).then_some(()))
        });
        found.map(|()| place.symbol).map_err(|refusal| Error::new(refusal, &place))
    }

    /// Whether the kernel has a function of that name, which may be one that no call reaches.
    pub fn has(&self, function: &str) -> bool {
        self.0.contains(&Symbol::new(function.as_bytes(), b"", b""))
    }
}
