//! From a call's name to the kernel symbols that may serve it: pure, without a look at
//! the running kernel.

#[cfg(feature = "more")]
pub(crate) mod callers;
pub(crate) mod conventions;
#[cfg(test)]
mod encode;
pub(crate) mod name;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod packed;
pub(crate) mod search;
pub(crate) mod suggestions;
pub(crate) mod table;
pub(crate) mod version;

#[cfg(feature = "more")]
#[cfg_attr(not(feature = "std"), allow(unreachable_pub))]
pub use callers::Callers;
pub use conventions::Symbol;
pub use name::{MAX_NAME_LEN, SyscallName};
