//! What is said of a failure: what was tried, what the kernel returned, and what that
//! may mean.
//!
//! The text is made in pieces, for the C library has no other way to make one: what a
//! format needs would be a tenth of its code.

use errno::Errno;

use super::{Place, Refusal};
use crate::resolve::{suggestions, table};
use crate::sys;

/// Says what failed, and where.
pub(crate) fn say(refusal: Refusal, place: &Place, out: &mut dyn FnMut(&[u8])) {
    let (sentence, hint): (&[u8], &[u8]) = match refusal {
        Refusal::InvalidName => (b"a syscall's name is 1 to 64 of a-z, 0-9 and _", b""),
        Refusal::NotFound => return say_not_found(place, out),
        Refusal::Probe(errno) | Refusal::Event(errno) => {
            let sentence: &[u8] = match place.retprobe {
                false => b"perf_event_open of a kprobe on $: !",
                true => b"perf_event_open of a kretprobe on $: !",
            };
            (sentence, perf_event_hint(errno))
        }
        Refusal::NoReturnProbe => {
            (b"$: this kernel allows no return probe on functions that ftrace can trace", b"")
        }
        Refusal::Tracefs(step, _) => {
            out(b"tracefs: ");
            out(step.as_bytes());
            (b": !", b"")
        }
        Refusal::KernelSymbols(_) => {
            (b"whether $ is a call's own function is not known: /proc/kallsyms: !", b"")
        }
        Refusal::LinkCreate(errno) => {
            (b"bpf(BPF_LINK_CREATE) of the probe on $: !", program_hint(errno))
        }
        Refusal::SetBpf(errno) => {
            (b"ioctl(PERF_EVENT_IOC_SET_BPF) of the probe on $: !", program_hint(errno))
        }
        Refusal::CookieUnsupported => (b"a BPF cookie needs Linux 5.15", b""),
        #[cfg(feature = "more")]
        Refusal::MultiLink(errno) => {
            (b"bpf(BPF_LINK_CREATE) of a kprobe.multi link: !", multi_hint(errno))
        }
        #[cfg(feature = "more")]
        Refusal::NotTraceable => {
            (b"$ cannot be traced by ftrace, which a program for kprobe.multi needs", b"")
        }
        #[cfg(feature = "more")]
        Refusal::SameFunction => {
            (b"$ serves an earlier call of the list too, which has another cookie", b"")
        }
        #[cfg(feature = "more")]
        Refusal::Descriptors { needed, free } => return say_descriptors(needed, free, out),
        #[cfg(feature = "more")]
        Refusal::NoMemory => (b"no memory", b""),
        #[cfg(feature = "more")]
        Refusal::MaxActive => {
            (b"max_active is 1 to 4096, and for return probes by perf events only", b"")
        }
        #[cfg(feature = "more")]
        Refusal::MaxActiveUnsupported => {
            (b"max_active needs Linux 4.17, and sysfs: there is no kprobe PMU", b"")
        }
        #[cfg(feature = "more")]
        Refusal::Addresses(errno) => (
            b"whether $ is another callers' function, too, is not known: /proc/kallsyms: !",
            addresses_hint(errno),
        ),
        #[cfg(feature = "more")]
        Refusal::CallersUnknown => {
            (b"which functions serve other callers than native ones is not known here", b"")
        }
        #[cfg(feature = "more")]
        Refusal::NoCompatCallers { is_off: false } => {
            (b"this kernel was built without 32-bit system calls: it has no $", b"")
        }
        #[cfg(feature = "more")]
        Refusal::NoCompatCallers { is_off: true } => {
            (b"this kernel was booted without 32-bit system calls (ia32_emulation=0)", b"")
        }
        #[cfg(feature = "more")]
        Refusal::NoCompatCall => return say_no_compat_call(place, out),
        #[cfg(feature = "std")]
        Refusal::Several { count } => return say_several(count, out),
        #[cfg(feature = "std")]
        Refusal::Pin(_) => (b"bpf(BPF_OBJ_PIN): !", b""),
        Refusal::Close(_) => (b"close of the attachment: !", b""),
    };
    fill(sentence, place, refusal.errno(), hint, out);
}

/// Says the sentence, with the symbol for `$`, and for `!` what the kernel returned and
/// what that may mean.
pub(crate) fn fill(
    sentence: &[u8],
    place: &Place,
    errno: Errno,
    hint: &[u8],
    out: &mut dyn FnMut(&[u8]),
) {
    for byte in sentence {
        match byte {
            b'$' => out(place.symbol.as_bytes()),
            b'!' => {
                let mut buffer = [0; 128];
                out(sys::strerror(errno, &mut buffer));
                out(hint);
            }
            byte => out(core::slice::from_ref(byte)),
        }
    }
}

fn say_not_found(place: &Place, out: &mut dyn FnMut(&[u8])) {
    out(b"no system call ");
    out(place.name.as_bytes());
    let mut lead: &[u8] = b": this kernel does not have it: tried ";
    for symbol in place.tried.as_slice() {
        out(lead);
        out(symbol.as_bytes());
        lead = b", ";
    }
    if place.tried.as_slice().is_empty() {
        out(b": this architecture's system call table does not lead to it");
    }
    let row = table::row(&place.name);
    if row.is_known {
        if !row.since.is_empty() {
            out(b"; it exists since Linux ");
            out(row.since.as_bytes());
        }
        return;
    }
    let mut end: &[u8] = b"";
    lead = b"; did you mean ";
    suggestions::nearest(&place.name, &mut |near| {
        out(lead);
        out(near);
        lead = b", ";
        end = b"?";
    });
    out(end);
}

#[cfg(feature = "more")]
fn say_no_compat_call(place: &Place, out: &mut dyn FnMut(&[u8])) {
    out(b"no system call ");
    out(place.name.as_bytes());
    out(b" of 32-bit callers: their system call table does not lead to it");
}

#[cfg(feature = "std")]
fn say_several(count: usize, out: &mut dyn FnMut(&[u8])) {
    let mut text = crate::text::Text::<256>::new();
    text.add(b"the attachment has ");
    text.add_number(count as u64);
    text.add(b" descriptors, one for each function, and this takes one (a program loaded for ");
    text.add(b"kprobe.multi has one for all)");
    out(text.as_bytes());
}

#[cfg(feature = "more")]
fn say_descriptors(needed: usize, free: usize, out: &mut dyn FnMut(&[u8])) {
    let mut text = crate::text::Text::<256>::new();
    text.add(b"it takes ");
    text.add_number(needed as u64);
    text.add(b" file descriptors, and this process can open ");
    text.add_number(free as u64);
    text.add(b" more (RLIMIT_NOFILE is ");
    text.add_number(sys::descriptor_limit());
    text.add(b"; a program loaded for kprobe.multi takes one for all)");
    out(text.as_bytes());
}

#[cfg(feature = "more")]
fn addresses_hint(errno: Errno) -> &'static [u8] {
    match errno.0 {
        libc::EPERM => b" (the kernel shows no addresses: it takes CAP_SYSLOG, or root)",
        _ => b"",
    }
}

#[cfg(feature = "more")]
fn multi_hint(errno: Errno) -> &'static [u8] {
    match errno.0 {
        libc::ESRCH => b" (a function that ftrace cannot trace, or of which there are several)",
        libc::EOPNOTSUPP => b" (the kernel was built without CONFIG_FPROBE, or has 32 bits)",
        _ => perf_event_hint(errno),
    }
}

/// What an errno of perf_event_open means for a probe.
fn perf_event_hint(errno: Errno) -> &'static [u8] {
    match errno.0 {
        libc::EPERM | libc::EACCES => {
            b" (it takes CAP_SYS_ADMIN, or CAP_PERFMON if kernel.perf_event_paranoid is below 3; \
              lockdown and seccomp can forbid it)"
        }
        libc::EADDRNOTAVAIL => b" (the kernel has several functions of this name)",
        libc::ENODEV => b" (ftrace has shut itself down until a reboot)",
        libc::ENOSYS => b" (no perf events, or a seccomp filter)",
        libc::EINVAL => b" (the kernel allows no probe there; its log may say why)",
        _ => b"",
    }
}

/// What an errno of an attachment means for the program.
fn program_hint(errno: Errno) -> &'static [u8] {
    match errno.0 {
        libc::EINVAL => {
            b" (it must be of type BPF_PROG_TYPE_KPROBE, not sleepable, not for kprobe.multi, \
             kprobe.session or uprobes, and not use bpf_override_return() here)"
        }
        libc::EBADF => b" (the program's fd is not open)",
        _ => b"",
    }
}
