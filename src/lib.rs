//! Attach a BPF program to any Linux system call, by the name in its man page.
//!
//! ```no_run
//! # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
//! use ksyscall::Ksyscall;
//!
//! let program = load(); // anything that is `AsFd`: aya, libbpf-rs, your own
//! let link = Ksyscall::new("openat")?.retprobe(true).cookie(7).attach(&program)?;
//! println!("runs at each return of {}", link.symbol());
//! drop(link); // detaches
//! # Ok::<(), ksyscall::Error>(())
//! ```
//!
//! The program is of type `BPF_PROG_TYPE_KPROBE`. It runs each time a process of this architecture
//! makes the call, or [`Ksyscall::attach`] fails with an [`Error`] that says why. The kernel
//! function that serves a call often has another name than the call (`stat` is served by
//! `sys_newstat` on x86_64), and a prefix that depends on kernel and architecture
//! (`__x64_sys_newstat`). This crate contains the tables, and finds out the prefix.
//!
//! The kernel skips the program on a CPU that is busy with BPF: see [`recursion_misses`].
//!
//! A [`Link`] is one kernel function and one file descriptor. [`Batch`] attaches a program to
//! several functions and returns [`Links`]: to many calls at once, by one BPF link if the program
//! was loaded for kprobe.multi, and to the calls of 32-bit processes as well ([`Batch::callers`]).
//!
//! # Coming from another library
//! What is written to attach one program to stat(2), on x86_64:
//!
//! | | libbpf 1.7 | aya 0.14 | cilium/ebpf 0.22 | here |
//! |---|---|---|---|---|
//! | At its entry | `bpf_program__attach_ksyscall()`: a function that no call reaches | `program.attach("__x64_sys_newstat", 0)` | `link.Kprobe("sys_newstat", program, nil)` | `Ksyscall::new("stat")?.attach(&program)` |
//! | At its return | `retprobe` of `bpf_ksyscall_opts` | a program for kretprobes | `link.Kretprobe()` | [`retprobe(true)`](Ksyscall::retprobe), any program for kprobes |
//! | With a cookie | `bpf_cookie` | no | `KprobeOptions.Cookie` | [`cookie()`](Ksyscall::cookie) |
//! | Returns of many calls at a time | no | no | `RetprobeMaxActive` | [`max_active()`](Ksyscall::max_active) |
//! | Many calls at once | `bpf_program__attach_kprobe_multi_opts()`, by function | no | `link.KprobeMulti()`, by function | [`Batch`], by call |
//! | Calls of 32-bit processes | by function | by function | by function | [`Batch::callers`], by call |
//! | Detach | `bpf_link__destroy()` | `program.detach()`, or drop what `take_link()` gives | `Close()` | drop the link, or [`Link::detach`] |
//! | Leave attached | `bpf_link__disconnect()` | forget what `take_link()` gives | keep the link | [`Link::forget`] |
//! | Pin | `bpf_link__pin()` | `FdLink::pin()` | `Pin()` | [`Link::pin`] |
//!
//! Any of them may load the program: `program` is anything that is `AsFd`, such as a `Program` of
//! libbpf-rs, `program.fd()?` of an aya program, or an `OwnedFd`. Switch off what a loader attaches
//! by itself by a section or macro (`autoattach` of libbpf-rs). The section does not matter here,
//! only the program's type: a program of `SEC("ksyscall/stat")` is attached to the call that you
//! name.
//!
//! # What the program sees
//! The context is the kernel's `struct pt_regs` at the function. Where the kernel
//! has syscall wrappers the function's first argument points to the caller's
//! registers (x86_64 since 4.17, arm64 since 4.19, i386 since 5.7, riscv64 since
//! 6.6; s390x and POWER in 6.1, on s390x not in 5.10, which has the same names);
//! elsewhere the arguments are the call's own. Source: `syscall_wrapper.h` of each
//! architecture's `include/asm`, and `CONFIG_ARCH_HAS_SYSCALL_WRAPPER`.
//! `KSYSCALL_PROG` of this project's `ksyscall.bpf.h` reads either. docs/arguments.md says where
//! libbpf's `BPF_KSYSCALL` does not.
//!
//! # Requirements
//! Linux 4.1 or later with kprobes, and the privileges that the kernel asks for:
//! `CAP_SYS_ADMIN`, or `CAP_PERFMON` and `CAP_BPF` (5.8) while
//! `kernel.perf_event_paranoid` is at most 2 (Debian's default is 3); without the
//! kprobe PMU (before 4.17) root, for tracefs. Cookies need BPF links of perf
//! events (5.15).
//!
//! # Features
//! - `std` (default): everything described here.
//! - `capi`: the Rust part of the C library; of no use to a Rust program. `make install` in this
//!   crate's folder builds and installs the whole library: `libksyscall.so`, `libksyscall.a`, the
//!   headers, the pkg-config files and the man pages.
//! - `all-tables`: the syscall tables of all architectures, with the calls' numbers
//!   (`Architecture`), for programs that describe calls. Attaching does not require it.

#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(not(any(feature = "std", feature = "capi")))]
compile_error!("enable `std` for the Rust API, or `capi` for the C library");

extern crate alloc;

mod attach;
#[cfg(feature = "std")]
mod batch;
mod calls;
#[cfg(feature = "capi")]
pub mod capi;
mod error;
#[cfg(feature = "std")]
mod functions;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod kernel;
#[cfg(feature = "std")]
mod ksyscall;
#[cfg(feature = "std")]
mod link;
#[cfg(feature = "std")]
mod links;
mod sys;
mod text;

#[cfg(feature = "all-tables")]
pub use calls::architecture::{Architecture, Call, Wrappers};
pub use calls::{CLibrary, Callers, InvalidName, MAX_NAME_LEN, SubCall, Symbol, SyscallName};
pub use error::Error;
pub use kernel::disarmed::{Disarmed, disarmed};
#[cfg(feature = "std")]
pub use {
    batch::{Attaching, Batch},
    functions::KernelFunctions,
    kernel::recursion::recursion_misses,
    ksyscall::Ksyscall,
    link::Link,
    links::{Failure, Links},
};
