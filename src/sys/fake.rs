//! A kernel of a test's own: it answers the calls that this thread makes meanwhile.

use core::cell::RefCell;
use core::ffi::{CStr, c_char, c_long};

use errno::Errno;

/// What a call is answered with.
pub(crate) type Answer = Result<usize, Errno>;

/// The kernel's files, and answers to the calls of an attach. Each call is recorded.
pub(crate) struct Kernel {
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// perf_event_open of a kprobe: symbol, whether a return probe is asked for, CPU.
    pub(crate) kprobe: fn(&str, bool, usize) -> Answer,
    /// `BPF_LINK_CREATE` of the program with that fd.
    pub(crate) link_create: fn(i32) -> Answer,
    /// `PERF_EVENT_IOC_SET_BPF`.
    pub(crate) set_bpf: fn() -> Answer,
    pub(crate) calls: Vec<String>,
    /// How much of the file that was opened last has been read.
    pub(crate) position: usize,
}

/// As `kernel/pmu.rs` reads it; bit 0 asks for a return probe.
pub(crate) const PMU: &[(&str, &str)] = &[
    ("/sys/bus/event_source/devices/kprobe/type", "8\n"),
    ("/sys/bus/event_source/devices/kprobe/format/retprobe", "config:0\n"),
];

pub(crate) const fn refused(errno: i32) -> Answer {
    Err(Errno(errno))
}

impl Kernel {
    pub(crate) fn new() -> Self {
        Self {
            files: PMU,
            kprobe: |_, _, _| refused(libc::ENOENT),
            link_create: |_| refused(libc::EINVAL),
            set_bpf: || refused(libc::EINVAL),
            calls: Vec::new(),
            position: 0,
        }
    }

    /// Runs `test` on it, and returns the calls that were made.
    pub(crate) fn run<T>(self, test: impl FnOnce() -> T) -> (T, Vec<String>) {
        KERNEL.set(Some(self));
        let result = test();
        (result, KERNEL.take().unwrap().calls)
    }

    fn answer(&mut self, number: c_long, [a, b, c, ..]: [usize; 5]) -> Answer {
        let text = |address: usize| {
            // SAFETY: where the kernel takes a C string the library gives it one.
            unsafe { CStr::from_ptr(address as *const c_char) }.to_str().unwrap()
        };
        let (call, answer) = match number {
            libc::SYS_openat => {
                let found = self.files.iter().position(|file| file.0 == text(b));
                self.position = 0;
                let fd = found.map(|index| 100 + index).ok_or(Errno(libc::ENOENT));
                ("open".to_owned(), fd)
            }
            libc::SYS_read => {
                let rest = &self.files[a - 100].1.as_bytes()[self.position..];
                let bytes = &rest[..rest.len().min(c)];
                self.position += bytes.len();
                // SAFETY: the library gives room for `c` bytes.
                unsafe {
                    core::ptr::copy_nonoverlapping(bytes.as_ptr(), b as *mut u8, bytes.len())
                };
                ("read".to_owned(), Ok(bytes.len()))
            }
            libc::SYS_close => (format!("close {a}"), Ok(0)),
            libc::SYS_getcpu => {
                // SAFETY: the library gives room for a number.
                unsafe { (a as *mut u32).write(1) };
                ("getcpu".to_owned(), Ok(0))
            }
            libc::SYS_perf_event_open => {
                // SAFETY: it is a `perf_event_attr`: `config` is its third field's, `config1`
                // stands after seven more numbers.
                let (config, symbol) = unsafe {
                    let attr = a as *const u64;
                    (*attr.add(1), *attr.add(7))
                };
                let (symbol, is_return) = (text(symbol as usize), config & 1 != 0);
                let kind = if is_return { "kretprobe" } else { "kprobe" };
                (format!("{kind} {symbol} on {c}"), (self.kprobe)(symbol, is_return, c))
            }
            libc::SYS_bpf => {
                // SAFETY: `link_create` begins with the program's fd.
                let program = unsafe { *(b as *const i32) };
                (format!("link {program}"), (self.link_create)(program))
            }
            libc::SYS_ioctl => ("ioctl".to_owned(), (self.set_bpf)()),
            _ => (format!("call {number}"), refused(libc::ENOSYS)),
        };
        self.calls.push(call);
        answer
    }
}

thread_local! {
    static KERNEL: RefCell<Option<Kernel>> = const { RefCell::new(None) };
}

/// What the kernel of this thread's test answers; None if the real one is asked.
pub(super) fn answer(number: c_long, arguments: [usize; 5]) -> Option<Answer> {
    KERNEL.with_borrow_mut(|kernel| Some(kernel.as_mut()?.answer(number, arguments)))
}
