//! Finds the kernel functions that serve a call, without attaching a program.

use errno::Errno;

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
/// # Ok::<(), ksyscall::Error>(())
/// ```
#[derive(Debug)]
pub struct KernelFunctions(Symbols);

impl KernelFunctions {
    /// Reads /proc/kallsyms, which contains about 100,000 lines.
    ///
    /// # Errors
    /// Returns [`Error::KernelSymbols`]. The errno is ENODATA if the file contains no functions that
    /// serve system calls.
    pub fn read() -> Result<Self, Error> {
        Symbols::read().map(Self).map_err(|Errno(errno)| Error::KernelSymbols { errno })
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
    /// # Ok::<(), ksyscall::Error>(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::Kernel;

    #[test]
    fn the_error_names_the_file() {
        let (error, _) = Kernel::new().run(|| KernelFunctions::read().unwrap_err().to_string());
        assert!(error.contains("/proc/kallsyms: No such file"), "{error}");
    }
}
