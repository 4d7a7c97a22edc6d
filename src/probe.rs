//! Opening a perf event on a kernel symbol: by the kprobe PMU, or where the
//! kernel has none by a tracepoint made in tracefs.
//!
//! The two, and the kernel's versions, say "no such symbol" and "no probe there"
//! in different ways; this file is where that is made one.

use core::sync::atomic::{AtomicU64, Ordering};

use errno::Errno;

use crate::Error;
use crate::candidates::Symbol;
use crate::sys::{self, Fd};
use crate::tracefs::{self, Refusal};

/// A perf event on a kernel symbol, with the tracefs entry that it needs, if any.
#[derive(Debug)]
pub(crate) struct Event {
    // Closed before the entry is removed: fields are dropped in this order.
    pub(crate) fd: Fd,
    pub(crate) entry: Option<tracefs::Entry>,
}

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
pub(crate) fn open(symbol: &Symbol, retprobe: bool) -> Result<Option<Event>, Error> {
    let backend = Backend::find();
    match backend.open(symbol, 0, retprobe) {
        Ok(event) => Ok(Some(event)),
        Err(Refusal::Probe(Errno(libc::ENOENT))) => Ok(None),
        Err(Refusal::Probe(errno)) => explain(backend, symbol, retprobe, errno),
        Err(Refusal::Other(error)) => Err(error),
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
) -> Result<Option<Event>, Error> {
    let refused = Error::PerfEvent { symbol: *symbol, retprobe, errno };
    if retprobe {
        match backend.open(symbol, 0, false) {
            Ok(_) => return Err(refused),
            Err(Refusal::Probe(Errno(libc::EINVAL))) => {}
            Err(Refusal::Probe(_)) => return Ok(None),
            Err(Refusal::Other(error)) => return Err(error),
        }
    }
    if let Some(offset) = BEHIND_FTRACE_SITE {
        match backend.open(symbol, offset, false) {
            Ok(_) if retprobe => return Err(Error::NoReturnProbe { symbol: *symbol }),
            Ok(event) => return Ok(Some(event)),
            Err(Refusal::Probe(Errno(libc::ENOENT))) => return Ok(None),
            Err(Refusal::Probe(_)) => {}
            Err(Refusal::Other(error)) => return Err(error),
        }
    }
    match backend {
        Backend::Pmu(_) => Err(refused),
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

    fn open(self, symbol: &Symbol, offset: u64, retprobe: bool) -> Result<Event, Refusal> {
        match self {
            Backend::Pmu(pmu) => {
                let fd = sys::perf_event_open_kprobe(
                    pmu.kind,
                    pmu.config(retprobe),
                    symbol.as_c_str(),
                    offset,
                )
                .map_err(|errno| match errno.0 {
                    libc::ENOENT | libc::EINVAL => Refusal::Probe(errno),
                    _ => Refusal::Other(Error::PerfEvent { symbol: *symbol, retprobe, errno }),
                })?;
                Ok(Event { fd, entry: None })
            }
            Backend::Tracefs => {
                let entry = tracefs::Entry::new(symbol, offset, retprobe)?;
                Ok(Event { fd: entry.open()?, entry: Some(entry) })
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
        let kind = sys::read_number(c"/sys/bus/event_source/devices/kprobe/type", "").ok()?;
        let bit =
            sys::read_number(c"/sys/bus/event_source/devices/kprobe/format/retprobe", "config:")
                .ok()?;
        FOUND.store(bit << 32 | kind, Ordering::Relaxed);
        Some(Self { kind: kind as u32, retprobe_bit: bit as u32 })
    }

    fn config(self, retprobe: bool) -> u64 {
        u64::from(retprobe) << (self.retprobe_bit & 63)
    }
}
