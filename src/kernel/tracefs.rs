//! Probes on kernels without a kprobe PMU (before Linux 4.17), and return probes that watch
//! a number of calls at a time: a line written to tracefs's `kprobe_events` makes a
//! tracepoint, which a perf event is opened on.
//!
//! An entry outlives its process if that is killed, so its name tells whose it
//! is, and whoever adds an entry first removes those of dead processes. The
//! kernel refuses to remove one in use (by a pinned link, say), so this never
//! takes an attachment away. Who does not know its PID namespace removes none.
//!
//! Source: Documentation/trace/kprobetrace.rst.

use core::sync::atomic::{AtomicU32, Ordering};

use errno::Errno;

use super::Kind;
use crate::Error;
use crate::resolve::Symbol;
use crate::sys::{self, Fd, Mode};
use crate::text::{Text, cut, number, parts};

/// A path in tracefs, or a line for `kprobe_events`.
pub(crate) type Line = Text<320>;

/// An entry of `kprobe_events`, removed on drop.
#[derive(Debug)]
pub(crate) struct Entry(EntryName);

/// `ksyscall/pNAMESPACE_PID_NUMBER`: the PID namespace by its inode (0 if that
/// is not known), the process in it, and a number that it has not used before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryName {
    pub(crate) namespace: u64,
    pub(crate) pid: u64,
    pub(crate) number: u64,
}

impl EntryName {
    fn next() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // By its page, no copy of this library in the process has another's numbers: since
        // Linux 5.4 the kernel may add a probe to an entry that has the name already.
        let copy = &raw const NUMBER as usize as u64 >> 12;
        Self {
            namespace: sys::pid_namespace(),
            pid: sys::process_id(),
            number: copy << 28 | u64::from(NUMBER.fetch_add(1, Ordering::Relaxed) & 0xfff_ffff),
        }
    }

    fn remove(self, events: &Fd) -> Result<(), Errno> {
        let mut line = Line::new();
        line.add(b"-:");
        self.add_to(&mut line);
        command(events, line)
    }

    pub(crate) fn add_to(&self, line: &mut Line) {
        line.add(b"ksyscall/p");
        line.add_number(self.namespace);
        line.add(b"_");
        line.add_number(self.pid);
        line.add(b"_");
        line.add_number(self.number);
    }

    /// Reads the name back from a line of `kprobe_events`.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (_, name) = cut(line, b':');
        let (group, name) = cut(cut(name, b' ').0, b'/');
        let (namespace, name) =
            cut(name.strip_prefix(b"p").filter(|_| group == b"ksyscall")?, b'_');
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
    /// [`Error::PerfEvent`] if the kernel refuses the probe itself.
    pub(crate) fn new(symbol: &Symbol, offset: u64, kind: Kind) -> Result<Self, Error> {
        let events = open_kprobe_events().map_err(failed("open kprobe_events"))?;
        remove_entries_of_the_dead(&events);
        loop {
            let name = EntryName::next();
            let mut line = Line::new();
            kind.add_to(&mut line);
            name.add_to(&mut line);
            line.add(b" ");
            line.add(symbol.as_bytes());
            if offset != 0 {
                line.add(b"+");
                line.add_number(offset);
            }
            match command(&events, line) {
                Ok(()) => return Ok(Self(name)),
                // It has been used: by a process that had this one's id, say.
                Err(Errno(libc::EEXIST)) => {}
                Err(Errno(errno @ (libc::ENOENT | libc::EINVAL))) => {
                    let retprobe = kind.retprobe;
                    return Err(Error::PerfEvent { symbol: *symbol, retprobe, errno });
                }
                Err(errno) => return Err(failed("write kprobe_events")(errno)),
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn of(name: EntryName) -> Self {
        Self(name)
    }

    /// Opens a perf event on the entry's tracepoint.
    pub(crate) fn open_event(&self) -> Result<Fd, Error> {
        let mut file = Line::new();
        file.add(b"/events/");
        self.0.add_to(&mut file);
        file.add(b"/id");
        let id = find(file.as_bytes())
            .and_then(|id| sys::read_number(id.as_c_str(), b""))
            .map_err(failed("read the event's id"))?;
        sys::perf_event_open_tracepoint(id).map_err(failed("perf_event_open of the event"))
    }

    /// How often the kernel missed the function's entry or return: the last column of the
    /// entry's line in `kprobe_profile`.
    pub(crate) fn missed(&self) -> Option<u64> {
        let file = sys::open(find(b"/kprobe_profile").ok()?.as_c_str(), Mode::Read).ok()?;
        let mut name = Line::new();
        self.0.add_to(&mut name);
        let (_, name) = cut(name.as_bytes(), b'/');
        let mut missed = None;
        sys::for_each_line(&file, &mut |line| {
            let mut columns = parts(line, b' ');
            if columns.next() == Some(name) {
                missed = columns.nth(1).and_then(|column| number(column, 10));
            }
            missed.is_some()
        })
        .ok()?;
        missed
    }

    /// Leaves the entry in the kernel; it goes when this process is dead and
    /// another adds one.
    pub(crate) fn leave(self) {
        core::mem::forget(self);
    }

    /// Removes the entry. The perf event must be closed.
    pub(crate) fn remove(self) -> Result<(), Errno> {
        core::mem::ManuallyDrop::new(self).0.remove(&open_kprobe_events()?)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = open_kprobe_events().and_then(|events| self.0.remove(&events));
    }
}

fn failed(step: &'static str) -> impl Fn(Errno) -> Error {
    move |Errno(errno)| Error::Tracefs { step, errno }
}

fn open_kprobe_events() -> Result<Fd, Errno> {
    sys::open(find(b"/kprobe_events")?.as_c_str(), Mode::Append)
}

fn command(events: &Fd, mut line: Line) -> Result<(), Errno> {
    line.add(b"\n");
    if line.is_cut() { Err(Errno(libc::ENAMETOOLONG)) } else { sys::write(events, line.as_bytes()) }
}

fn remove_entries_of_the_dead(events: &Fd) {
    let list = find(b"/kprobe_events");
    let Ok(list) = list.and_then(|path| sys::open(path.as_c_str(), Mode::Read)) else {
        return;
    };
    let own = EntryName::next();
    if own.namespace == 0 {
        return;
    }
    let _ = sys::for_each_line(&list, &mut |line| {
        if let Some(name) = EntryName::parse(line) {
            if name.namespace == own.namespace && sys::is_dead(name.pid) {
                let _ = name.remove(events);
            }
        }
        false
    });
}

/// The path of a file in tracefs, wherever that is mounted.
pub(super) fn find(file: &[u8]) -> Result<Line, Errno> {
    for root in [&b"/sys/kernel/tracing"[..], b"/sys/kernel/debug/tracing"] {
        if let Some(path) = existing(root, b"", file) {
            return Ok(path);
        }
    }
    let mounts = sys::open(c"/proc/self/mounts", Mode::Read)?;
    match find_mounted(&mounts, file)? {
        Some(path) => Ok(path),
        // It is there, perhaps, and this user may not look.
        None => Err(sys::access(c"/sys/kernel/tracing/.").err().unwrap_or(Errno(libc::ENOENT))),
    }
}

/// Whether `kprobe_events` or `uprobe_events` may have an entry, of any process: false only if
/// both are empty or do not exist.
#[cfg(feature = "capi")]
pub(crate) fn may_have_entries() -> bool {
    let is_empty = |file: &[u8]| {
        let list = find(file).and_then(|path| sys::open(path.as_c_str(), Mode::Read));
        match list.and_then(|list| sys::read(&list, &mut [0])) {
            Ok(read) => read == 0,
            Err(errno) => errno.0 == libc::ENOENT,
        }
    };
    !is_empty(b"/kprobe_events") || !is_empty(b"/uprobe_events")
}

/// Whether the kernel has a tracepoint for the entry to a call of this name
/// (`CONFIG_FTRACE_SYSCALLS`).
pub(crate) fn has_tracepoint_of_call(name: &[u8]) -> bool {
    let mut file = Line::new();
    file.add(b"/events/syscalls/sys_enter_");
    file.add(name);
    find(file.as_bytes()).is_ok()
}

/// The path of a file in the first tracefs of a list of mounts that has it.
pub(crate) fn find_mounted(mounts: &Fd, file: &[u8]) -> Result<Option<Line>, Errno> {
    let mut found = None;
    sys::for_each_line(mounts, &mut |line| {
        // The source may be empty: then the line begins with a space.
        let (_, place) = cut(line, b' ');
        let (place, kind) = cut(place, b' ');
        let inside = match cut(kind, b' ').0 {
            b"tracefs" => &b""[..],
            b"debugfs" => b"/tracing",
            _ => return false,
        };
        found = existing(place, inside, file);
        found.is_some()
    })?;
    Ok(found)
}

/// The path of a file, if there is one. The mount point is as /proc/self/mounts
/// has it, where a space is written `\040`, for instance (proc_pid_mounts(5)).
fn existing(mount: &[u8], inside: &[u8], file: &[u8]) -> Option<Line> {
    let mut path = Line::new();
    let (plain, mut escaped) = cut(mount, b'\\');
    path.add(plain);
    while !escaped.is_empty() {
        let (part, rest) = cut(escaped, b'\\');
        let (code, plain) = part.split_at_checked(3)?;
        path.push(u8::try_from(number(code, 8)?).ok()?);
        path.add(plain);
        escaped = rest;
    }
    path.add(inside);
    path.add(file);
    (!path.is_cut() && sys::access(path.as_c_str()).is_ok()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_name_is_read_back_from_the_list() {
        let name = EntryName { namespace: 4_026_531_836, pid: 4_194_304, number: u64::MAX };
        let mut text = Line::new();
        name.add_to(&mut text);
        let name_text = std::str::from_utf8(text.as_bytes()).unwrap();
        assert_eq!(
            EntryName::parse(format!("r8:{name_text} __x64_sys_openat+0").as_bytes()),
            Some(name)
        );
        // The kernel's limit, MAX_EVENT_NAME_LEN of kernel/trace/trace.h.
        assert!(name_text.len() < 64);
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
            assert_eq!(EntryName::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[cfg(feature = "capi")]
    #[test]
    fn anybodys_entry_in_either_list_counts() {
        use crate::sys::fake::Kernel;
        let may_have = |files| Kernel { files, ..Kernel::new() }.run(may_have_entries).0;
        let (kprobes, uprobes) =
            ("/sys/kernel/tracing/kprobe_events", "/sys/kernel/debug/tracing/uprobe_events");
        assert!(!may_have(const { &[] }));
        let (kprobe, uprobe) = ("p:kprobes/libbpf_1 openat\n", "p:uprobes/libbpf_1 /bin/sh:0x10\n");
        for (in_kprobes, in_uprobes) in [("", ""), (kprobe, ""), ("", uprobe), (kprobe, uprobe)] {
            let files = Box::leak(Box::new([(kprobes, in_kprobes), (uprobes, in_uprobes)]));
            assert_eq!(may_have(files), !in_kprobes.is_empty() || !in_uprobes.is_empty());
        }
    }

    #[test]
    fn mount_points_are_unescaped() {
        let folder = std::env::temp_dir().join(format!(r"ksyscall a b\c {}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), "").unwrap();
        let mount = folder.to_str().unwrap().replace('\\', r"\134").replace(' ', r"\040");
        let mount = mount.as_bytes();
        assert!(existing(mount, b"", b"/file").is_some());
        assert!(existing(mount, b"", b"/other").is_none());
        assert!(existing(mount, &[b'/'; 400], b"/file").is_none(), "too long for a path here");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_mount_without_a_source_is_found() {
        let path = std::env::temp_dir().join(format!("ksyscall-mounts-{}", std::process::id()));
        std::fs::write(&path, " /proc/self tracefs rw 0 0\n").unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let mounts = sys::open(&name, Mode::Read).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(
            find_mounted(&mounts, b"/stat").unwrap().unwrap().as_bytes(),
            b"/proc/self/stat"
        );
    }
}
