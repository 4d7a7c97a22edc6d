//! Opening a perf event on a kernel symbol: by the kprobe PMU, or where the
//! kernel has none by a tracepoint made in tracefs.
//!
//! The two, and the kernel's versions, say "no such symbol" and "no probe there"
//! in different ways; this file is where that is made one.

use core::sync::atomic::{AtomicU64, Ordering};

use errno::Errno;

use crate::attachment::Attachment;
use crate::candidates::Symbol;
use crate::refusal::Refusal;
use crate::sys;
use crate::tracefs;

/// How far behind a function's first instruction a probe goes where the kernel
/// refuses that one.
///
/// On riscv64 the first two instructions, of 4 bytes each, are an ftrace site
/// (arch/riscv/include/asm/ftrace.h, `MCOUNT_INSN_SIZE`), and Linux 6.12 has no
/// kprobes on ftrace sites. The arguments are still in their registers behind it.
const BEHIND_FTRACE_SITE: Option<u64> = if cfg!(target_arch = "riscv64") { Some(8) } else { None };

/// Opens an event on entry to the function `symbol`, or on its return. None if
/// the kernel does not have the symbol.
#[inline(never)]
pub(crate) fn open(symbol: &Symbol, retprobe: bool) -> Result<Option<Attachment>, Refusal> {
    let backend = Backend::find();
    match backend.open(symbol, 0, retprobe) {
        Ok(event) => Ok(Some(event)),
        Err(Refusal::Probe(Errno(libc::ENOENT))) => Ok(None),
        Err(Refusal::Probe(errno)) => explain(backend, symbol, retprobe, errno),
        Err(refusal) => Err(refusal),
    }
}

/// Finds out what EINVAL means, which says that the symbol is missing for a
/// return probe up to Linux 5.10 and in tracefs since 6.11, and otherwise that
/// there can be no probe.
#[inline(never)]
fn explain(
    backend: Backend,
    symbol: &Symbol,
    retprobe: bool,
    errno: Errno,
) -> Result<Option<Attachment>, Refusal> {
    if retprobe {
        match backend.open(symbol, 0, false) {
            Ok(_) => return Err(Refusal::Probe(errno)),
            Err(Refusal::Probe(Errno(libc::EINVAL))) => {}
            Err(Refusal::Probe(_)) => return Ok(None),
            Err(refusal) => return Err(refusal),
        }
    }
    if let Some(offset) = BEHIND_FTRACE_SITE {
        match backend.open(symbol, offset, false) {
            Ok(_) if retprobe => return Err(Refusal::NoReturnProbe),
            Ok(event) => return Ok(Some(event)),
            Err(Refusal::Probe(Errno(libc::ENOENT))) => return Ok(None),
            Err(Refusal::Probe(_)) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    match backend {
        Backend::Pmu(_) => Err(Refusal::Probe(errno)),
        Backend::Tracefs => Ok(None),
    }
}

/// What makes the running kernel probe a symbol.
#[derive(Clone, Copy)]
enum Backend {
    Pmu(Pmu),
    Tracefs,
}

impl Backend {
    fn find() -> Self {
        Pmu::find().map_or(Backend::Tracefs, Backend::Pmu)
    }

    #[inline(never)]
    fn open(self, symbol: &Symbol, offset: u64, retprobe: bool) -> Result<Attachment, Refusal> {
        match self {
            Backend::Pmu(pmu) => {
                let (kind, config) = (pmu.kind, pmu.config(retprobe));
                match sys::perf_event_open_kprobe(kind, config, symbol.as_c_str(), offset) {
                    Ok(fd) => Ok(Attachment { fd, entry: None }),
                    Err(errno @ Errno(libc::ENOENT | libc::EINVAL)) => Err(Refusal::Probe(errno)),
                    Err(errno) => Err(Refusal::Event(errno)),
                }
            }
            Backend::Tracefs => {
                let entry = tracefs::Entry::new(symbol, offset, retprobe)?;
                Ok(Attachment { fd: entry.open()?, entry: Some(entry) })
            }
        }
    }
}

/// The kprobe PMU (Linux 4.17), as sysfs describes it
/// (Documentation/ABI/testing/sysfs-bus-event_source-devices-format).
#[derive(Clone, Copy)]
struct Pmu {
    /// The `type` of its perf events.
    kind: u32,
    /// Which bit of `config` asks for a return probe.
    retprobe_bit: u32,
}

impl Pmu {
    /// Reads sysfs the first time that it is there; neither number changes
    /// while the kernel runs.
    fn find() -> Option<Self> {
        static FOUND: AtomicU64 = AtomicU64::new(0);
        // A PMU's type is never 0, which is PERF_TYPE_HARDWARE.
        let known = FOUND.load(Ordering::Relaxed);
        if known != 0 {
            return Some(Self { kind: known as u32, retprobe_bit: (known >> 32) as u32 });
        }
        let kind = sys::read_number(c"/sys/bus/event_source/devices/kprobe/type", b"").ok()?;
        let bit =
            sys::read_number(c"/sys/bus/event_source/devices/kprobe/format/retprobe", b"config:")
                .ok()?;
        FOUND.store(bit << 32 | kind, Ordering::Relaxed);
        Some(Self { kind: kind as u32, retprobe_bit: bit as u32 })
    }

    fn config(self, retprobe: bool) -> u64 {
        u64::from(retprobe) << (self.retprobe_bit & 63)
    }
}
