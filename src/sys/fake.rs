//! Simulates a kernel that answers the system calls made by a test's thread.

use core::cell::RefCell;
use core::ffi::{CStr, c_char, c_long};

use errno::Errno;

/// The result of a system call.
pub(crate) type Answer = Result<usize, Errno>;

/// The files of a fake kernel, and its answers to the system calls made while attaching. Each call
/// is recorded.
pub(crate) struct Kernel {
    /// The files' names and contents. A `*` at the start of a name matches any prefix.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// The answer to perf_event_open for a kprobe. The arguments are the symbol, whether a return
    /// probe is requested, and the CPU. A line written to kprobe_events gets the same answer.
    pub(crate) kprobe: fn(&str, bool, usize) -> Answer,
    /// The answer to `BPF_LINK_CREATE` for the program with the given fd.
    pub(crate) link_create: fn(i32) -> Answer,
    /// The answer to `BPF_LINK_CREATE` for a kprobe.multi program on functions with the given
    /// names. The list is empty if the names cannot be read.
    pub(crate) multi: fn(&[&str]) -> Answer,
    /// The answer to `PERF_EVENT_IOC_SET_BPF`.
    pub(crate) set_bpf: fn() -> Answer,
    /// The result of `BPF_OBJ_GET_INFO_BY_FD` for a link or program: the 64-bit words that the
    /// kernel returns.
    pub(crate) info: &'static [u64],
    /// How many times the process can still copy a descriptor.
    pub(crate) free_fds: usize,
    /// Lines of `kprobe_events`, in addition to the lines in `files`.
    pub(crate) entries: Vec<String>,
    /// Number of entries that another process removes before their event is opened. That process
    /// creates an entry, which gets the same id, and cannot remove the entry because of the event.
    pub(crate) entries_lost: usize,
    /// Number of entries to which another process adds a probe.
    pub(crate) entries_shared: usize,
    /// Entries whose names contain this text are in use.
    pub(crate) entries_in_use: &'static str,
    /// The process's id, and the target of the link /proc/self/ns/pid.
    pub(crate) process: Option<(usize, &'static str)>,
    /// An error to return from faccessat2(2), or Ok to look up the file.
    pub(crate) access: Answer,
    pub(crate) calls: Vec<String>,
    /// The recorded perf_event_open(2) calls, or None if the calls are not recorded. Only tests
    /// that pass arbitrary arguments record the calls.
    pub(crate) events: Option<Vec<Event>>,
    /// The calls, each with the object that it acts on: `open type`, `read type`, `close type`,
    /// `write p PID`, `kprobe SYMBOL`, `link`.
    pub(crate) steps: Vec<String>,
    /// The index of the step that fails, and the errno that this step returns.
    pub(crate) fault: Option<(usize, i32)>,
    /// The open descriptors, each with the object that it refers to.
    pub(crate) open: Vec<(usize, String)>,
    /// The read position in each file.
    pub(crate) offsets: [usize; 8],
}

/// The arguments of perf_event_open(2).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// The bytes of the attributes. The list is empty if the attributes' address is invalid.
    pub(crate) attr: Vec<u8>,
    /// The name of the function to probe, if the event is a kprobe.
    pub(crate) name: Option<String>,
    pub(crate) others: [usize; 4],
}

/// The files that `kernel/pmu.rs` reads. Bit 0 requests a return probe.
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
            multi: |_| refused(libc::EINVAL),
            set_bpf: || refused(libc::EINVAL),
            info: &[],
            free_fds: usize::MAX,
            entries: Vec::new(),
            entries_lost: 0,
            entries_shared: 0,
            entries_in_use: "none",
            process: None,
            access: Ok(0),
            calls: Vec::new(),
            events: None,
            steps: Vec::new(),
            fault: None,
            open: Vec::new(),
            offsets: [0; 8],
        }
    }

    /// Runs `test` on this kernel, and returns the result of `test` and the recorded system calls.
    pub(crate) fn run<T>(self, test: impl FnOnce() -> T) -> (T, Vec<String>) {
        let (result, kernel) = self.run_and_return(test);
        (result, kernel.calls)
    }

    /// Runs `test` on this kernel, and returns the result of `test` and the kernel.
    pub(crate) fn run_and_return<T>(self, test: impl FnOnce() -> T) -> (T, Self) {
        KERNEL.set(Some(self));
        let result = test();
        (result, KERNEL.take().unwrap())
    }

    /// Returns the number of steps so far. Must be called in a test that runs on a fake kernel.
    pub(crate) fn steps_until_now() -> usize {
        KERNEL.with_borrow(|kernel| kernel.as_ref().unwrap().steps.len())
    }

    fn file(&self, name: &str) -> Answer {
        let is_it = |known: &str| match known.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            None => name == known,
        };
        self.files.iter().position(|file| is_it(file.0)).ok_or(Errno(libc::ENOENT))
    }

    /// Executes a line written to `kprobe_events`.
    fn write(&mut self, line: &str) -> Result<(), Errno> {
        let Some(name) = line.strip_prefix("-:") else {
            self.entries.push(line.to_owned());
            if self.entries_shared > 0 {
                self.entries_shared -= 1;
                self.entries.push(line.to_owned());
            }
            return Ok(());
        };
        let is_it = |line: &String| line.split([':', ' ']).nth(1) == Some(name);
        if !self.entries.iter().any(is_it) {
            return Err(Errno(libc::ENOENT));
        }
        if name.contains(self.entries_in_use) {
            return Err(Errno(libc::EBUSY));
        }
        self.entries.retain(|line| !is_it(line));
        Ok(())
    }

    /// Answers perf_event_open(2) as Linux does. The first page of memory counts as unreadable.
    fn open_event(&mut self, [address, others @ ..]: [usize; 5]) -> Answer {
        const PAGE: usize = 4096;
        let mut event = Event { attr: Vec::new(), name: None, others };
        let mut answer = refused(libc::EFAULT);
        if address >= PAGE {
            // SAFETY: the attributes in every test are as long as their `size` field specifies.
            let bytes = unsafe {
                let size = (address as *const u32).add(1).read_unaligned() as usize;
                let len = if size == 0 { 64 } else { size };
                core::slice::from_raw_parts(address as *const u8, len)
            };
            event.attr = bytes.to_vec();
            let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
            answer = match bytes.len() {
                ..64 => refused(libc::E2BIG),
                _ if word(0) as u32 != 8 || word(56) == 0 => Ok(10),
                _ if (word(56) as usize) < PAGE => refused(libc::EFAULT),
                _ => {
                    // SAFETY: `config1` of a kprobe event is the address of a C string.
                    let name = unsafe { CStr::from_ptr(word(56) as usize as *const c_char) };
                    let name = name.to_str().unwrap();
                    event.name = Some(name.to_owned());
                    (self.kprobe)(name, word(8) & 1 != 0, others[1])
                }
            };
        }
        self.events.as_mut().unwrap().push(event);
        answer
    }

    /// Describes a call and the file that it acts on.
    fn step(&self, number: c_long, [a, b, c, ..]: [usize; 5]) -> String {
        let object =
            || self.open.iter().rfind(|(fd, _)| *fd == a).map_or("nothing", |open| &open.1);
        match number {
            libc::SYS_openat => {
                // SAFETY: the library passes a C string.
                let path = unsafe { CStr::from_ptr(b as *const c_char) }.to_str().unwrap();
                let mode = if c as i32 & libc::O_WRONLY != 0 { " to write" } else { "" };
                format!("open {}{mode}", path.rsplit('/').next().unwrap())
            }
            libc::SYS_read => format!("read {}", object()),
            libc::SYS_close => format!("close {}", object()),
            libc::SYS_write => {
                // SAFETY: the library passes `c` bytes.
                let line = unsafe { core::slice::from_raw_parts(b as *const u8, c) };
                let line = String::from_utf8_lossy(line);
                let pid = line.split('_').nth(1).unwrap_or_default();
                format!("write {} {pid}", &line[..1])
            }
            libc::SYS_faccessat2 | libc::SYS_faccessat => "access".to_owned(),
            libc::SYS_readlinkat => "readlink".to_owned(),
            libc::SYS_perf_event_open if self.events.is_some() => "event".to_owned(),
            // SAFETY: a `perf_event_attr` begins with the type.
            libc::SYS_perf_event_open if unsafe { *(a as *const u32) } == 2 => {
                "tracepoint".to_owned()
            }
            libc::SYS_perf_event_open => {
                // SAFETY: `config` and `config1` are the second and the eighth 64-bit words of a
                // `perf_event_attr`.
                let (config, symbol) =
                    unsafe { (*(a as *const u64).add(1), *(a as *const u64).add(7)) };
                // SAFETY: the library passes the address of a C string.
                let symbol = unsafe { CStr::from_ptr(symbol as *const c_char) }.to_str().unwrap();
                format!("{} {symbol}", if config & 1 != 0 { "kretprobe" } else { "kprobe" })
            }
            // SAFETY: the attributes of every bpf(2) command are at least 4 bytes long.
            libc::SYS_bpf if unsafe { *(b as *const i32) } < 0 => "link of nothing".to_owned(),
            libc::SYS_bpf => "link".to_owned(),
            libc::SYS_ioctl => "ioctl".to_owned(),
            _ => "other".to_owned(),
        }
    }

    /// Answers a system call, or injects the fault if this call is the step that must fail.
    fn answer(&mut self, number: c_long, arguments: [usize; 5]) -> Answer {
        let step = self.step(number, arguments);
        let object = step.split_once(' ').filter(|_| number == libc::SYS_openat);
        let object = object.map_or(&step[..], |(_, file)| file).to_owned();
        let fault = self.fault.filter(|fault| fault.0 == self.steps.len());
        self.steps.push(step);
        // Linux closes the descriptor no matter what close(2) returns.
        if number == libc::SYS_close {
            let place = self.open.iter().rposition(|(fd, _)| *fd == arguments[0]);
            place.map(|place| self.open.remove(place));
        }
        if let Some((_, errno)) = fault {
            return refused(errno);
        }
        let answer = self.make(number, arguments);
        if let (libc::SYS_openat | libc::SYS_perf_event_open | libc::SYS_bpf, Ok(fd)) =
            (number, &answer)
        {
            self.open.push((*fd, object));
        }
        answer
    }

    fn make(&mut self, number: c_long, arguments @ [a, b, c, ..]: [usize; 5]) -> Answer {
        let text = |address: usize| {
            // SAFETY: the library passes a C string.
            unsafe { CStr::from_ptr(address as *const c_char) }.to_str().unwrap()
        };
        let (call, answer) = match number {
            libc::SYS_openat => {
                let file = self.file(text(b));
                if let Ok(index) = file {
                    self.offsets[index] = 0;
                }
                ("open".to_owned(), file.map(|index| 100 + index))
            }
            libc::SYS_faccessat2 => ("access".to_owned(), self.access.and(self.file(text(b)))),
            libc::SYS_faccessat => ("old access".to_owned(), self.file(text(b))),
            libc::SYS_write => {
                // SAFETY: the library passes `c` bytes.
                let line = unsafe { core::slice::from_raw_parts(b as *const u8, c) };
                let line = String::from_utf8_lossy(line);
                let call = format!("write {line}");
                let line = line.trim_end();
                // Only a line that adds an entry contains a symbol.
                let probed = match line.split_once(' ') {
                    Some((_, symbol)) => (self.kprobe)(symbol, line.starts_with('r'), 0),
                    None => Ok(0),
                };
                (call, probed.and_then(|_| self.write(line)).map(|()| c))
            }
            libc::SYS_read => {
                let (name, content) = self.files[a - 100];
                let mut content = content.to_owned();
                if name.ends_with("/kprobe_events") {
                    content.extend(self.entries.iter().map(|line| format!("{line}\n")));
                }
                let offset = &mut self.offsets[a - 100];
                let content = &content.as_bytes()[content.len().min(*offset)..];
                let bytes = &content[..content.len().min(c)];
                *offset += bytes.len();
                // SAFETY: the library passes a buffer of `c` bytes.
                unsafe {
                    core::ptr::copy_nonoverlapping(bytes.as_ptr(), b as *mut u8, bytes.len())
                };
                ("read".to_owned(), Ok(bytes.len()))
            }
            libc::SYS_fcntl => {
                let left = self.free_fds.checked_sub(1);
                self.free_fds = left.unwrap_or_default();
                ("dup".to_owned(), left.map(|_| 500).ok_or(Errno(libc::EMFILE)))
            }
            libc::SYS_close => (format!("close {a}"), Ok(0)),
            libc::SYS_getpid if self.process.is_some() => {
                ("getpid".to_owned(), Ok(self.process.unwrap_or_default().0))
            }
            libc::SYS_readlinkat if self.process.is_some() => {
                let link = self.process.unwrap_or_default().1.as_bytes();
                // SAFETY: the library passes a buffer of `d` bytes, longer than `link`.
                unsafe { core::ptr::copy_nonoverlapping(link.as_ptr(), c as *mut u8, link.len()) };
                ("readlink".to_owned(), Ok(link.len()))
            }
            libc::SYS_getcpu => {
                // SAFETY: the library passes the address of a 32-bit integer.
                unsafe { (a as *mut u32).write(1) };
                ("getcpu".to_owned(), Ok(0))
            }
            libc::SYS_rt_sigprocmask => (
                "sigprocmask".to_owned(),
                refused(if b < 4096 { libc::EFAULT } else { libc::EINVAL }),
            ),
            libc::SYS_perf_event_open if self.events.is_some() => {
                ("event".to_owned(), self.open_event(arguments))
            }
            // Event type 2 is `PERF_TYPE_TRACEPOINT`.
            // SAFETY: a `perf_event_attr` begins with the type.
            libc::SYS_perf_event_open if unsafe { *(a as *const u32) } == 2 => {
                // SAFETY: `config` is the third field of the attributes.
                let id = unsafe { *(a as *const u64).add(1) };
                if self.entries_lost > 0 {
                    self.entries_lost -= 1;
                    self.entries.pop();
                    self.entries.push("p:ksyscall/p101_8_800_1 sys_openat".to_owned());
                }
                (format!("tracepoint {id}"), Ok(10))
            }
            libc::SYS_perf_event_open => {
                // SAFETY: `config` and `config1` are the second and the eighth 64-bit words of a
                // `perf_event_attr`.
                let (config, symbol) = unsafe {
                    let attr = a as *const u64;
                    (*attr.add(1), *attr.add(7))
                };
                let (symbol, is_return) = (text(symbol as usize), config & 1 != 0);
                let kind = if is_return { "kretprobe" } else { "kprobe" };
                (format!("{kind} {symbol} on {c}"), (self.kprobe)(symbol, is_return, c))
            }
            // BPF_OBJ_GET_INFO_BY_FD
            libc::SYS_bpf if a == 15 => {
                let known = self.info;
                // SAFETY: `info` begins with the fd, the length and the address of the buffer.
                unsafe {
                    let (len, info) = ((b as *mut u32).add(1), *(b as *const u64).add(1));
                    *len = (*len).min(8 * known.len() as u32);
                    let count = *len as usize / 8;
                    core::ptr::copy_nonoverlapping(known.as_ptr(), info as *mut u64, count);
                }
                ("info".to_owned(), if known.is_empty() { refused(libc::EINVAL) } else { Ok(0) })
            }
            // The attach types are BPF_TRACE_KPROBE_MULTI and BPF_TRACE_KPROBE_SESSION. A request
            // without a program fails before the kernel considers its type.
            // SAFETY: `link_create` begins with the program's fd, another fd and the attach type.
            libc::SYS_bpf if matches!(unsafe { *(b as *const [i32; 3]) }, [fd, _, 42 | 56] if fd >= 0) =>
            {
                // SAFETY: the sixth field of `link_create` is the number of names, and the seventh
                // is their address.
                let names = unsafe {
                    let (count, names) = (*(b as *const u32).add(5), *(b as *const u64).add(3));
                    core::slice::from_raw_parts(names as usize as *const usize, count as usize)
                };
                let readable = names.iter().filter(|address| **address > 4096);
                let names: Vec<_> = readable.map(|address| text(*address)).collect();
                (format!("multi {}", names.join(" ")), (self.multi)(&names))
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

/// Returns whether this thread's test runs on a fake kernel.
pub(crate) fn is_there() -> bool {
    KERNEL.with_borrow(Option::is_some)
}

/// Returns the answer from this thread's fake kernel, or None if the test uses the real kernel.
pub(super) fn answer(number: c_long, arguments: [usize; 5]) -> Option<Answer> {
    KERNEL.with_borrow_mut(|kernel| Some(kernel.as_mut()?.answer(number, arguments)))
}
