//! Probes on kernels without a kprobe PMU (before Linux 4.17): a line written to
//! tracefs's `kprobe_events` makes a tracepoint, which a perf event is opened on.
//!
//! An entry outlives its process if that is killed, so its name tells whose it
//! is, and whoever adds an entry first removes those of dead processes. The
//! kernel refuses to remove one in use (by a pinned link, say), so this never
//! takes an attachment away.
//!
//! Source: Documentation/trace/kprobetrace.rst.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};

use errno::Errno;

use crate::Error;
use crate::candidates::Symbol;
use crate::sys::{self, Fd, Mode};
use crate::text::{Decimal, Plain, Text, cut, number, parts};

/// A path in tracefs.
type Path = Text<320>;

/// An entry of `kprobe_events`, removed on drop.
#[derive(Debug)]
pub(crate) struct Entry(EntryName);

/// `ksyscall/pNAMESPACE_PID_NUMBER`: the PID namespace by its inode, the process
/// in it, and a number that it has not used before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct EntryName {
    namespace: u64,
    pid: u64,
    number: u64,
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ksyscall/p{}_{}_{}",
            Decimal(self.namespace),
            Decimal(self.pid),
            Decimal(self.number)
        )
    }
}

impl EntryName {
    fn next() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self {
            namespace: sys::inode(c"/proc/self/ns/pid"),
            pid: sys::process_id(),
            number: NUMBER.fetch_add(1, Ordering::Relaxed).into(),
        }
    }

    fn remove(self, events: &Fd) -> Result<(), Errno> {
        command(events, format_args!("-:{self}"))
    }

    /// Reads the name back from a line of `kprobe_events`.
    fn parse(line: &str) -> Option<Self> {
        let (_, name) = cut(line, b':');
        let (group, name) = cut(cut(name, b' ').0, b'/');
        let (namespace, name) = cut(name.strip_prefix('p').filter(|_| group == "ksyscall")?, b'_');
        let (pid, number_used) = cut(name, b'_');
        Some(Self {
            namespace: number(namespace, 10)?,
            pid: number(pid, 10)?,
            number: number(number_used, 10)?,
        })
    }
}

impl Entry {
    /// Makes an entry for a probe on `symbol` + `offset` bytes.
    ///
    /// # Errors
    /// [`Refusal::Probe`] if it is the probe that the kernel does not take.
    #[inline(never)]
    pub(crate) fn new(symbol: &Symbol, offset: u64, retprobe: bool) -> Result<Self, Refusal> {
        let events = open_kprobe_events().map_err(|errno| failed("open kprobe_events", errno))?;
        remove_entries_of_the_dead(&events);
        let kind = Plain(if retprobe { "r" } else { "p" });
        loop {
            let name = EntryName::next();
            match command(&events, format_args!("{kind}:{name} {}", Place { symbol, offset })) {
                Ok(()) => return Ok(Self(name)),
                // Another copy of this library in the process has used the number.
                Err(Errno(libc::EEXIST)) => {}
                Err(errno @ (Errno(libc::ENOENT) | Errno(libc::EINVAL))) => {
                    return Err(Refusal::Probe(errno));
                }
                Err(errno) => return Err(failed("write kprobe_events", errno)),
            }
        }
    }

    /// Opens a perf event on the entry's tracepoint.
    pub(crate) fn open(&self) -> Result<Fd, Refusal> {
        let id = find(format_args!("/events/{}/id", self.0))
            .and_then(|id| sys::read_number(id.as_c_str(), ""))
            .map_err(|errno| failed("read the event's id", errno))?;
        sys::perf_event_open_tracepoint(id)
            .map_err(|errno| failed("perf_event_open of the event", errno))
    }

    /// Leaves the entry in the kernel; it goes when this process is dead and
    /// another adds one.
    #[cfg(feature = "std")]
    pub(crate) fn leave(self) {
        core::mem::forget(self);
    }

    /// Removes the entry. The perf event must be closed.
    pub(crate) fn remove(self) -> Result<(), Errno> {
        core::mem::ManuallyDrop::new(self).0.remove(&open_kprobe_events()?)
    }
}

impl Drop for Entry {
    #[inline(never)]
    fn drop(&mut self) {
        let _ = open_kprobe_events().and_then(|events| self.0.remove(&events));
    }
}

/// Why there is no entry or no event.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The kernel does not take the probe: a symbol that it does not have, or a
    /// place where it allows none.
    Probe(Errno),
    /// Anything else.
    Other(Error),
}

fn failed(step: &'static str, errno: Errno) -> Refusal {
    Refusal::Other(Error::Tracefs { step, errno })
}

/// A place in the kernel's code as `kprobe_events` reads it.
struct Place<'a> {
    symbol: &'a Symbol,
    offset: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => write!(f, "{}", self.symbol),
            offset => write!(f, "{}+{}", self.symbol, Decimal(offset)),
        }
    }
}

fn open_kprobe_events() -> Result<Fd, Errno> {
    sys::open(find(format_args!("/kprobe_events"))?.as_c_str(), Mode::Append)
}

fn command(events: &Fd, command: fmt::Arguments<'_>) -> Result<(), Errno> {
    let mut line = Text::<192>::new();
    writeln!(line, "{command}").map_err(|_| Errno(libc::ENAMETOOLONG))?;
    sys::write(events, line.as_bytes())
}

fn remove_entries_of_the_dead(events: &Fd) {
    let list = find(format_args!("/kprobe_events"));
    let Ok(list) = list.and_then(|path| sys::open(path.as_c_str(), Mode::Read)) else {
        return;
    };
    let own = EntryName::next();
    for_each_line(&list, &mut |line| {
        if let Some(name) = EntryName::parse(line) {
            if name.namespace == own.namespace && sys::is_dead(name.pid) {
                let _ = name.remove(events);
            }
        }
    });
}

/// The path of a file in tracefs, wherever that is mounted.
fn find(file: fmt::Arguments<'_>) -> Result<Path, Errno> {
    for root in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        if let Some(path) = existing(Unescaped(root), "", file) {
            return Ok(path);
        }
    }
    let mut found = None;
    let mounts = sys::open(c"/proc/self/mounts", Mode::Read)?;
    for_each_line(&mounts, &mut |line| {
        let mut fields = parts(line, b' ').skip(1);
        let place = Unescaped(fields.next().unwrap_or_default());
        let inside = match fields.next() {
            Some("tracefs") => "",
            Some("debugfs") => "/tracing",
            _ => return,
        };
        if found.is_none() {
            found = existing(place, inside, file);
        }
    });
    found.ok_or(Errno(libc::ENOENT))
}

fn existing(mount: Unescaped<'_>, inside: &str, file: fmt::Arguments<'_>) -> Option<Path> {
    let mut path = Path::new();
    write!(path, "{mount}{}{file}", Plain(inside)).ok()?;
    sys::exists(path.as_c_str()).then_some(path)
}

/// A field of /proc/self/mounts, in which a space is written `\040`, for
/// instance (proc_pid_mounts(5)).
struct Unescaped<'a>(&'a str);

impl fmt::Display for Unescaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plain, mut escaped) = cut(self.0, b'\\');
        f.write_str(plain)?;
        while !escaped.is_empty() {
            let (part, rest) = cut(escaped, b'\\');
            let (code, plain) = part.split_at_checked(3).ok_or(fmt::Error)?;
            f.write_char(
                number(code, 8).and_then(|code| u8::try_from(code).ok()).ok_or(fmt::Error)?.into(),
            )?;
            f.write_str(plain)?;
            escaped = rest;
        }
        Ok(())
    }
}

/// Calls `each` with every line of a file; of a very long one, with its start.
fn for_each_line(file: &Fd, each: &mut dyn FnMut(&str)) {
    let mut buffer = [0; 1024];
    let mut line = Text::<512>::new();
    while let Ok(read @ 1..) = sys::read(file, &mut buffer) {
        for byte in buffer.get(..read).unwrap_or_default() {
            match byte {
                b'\n' => {
                    each(line.as_str());
                    line = Text::new();
                }
                byte => line.push(*byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_name_is_read_back_from_the_list() {
        let name = EntryName { namespace: 4_026_531_836, pid: 4_194_304, number: u32::MAX.into() };
        assert_eq!(EntryName::parse(&format!("r8:{name} __x64_sys_openat+0")), Some(name));
        // The kernel's limit, MAX_EVENT_NAME_LEN of kernel/trace/trace.h.
        assert!(name.to_string().len() < 64);
    }

    #[test]
    fn other_peoples_entries_are_not_taken_for_ours() {
        for line in [
            "p:kprobes/openat do_sys_open",
            "p:ksyscall/mine do_sys_open",
            "p:ksyscall/p1_2 do_sys_open",
            "p:ksyscall/p1_2_3_4 do_sys_open",
            "p:ksyscall/p1_2_x do_sys_open",
            "",
        ] {
            assert_eq!(EntryName::parse(line), None, "{line}");
        }
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(Unescaped("/a\\040b\\134c").to_string(), "/a b\\c");
    }

    #[test]
    fn lines_are_read_whole_and_long_ones_by_their_start() {
        let path = std::env::temp_dir().join(format!("ksyscall-lines-{}", std::process::id()));
        std::fs::write(&path, format!("one\n{}\n\nlast\n", "x".repeat(3000))).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let file = sys::open(&name, Mode::Read).unwrap();
        let mut lines = Vec::new();
        for_each_line(&file, &mut |line| lines.push(line.to_owned()));
        std::fs::remove_file(path).unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!((&lines[0][..], &lines[2][..], &lines[3][..]), ("one", "", "last"));
        assert!(lines[1].len() > 256 && lines[1].bytes().all(|byte| byte == b'x'));
    }
}
