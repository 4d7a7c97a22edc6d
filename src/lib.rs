//! Attach a BPF program to any Linux system call, by the name in its man page.
//!
//! The kernel function that serves a system call often has a different name. On x86_64, for
//! example, `sys_newstat` serves `stat`. The symbol also has a prefix that depends on the kernel
//! and the architecture: `__x64_sys_newstat`. This crate contains the kernel's syscall tables and
//! detects the prefix. After [`Ksyscall::attach`] succeeds, the program runs each time a process of
//! this architecture makes the call. If `attach` fails, it returns an [`Error`] that explains why.
//!
//! # Quick start
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
//! The program must be of type `BPF_PROG_TYPE_KPROBE`. The program's section does not matter: even
//! a program in `SEC("ksyscall/stat")` is attached to the call that you name. Any library may load
//! the program: pass a `Program` of libbpf-rs, `program.fd()?` of an aya program, or an `OwnedFd`.
//! If the loader attaches programs automatically, disable this (`autoattach` in libbpf-rs).
//!
//! # Which type to use
//! | To | Use |
//! |---|---|
//! | attach to one call | [`Ksyscall`], which returns a [`Link`]: one function, one descriptor |
//! | attach to many calls | [`Batch`], which returns [`Links`] |
//! | report progress while attaching, or stop early | [`Batch::attaching`] |
//! | include calls by 32-bit processes | [`Batch::callers`] |
//! | track more calls in progress, and so lose fewer returns | [`Ksyscall::max_active`] |
//! | count missed entries or returns | [`Link::missed`], [`Links::missed`] |
//! | count the calls for which a busy CPU skipped the program | [`recursion_misses`] |
//! | detect a kernel that attaches programs but never runs them | [`disarmed()`] |
//! | find the functions that serve a call, without attaching | [`KernelFunctions`] |
//! | find the calls that a C library function makes | [`CLibrary::calls`] |
//! | identify a call made through socketcall(2) or ipc(2) | [`SubCall`] |
//!
//! # What the program sees
//! The context is the kernel's `struct pt_regs` at the function. If the kernel has syscall
//! wrappers, the function's first argument points to the caller's registers. Kernels have had
//! wrappers on x86_64 since Linux 4.17, on arm64 since 4.19, on i386 since 5.7, on POWER since 6.1
//! and on riscv64 since 6.6. On s390x, Linux 6.1 has wrappers. (Linux 5.10 uses the same names on
//! s390x, but does not pass this pointer.) On other kernels, the function's arguments are the
//! call's arguments. Source: `syscall_wrapper.h` in each architecture's `include/asm`, and
//! `CONFIG_ARCH_HAS_SYSCALL_WRAPPER`. `KSYSCALL_PROG` in this project's `ksyscall.bpf.h` reads the
//! arguments on both kinds of kernel. docs/arguments.md lists the cases in which libbpf's
//! `BPF_KSYSCALL` does not work.
//!
//! # Errors
//! Functions that attach or detach return [`Error`]. The error's message reports what failed and at
//! which kernel function, what the kernel returned, and the likely cause. [`Error::errno`] returns
//! the errno that the C library sets for the same failure. If an attach fails, nothing stays
//! attached or open. docs/errors.md explains each message.
//!
//! # Requirements
//! - Linux 4.1 or later with kprobes. Cookies require BPF links for perf events (Linux 5.15).
//! - `CAP_SYS_ADMIN`; or `CAP_PERFMON` and `CAP_BPF` (Linux 5.8) if `kernel.perf_event_paranoid` is
//!   at most 2 (Debian's default is 3).
//! - Before Linux 4.17: root, because these kernels have no kprobe PMU, so the crate uses tracefs
//!   instead.
//!
//! # Features
//! - `std` (default): the Rust API.
//! - `capi`: the Rust part of the C library. Rust programs do not need this feature. `make install`
//!   in this crate's directory builds and installs the whole library: `libksyscall.so`,
//!   `libksyscall.a`, the headers, the pkg-config files and the man pages.
//! - `all-tables`: the syscall tables and numbers of all architectures (`Architecture`), for
//!   programs that describe system calls. Attaching does not require it.
//!
//! # Minimum supported Rust version
//! Rust 1.85.
//!
//! # Coming from another library
//! How each library attaches one program to stat(2) on x86_64:
//!
//! | | libbpf 1.7 | aya 0.14 | cilium/ebpf 0.22 | ksyscall |
//! |---|---|---|---|---|
//! | Entry | `bpf_program__attach_ksyscall()`: a function that no call reaches | `program.attach("__x64_sys_newstat", 0)` | `link.Kprobe("sys_newstat", program, nil)` | `Ksyscall::new("stat")?.attach(&program)` |
//! | Return | `retprobe` of `bpf_ksyscall_opts` | a kretprobe program | `link.Kretprobe()` | [`retprobe(true)`](Ksyscall::retprobe), any kprobe program |
//! | Cookie | `bpf_cookie` | no | `KprobeOptions.Cookie` | [`cookie()`](Ksyscall::cookie) |
//! | Number of returns tracked | no | no | `RetprobeMaxActive` | [`max_active()`](Ksyscall::max_active) |
//! | Many calls | `bpf_program__attach_kprobe_multi_opts()`, by function | no | `link.KprobeMulti()`, by function | [`Batch`], by call |
//! | Calls by 32-bit processes | by function | by function | by function | [`Batch::callers`], by call |
//! | Detach | `bpf_link__destroy()` | `program.detach()`, or drop the result of `take_link()` | `Close()` | drop the link, or [`Link::detach`] |
//! | Leave attached | `bpf_link__disconnect()` | forget the result of `take_link()` | keep the link | [`Link::forget`] |
//! | Pin | `bpf_link__pin()` | `FdLink::pin()` | `Pin()` | [`Link::pin`] |

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
