//! Checks a kernel function that a program requests by name: whether a system call reaches the
//! function, and which function serves the call of the same name.

use super::search::{self, in_this_version, native_row};
use super::{Options, probe, probe_call};
use crate::Error;
use crate::calls::abi::Abi;
use crate::calls::conventions::Conventions;
use crate::calls::form::Form;
use crate::calls::{Symbol, SyscallName, table};
use crate::kernel::{Kind, LEARNT};

/// Whether, according to the tables, a system call reaches the kernel function that a loader
/// requests.
pub(crate) enum Serving {
    /// A system call reaches the function, provided that the kernel has the function.
    Itself,
    /// No system call reaches the function. The call of the same name reaches a different function.
    Another,
    /// No system call reaches the function. The call of the same name does not exist on this
    /// kernel.
    None,
}

pub(crate) fn serving(form: &Form) -> Serving {
    // In a 32-bit process, the naming convention shows whether the kernel is 32-bit or 64-bit, and
    // thus which functions the process's calls reach.
    if cfg!(target_pointer_width = "32") && !is_convention_known() {
        let _ = SyscallName::new("ioctl")
            .map(|ioctl| probe_call(&ioctl, native_row(&ioctl), Options::default()));
    }
    let row = native_row(&form.call);
    if !row.is_known || may_be_reached(form) {
        Serving::Itself
    } else if row.is_served() {
        Serving::Another
    } else {
        Serving::None
    }
}

/// Finds the function that serves the call for native callers. `probe` reports whether the kernel
/// has a symbol. The result is the last symbol passed to `probe`.
pub(crate) fn find_function(
    name: &SyscallName,
    probe: &mut dyn FnMut(&Symbol) -> Result<bool, Error>,
) -> Result<Symbol, Error> {
    search::find_function(Abi::Native, name, &native_row(name), probe)
}

/// Checks whether the kernel has the function, after a return probe failed with EINVAL. Up to Linux
/// 5.10, EINVAL can also mean that the function does not exist.
pub(crate) fn has_function(symbol: &Symbol) -> bool {
    let kind = Kind { retprobe: true, ..Kind::ENTRY };
    !matches!(probe::probe_symbol(symbol, kind), Ok(None))
}

/// Returns whether a system call from a native process may reach the function that `form` names.
fn may_be_reached(form: &Form) -> bool {
    let possible = LEARNT.conventions.get().map_or(Conventions::ALL, |set| Conventions(set as u8));
    // Check the call with the same name first, because the function usually serves that call.
    form.serves(&native_row(&form.call), possible)
        || table::rows(table::TABLE).any(|row| form.serves(&in_this_version(row), possible))
}

/// Returns whether the kernel's naming convention is known.
fn is_convention_known() -> bool {
    LEARNT.conventions.get().is_some_and(usize::is_power_of_two)
}
