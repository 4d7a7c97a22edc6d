//! What is said of a failure: what was tried, what the kernel answered, and what that
//! may mean.
//!
//! The text is made in pieces, for the C library has no other way to make one: what a
//! format needs would be a tenth of its code.

use errno::Errno;

use crate::candidates::{CONVENTIONS, Conventions};
use crate::name::SyscallName;
use crate::refusal::{Place, Refusal};
use crate::{sys, table};

/// Says what failed, and where.
pub(crate) fn say(refusal: Refusal, place: &Place, out: &mut dyn FnMut(&[u8])) {
    let symbol = place.symbol.as_bytes();
    match refusal {
        Refusal::InvalidName => out(b"a syscall's name is 1 to 64 of a-z, 0-9 and _"),
        Refusal::NotFound(tried) => say_not_found(&place.name, tried, out),
        Refusal::Probe(errno) | Refusal::Event(errno) => {
            out(b"perf_event_open of a ");
            out(if place.retprobe { b"kretprobe on " } else { b"kprobe on " });
            say_failure(symbol, errno, perf_event_hint(errno), out);
        }
        Refusal::NoReturnProbe => {
            out(symbol);
            out(b": this kernel allows no return probe on functions that ftrace can trace");
        }
        Refusal::Tracefs(step, errno) => {
            out(b"tracefs: ");
            say_failure(step.as_bytes(), errno, b"", out);
        }
        Refusal::KernelSymbols(errno) => {
            out(b"whether ");
            out(symbol);
            out(b" is a call's own function: ");
            say_failure(b"/proc/kallsyms", errno, b"", out);
        }
        Refusal::LinkCreate(errno) => {
            out(b"bpf(BPF_LINK_CREATE) of the probe on ");
            say_failure(symbol, errno, program_hint(errno), out);
        }
        Refusal::SetBpf(errno) => {
            out(b"ioctl(PERF_EVENT_IOC_SET_BPF) of the probe on ");
            say_failure(symbol, errno, program_hint(errno), out);
        }
        Refusal::CookieUnsupported => {
            out(b"a BPF cookie needs a kernel with BPF links of perf events (Linux 5.15)");
        }
        Refusal::Close(errno) => say_failure(b"close of the attachment", errno, b"", out),
    }
}

fn say_not_found(name: &SyscallName, tried: Conventions, out: &mut dyn FnMut(&[u8])) {
    out(b"no system call ");
    out(name.as_bytes());
    out(b": ");
    let row = table::row(name);
    let mut lead = &b"this kernel does not have it: tried "[..];
    let mut shown = Conventions::NONE;
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        if tried.contains(index) {
            for symbol in convention.symbols(&row) {
                if shown.that_have(&symbol, &row).is_empty() {
                    out(lead);
                    out(symbol.as_bytes());
                    lead = b", ";
                }
            }
            shown = shown.with(index);
        }
    }
    if lead != b", " {
        out(b"no entry of this architecture's system call table leads to it");
    }
    if row.is_known {
        if !row.since().is_empty() {
            out(b"; it exists since Linux ");
            out(row.since());
        }
        return;
    }
    lead = b"; did you mean ";
    table::nearest(name, &mut |near| {
        out(lead);
        out(near);
        lead = b", ";
    });
    if lead == b", " {
        out(b"?");
    }
}

/// Says what failed, what the kernel answered, and what that may mean.
pub(super) fn say_failure(what: &[u8], errno: Errno, hint: &[u8], out: &mut dyn FnMut(&[u8])) {
    let mut buffer = [0; 128];
    out(what);
    out(b": ");
    out(sys::strerror(errno, &mut buffer));
    out(hint);
}

/// What an errno of perf_event_open means for a probe.
fn perf_event_hint(errno: Errno) -> &'static [u8] {
    match errno.0 {
        libc::EPERM | libc::EACCES => {
            b" (it takes CAP_SYS_ADMIN, or CAP_PERFMON with kernel.perf_event_paranoid below 3, \
              and neither lockdown nor a seccomp filter against it)"
        }
        libc::EADDRNOTAVAIL => b" (the kernel has several functions of this name)",
        libc::ENODEV => b" (ftrace has shut itself down, until a reboot: see the kernel's log)",
        libc::ENOSYS => b" (the kernel has no perf events, or a seccomp filter refuses them)",
        libc::EINVAL => b" (the kernel allows no probe there; its log may say why)",
        _ => b"",
    }
}

/// What an errno of an attachment means for the program.
fn program_hint(errno: Errno) -> &'static [u8] {
    match errno.0 {
        libc::EINVAL => {
            b" (it must be of type BPF_PROG_TYPE_KPROBE, not sleepable, not loaded for kprobe.multi, \
             kprobe.session or uprobes, and call bpf_override_return() only where that is allowed)"
        }
        libc::EBADF => b" (the program's fd is not open)",
        _ => b"",
    }
}
