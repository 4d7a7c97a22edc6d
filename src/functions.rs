//! Finds the kernel functions that serve a call, without attaching a program.

use crate::attach::plan::Plan;
use crate::kernel::symbols::Symbols;
use crate::{Callers, Error, Symbol, SyscallName};

/// The running kernel's functions that serve system calls, read from /proc/kallsyms.
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
    /// Reads /proc/kallsyms, which contains about 100,000 lines.
    ///
    /// # Errors
    /// Returns the error from reading /proc/kallsyms, or ENODATA if the file contains no functions
    /// that serve system calls.
    pub fn read() -> Result<Self, std::io::Error> {
        Symbols::read().map(Self).map_err(|errno| std::io::Error::from_raw_os_error(errno.0))
    }

    /// Returns the function that serves the call. [`Ksyscall::attach`] would attach to this
    /// function.
    ///
    /// [`Ksyscall::attach`]: crate::Ksyscall::attach
    ///
    /// # Errors
    /// Returns [`Error::NotFound`], or [`Error::KernelSymbols`] if /proc/kallsyms does not show
    /// whether the function is a stub.
    #[doc(alias = "ksyscall__function")]
    pub fn serving(&self, name: &SyscallName) -> Result<Symbol, Error> {
        Plan::of_call(*name, Callers::Native, &self.0)?.take_result(0)
    }

    /// Returns the functions that serve the call for these callers, without duplicates. Use this
    /// method for programs that attach by other means, such as fentry.
    /// [`Batch::attach`](crate::Batch::attach) would attach to the same functions, including the
    /// functions that serve socketcall(2) and ipc(2).
    ///
    /// ```no_run
    /// use ksyscall::{Callers, KernelFunctions, SyscallName};
    ///
    /// let functions = KernelFunctions::read()?;
    /// for function in functions.serving_callers(&SyscallName::new("execve")?, Callers::All)? {
    ///     println!("{function}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns the errors from [`KernelFunctions::serving`] and, for callers other than native
    /// callers, the errors that [`Batch::attaching`](crate::Batch::attaching) lists.
    pub fn serving_callers(
        &self,
        name: &SyscallName,
        callers: Callers,
    ) -> Result<Vec<Symbol>, Error> {
        let mut plan = Plan::of_call(*name, callers, &self.0)?;
        plan.take_result(0)?;
        Ok(plan.functions(0).collect())
    }

    /// Returns whether the kernel has a function with this name, even if no call reaches the
    /// function.
    pub fn has(&self, function: &str) -> bool {
        self.0.contains(function.as_bytes())
    }
}
