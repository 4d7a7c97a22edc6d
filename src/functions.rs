//! Finds the kernel functions that serve a call, without attaching.

use crate::attach::plan::Plan;
use crate::kernel::symbols::Symbols;
use crate::{Callers, Error, Symbol, SyscallName};

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
    /// [`Error::NotFound`]; [`Error::KernelSymbols`] if it cannot be read whether the function is a
    /// stub.
    pub fn serving(&self, name: &SyscallName) -> Result<Symbol, Error> {
        Plan::of_call(*name, Callers::Native, &self.0)?.take_result(0)
    }

    /// The functions that serve the call to its callers, each once, to which
    /// [`Batch::attach`](crate::Batch::attach) attaches, with those of socketcall(2) and ipc(2) where
    /// it includes them: for those who attach in another way, such
    /// as fentry.
    ///
    /// # Errors
    /// As of [`KernelFunctions::serving`], and what [`Batch::attaching`](crate::Batch::attaching)
    /// reports for other callers.
    pub fn serving_callers(
        &self,
        name: &SyscallName,
        callers: Callers,
    ) -> Result<Vec<Symbol>, Error> {
        let mut plan = Plan::of_call(*name, callers, &self.0)?;
        plan.take_result(0)?;
        Ok(plan.functions(0).collect())
    }

    /// Whether the kernel has a function of that name, which may be one that no call reaches.
    pub fn has(&self, function: &str) -> bool {
        self.0.contains(function.as_bytes())
    }
}
