//! Turns a call's name into the kernel symbols that may serve the call. This module does not query
//! the running kernel.

pub(crate) mod abi;
#[cfg(feature = "all-tables")]
pub(crate) mod architecture;
pub(crate) mod c_library;
pub(crate) mod conventions;
#[cfg(feature = "capi")]
pub(crate) mod form;
pub(crate) mod multiplexed;
pub(crate) mod name;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
pub(crate) mod suggestions;
pub(crate) mod table;
pub(crate) mod version;

pub use abi::Callers;
pub use c_library::CLibrary;
pub use conventions::Symbol;
pub use multiplexed::SubCall;
pub use name::{InvalidName, MAX_NAME_LEN, SyscallName};
