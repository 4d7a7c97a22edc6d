//! Creates probes through tracefs, on kernels without a kprobe PMU (before Linux 4.17) and for
//! return probes with `max_active`. A line written to `kprobe_events` creates an entry with a
//! tracepoint. A perf event is then opened on the tracepoint.
//!
//! If a process is killed, its entries stay in the kernel. Each attach through tracefs therefore
//! first removes this library's entries, except the entries of processes that are known to be
//! alive. The kernel refuses to remove an entry in use (EBUSY), so the removal never ends an
//! attachment, even if the attachment belongs to a process in another PID namespace or is held by a
//! pin. The entry of a live process is unused only between the creation of the entry and the
//! opening of its event. If another process removes the entry during that time, the creator detects
//! this and creates a new entry.
//!
//! Since Linux 5.4, if an event with the same name exists, the kernel adds the new probe to that
//! event. A program would then run for both probes. Each entry therefore gets a unique name, and
//! the creator checks that the event has only one probe.
//!
//! Source: Documentation/trace/kprobetrace.rst.

use core::sync::atomic::{AtomicU32, Ordering};

use errno::Errno;

use super::Kind;
use crate::Error;
use crate::calls::Symbol;
use crate::sys::{self, Fd, Mode};
use crate::text::{Text, cut, number, parts};

/// A path in tracefs, or a line for `kprobe_events`.
pub(crate) type Line = Text<320>;

/// Maximum number of attempts to create an entry, if other processes keep removing it.
const TRIES: usize = 100;

/// An entry in `kprobe_events`, removed on drop.
#[derive(Debug)]
pub(crate) struct Entry(EntryName);

/// The name of an entry, `ksyscall/pNAMESPACE_PID_STARTED_NUMBER`. The name identifies the process
/// that created the entry, and contains the entry's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryName {
    pub(crate) namespace: u64,
    pub(crate) pid: u64,
    /// When the process started. The PID namespace's inode number and the pid can both be reused,
    /// for example when a container restarts.
    pub(crate) started: u64,
    /// The upper half is [`image`], which execve(2) changes; the lower half is a counter.
    pub(crate) number: u64,
}

/// The entries that this process gave up while they were in use. Each slot contains the lower half
/// of an entry's number, or 0 if the slot is free. If no slot is free, the next such entry stays
/// until the process ends.
static GIVEN_UP: [AtomicU32; 16] = [const { AtomicU32::new(0) }; 16];

/// Returns a nonzero random number that this copy of the library generates only once.
fn image() -> u64 {
    static IMAGE: AtomicU32 = AtomicU32::new(0);
    let known = IMAGE.load(Ordering::Relaxed);
    if known != 0 {
        return known.into();
    }
    let drawn = sys::random() | 1;
    let drawn_meanwhile =
        IMAGE.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed).err();
    drawn_meanwhile.unwrap_or(drawn).into()
}

impl EntryName {
    /// Returns a new entry name for this process. A field is 0 if /proc does not provide its value.
    fn own() -> Self {
        let pid = sys::process_id();
        let started = sys::start_time(pid).unwrap_or_default();
        Self { namespace: sys::pid_namespace(), pid, started, number: 0 }.next()
    }

    /// Returns the next entry name for the same process.
    fn next(self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { number: image() << 32 | u64::from(count), ..self }
    }

    /// Returns whether the entry must be left alone, because the creator of the entry is known to
    /// be alive and has not given up the entry. `own` names this process.
    fn is_live(&self, own: &Self) -> bool {
        let of_this_process =
            (self.namespace, self.pid, self.started) == (own.namespace, own.pid, own.started);
        if of_this_process {
            // A different image means that this process created the entry before an execve, or that
            // another copy of the library created it. If that copy's entries are in use, the kernel
            // refuses to remove them; otherwise, that copy creates them again.
            return self.number >> 32 == own.number >> 32 && self.place_of_given_up().is_none();
        }
        let is_known = self.namespace != 0 && self.started != 0;
        is_known
            && self.namespace == own.namespace
            && sys::start_time(self.pid) == Some(self.started)
    }

    fn place_of_given_up(&self) -> Option<&'static AtomicU32> {
        GIVEN_UP.iter().find(|place| place.load(Ordering::Relaxed) == self.number as u32)
    }

    /// Lets a later attach in this process remove the entry.
    fn give_up(&self) {
        for place in &GIVEN_UP {
            let number = self.number as u32;
            if place.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    fn remove(&self, events: &Fd) -> Result<(), Errno> {
        let mut line = Line::new();
        line.add(b"-:");
        self.add_to(&mut line);
        command(events, line)
    }

    pub(crate) fn add_to(&self, line: &mut Line) {
        line.add(b"ksyscall/p");
        line.add_number(self.namespace);
        for number in [self.pid, self.started, self.number] {
            line.add(b"_");
            line.add_number(number);
        }
    }

    /// Parses the name of one of this library's entries from a line of `kprobe_events`.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let (_, name) = cut(line, b':');
        let ids = cut(name, b' ').0.strip_prefix(b"ksyscall/p")?.split(|byte| *byte == b'_');
        let mut ids = ids.map(|digits| number(digits, 10));
        let mut next = || ids.next()?;
        let name = Self { namespace: next()?, pid: next()?, started: next()?, number: next()? };
        ids.next().is_none().then_some(name)
    }
}

impl Entry {
    /// Creates an entry for a probe on `symbol` + `offset` bytes, and opens a perf event on the
    /// entry's tracepoint.
    ///
    /// # Errors
    /// Returns [`Error::PerfEvent`] if the kernel refuses the probe itself.
    pub(crate) fn open(symbol: &Symbol, offset: u64, kind: Kind) -> Result<(Fd, Self), Error> {
        let mut name = EntryName::own();
        for _ in 0..TRIES {
            remove_stale(&name).map_err(failed("open kprobe_events"))?;
            let entry = Self::add(&mut name, symbol, offset, kind)?;
            let event = entry.open_event();
            // If the entry no longer exists, its id may have been reused, and the event opened may be
            // that of another process's entry. If the other process could not remove its entry
            // because of this, the next try removes the entry.
            if entry.count_probes().map_err(failed("read kprobe_events"))? == 1 {
                return Ok((event?, entry));
            }
        }
        Err(failed("keep the event")(Errno(libc::EAGAIN)))
    }

    /// Creates an entry with the next free name after `name`, and stores the new name in `name`.
    fn add(name: &mut EntryName, symbol: &Symbol, offset: u64, kind: Kind) -> Result<Self, Error> {
        let events = open_kprobe_events().map_err(failed("open kprobe_events"))?;
        loop {
            *name = name.next();
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
                Ok(()) => return Ok(Self(*name)),
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
    fn open_event(&self) -> Result<Fd, Error> {
        let mut file = Line::new();
        file.add(b"/events/");
        self.0.add_to(&mut file);
        file.add(b"/id");
        let id = find(file.as_bytes())
            .and_then(|id| sys::read_number(id.as_c_str(), b""))
            .map_err(failed("read the event's id"))?;
        sys::perf_event_open_tracepoint(id).map_err(failed("perf_event_open of the event"))
    }

    /// Returns the number of probes that the entry's event has.
    fn count_probes(&self) -> Result<usize, Errno> {
        let list = sys::open(find(b"/kprobe_events")?.as_c_str(), Mode::Read)?;
        let mut count = 0;
        sys::for_each_line(&list, &mut |line| {
            count += usize::from(EntryName::parse(line) == Some(self.0));
            false
        })?;
        Ok(count)
    }

    /// Returns how many times the kernel missed the function's entry or return. This number is the
    /// last column of the entry's line in `kprobe_profile`.
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

    /// Leaves the entry in the kernel, and lets a later attach through tracefs remove it.
    pub(crate) fn leave(self) {
        core::mem::ManuallyDrop::new(self).0.give_up();
    }

    /// Removes the entry. The entry's perf event must already be closed. If the removal fails, a
    /// later attach tries again.
    pub(crate) fn remove(self) -> Result<(), Errno> {
        let name = core::mem::ManuallyDrop::new(self).0;
        let removed = open_kprobe_events().and_then(|events| match name.remove(&events) {
            // Another process has removed the entry since the event was closed.
            Err(Errno(libc::ENOENT)) => Ok(()),
            removed => removed,
        });
        if removed.is_err() {
            name.give_up();
        }
        removed
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = Self(self.0).remove();
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

/// Removes the entries whose creators are not known to be alive, except entries in use.
///
/// # Errors
/// Returns the error from opening `kprobe_events` for writing.
fn remove_stale(own: &EntryName) -> Result<(), Errno> {
    let events = open_kprobe_events()?;
    // The kernel seeks by line number, so each removal can hide a later line from this pass.
    let mut is_complete = false;
    while !is_complete {
        is_complete = true;
        let list = find(b"/kprobe_events");
        let Ok(list) = list.and_then(|path| sys::open(path.as_c_str(), Mode::Read)) else {
            break;
        };
        let _ = sys::for_each_line(&list, &mut |line| {
            let stale = EntryName::parse(line).filter(|name| !name.is_live(own));
            if let Some(name) = stale.filter(|name| name.remove(&events).is_ok()) {
                is_complete = false;
                let place = name.place_of_given_up().filter(|_| name.number >> 32 == image());
                if let Some(place) = place {
                    place.store(0, Ordering::Relaxed);
                }
            }
            false
        });
    }
    Ok(())
}

/// Returns the path of a file in tracefs, wherever tracefs is mounted.
pub(super) fn find(file: &[u8]) -> Result<Line, Errno> {
    for root in [&b"/sys/kernel/tracing"[..], b"/sys/kernel/debug/tracing"] {
        if let Some(path) = existing(root, b"", file) {
            return Ok(path);
        }
    }
    let mounts = sys::open(c"/proc/self/mounts", Mode::Read)?;
    match find_mounted(&mounts, file)? {
        Some(path) => Ok(path),
        // The file may exist even though this user cannot access it.
        None => Err(sys::access(c"/sys/kernel/tracing/.").err().unwrap_or(Errno(libc::ENOENT))),
    }
}

/// Returns whether `kprobe_events` or `uprobe_events` may contain an entry, no matter which process
/// created it. Returns false only if each file is empty or does not exist.
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

/// Returns whether the kernel has a `sys_enter` tracepoint for the call `name`
/// (`CONFIG_FTRACE_SYSCALLS`).
pub(crate) fn has_tracepoint_of_call(name: &[u8]) -> bool {
    let mut file = Line::new();
    file.add(b"/events/syscalls/sys_enter_");
    file.add(name);
    find(file.as_bytes()).is_ok()
}

/// Returns the path of `file` in the first tracefs listed in `mounts` that contains the file.
pub(crate) fn find_mounted(mounts: &Fd, file: &[u8]) -> Result<Option<Line>, Errno> {
    let mut found = None;
    sys::for_each_line(mounts, &mut |line| {
        // If the mount's source is empty, the line begins with a space.
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

/// Returns the path of a file, if the file exists. `mount` is the mount point as it appears in
/// /proc/self/mounts, where, for example, `\040` stands for a space (proc_pid_mounts(5)).
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

    use crate::sys::fake::Kernel;

    /// The kernel limits an event's name to MAX_EVENT_NAME_LEN (kernel/trace/trace.h).
    #[test]
    fn the_longest_name_of_an_entry_fits() {
        let name = EntryName {
            namespace: 4_294_967_295,
            pid: 4_194_304,
            // An upper limit: 100 years, in hundredths of a second.
            started: 315_360_000_000,
            number: u64::MAX,
        };
        let mut text = Line::new();
        name.add_to(&mut text);
        assert!(text.as_bytes().len() < 64 + "ksyscall/".len());
    }

    /// This process has the id 7, process 8 is running, and process 9 is a zombie.
    const FILES: &[(&str, &str)] = &[
        ("/sys/kernel/tracing/kprobe_events", ""),
        ("*/id", "31\n"),
        ("/proc/7/stat", "7 (self) R 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 700 2 3\n"),
        ("/proc/8/stat", "8 (other) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 800 2 3\n"),
        ("/proc/9/stat", "9 (ended) Z 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 900 2 3\n"),
    ];

    fn kernel(entries: &[&str]) -> Kernel {
        let entries = entries.iter().map(|name| format!("p:ksyscall/{name} sys_openat"));
        let process = Some((7, "pid:[100]"));
        let (kprobe, entries) = (|_: &str, _, _| Ok(10), entries.collect());
        Kernel { files: FILES, kprobe, process, entries, ..Kernel::new() }
    }

    /// Creates an entry and removes it. Returns the lines written.
    fn open(kernel: Kernel) -> (Result<(), Error>, Vec<String>) {
        let symbol = Symbol::new(b"sys_openat", b"", b"");
        let (opened, calls) = kernel.run(|| Entry::open(&symbol, 0, Kind::ENTRY).map(drop));
        let written = calls.iter().filter_map(|call| call.strip_prefix("write "));
        (opened, written.map(|line| line.trim_end().to_owned()).collect())
    }

    /// Returns the stale entries that an attach tries to remove.
    fn removed(kernel: Kernel) -> Vec<String> {
        let (opened, written) = open(kernel);
        opened.unwrap();
        let others = written.iter().take_while(|line| line.starts_with("-:"));
        others.map(|line| line["-:ksyscall/".len()..].to_owned()).collect()
    }

    #[test]
    fn an_attach_removes_entries_without_a_live_process() {
        let image = image();
        let number = |image: u64| image << 32 | 0xffff_0001;
        let of_this_image = format!("p100_7_700_{}", number(image));
        let of_an_earlier_image = format!("p100_7_700_{}", number(image ^ 2));
        let entries = [
            &of_this_image[..],
            &of_an_earlier_image,
            // Entries of a live process, of an earlier process with the same id, of a dead process
            // and of a zombie.
            "p100_8_800_1",
            "p100_8_799_1",
            "p100_10_1000_1",
            "p100_9_900_1",
            // An entry of an earlier process that had this process's id and used the same entry
            // number.
            &of_this_image.replace("_700_", "_699_"),
            // An entry from another PID namespace, and two entries created without /proc.
            "p101_8_800_1",
            "p0_8_800_1",
            "p100_8_0_1",
            "mine",
        ];
        let stays = |name: &str| [&of_this_image[..], "p100_8_800_1", "mine"].contains(&name);
        let expected: Vec<_> = entries.iter().filter(|name| !stays(name)).collect();
        assert_eq!(removed(kernel(&entries)).iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn without_proc_all_entries_of_others_are_tried() {
        let own = format!("p0_7_0_{}", image() << 32 | 0xffff_0001);
        let entries = ["p100_8_800_1", "p0_9_0_1", &own];
        let files = &FILES[..2];
        let kernel = Kernel { files, process: Some((7, "")), ..kernel(&entries) };
        assert_eq!(removed(kernel), entries[..2]);
    }

    #[test]
    fn a_second_pass_retries_only_entries_in_use() {
        let entries = ["p101_8_800_1", "p100_10_1000_1", "p100_10_1000_2"];
        let kernel = Kernel { entries_in_use: "800_1", ..kernel(&entries) };
        // The second pass retries only the entry that is in use.
        assert_eq!(removed(kernel), [&entries[..], &entries[..1]].concat());
    }

    /// A process in another PID namespace removes the entry between its creation and the opening of
    /// its event.
    #[test]
    fn an_entry_that_another_process_removes_is_created_again() {
        let (opened, written) = open(Kernel { entries_lost: 3, ..kernel(&[]) });
        opened.unwrap();
        let made: Vec<_> = written.iter().filter(|line| line.starts_with("p:")).collect();
        assert_eq!(made.len(), 4);
        assert!((1..4).all(|n| !made[..n].contains(&made[n])), "{made:?}");
        let others = written.iter().filter(|line| *line == "-:ksyscall/p101_8_800_1");
        assert_eq!(others.count(), 3, "{written:?}");
        let (opened, _) = open(Kernel { entries_lost: usize::MAX, ..kernel(&[]) });
        assert!(matches!(opened, Err(Error::Tracefs { errno: libc::EAGAIN, .. })), "{opened:?}");
    }

    #[test]
    fn an_event_with_a_second_probe_is_not_used() {
        let (opened, written) = open(Kernel { entries_shared: 1, ..kernel(&[]) });
        opened.unwrap();
        assert_eq!(written.iter().filter(|line| line.starts_with("p:")).count(), 2);
        assert_eq!(written.iter().filter(|line| line.starts_with("-:")).count(), 2);
    }

    /// The entry was still in use when it should have been removed, for example because a pin held
    /// it.
    #[test]
    fn a_later_attach_removes_an_entry_that_was_given_up() {
        let symbol = Symbol::new(b"sys_openat", b"", b"");
        let (removed, _) = Kernel { entries_in_use: "ksyscall/", ..kernel(&[]) }.run(|| {
            let (_, entry) = Entry::open(&symbol, 0, Kind::ENTRY).unwrap();
            let name = entry.0;
            (entry.remove(), name)
        });
        let (Err(Errno(libc::EBUSY)), name) = removed else { panic!("{removed:?}") };
        let mut text = Line::new();
        name.add_to(&mut text);
        let text = std::str::from_utf8(text.as_bytes()).unwrap();
        let text = text.strip_prefix("ksyscall/").unwrap();
        let in_use = Kernel { entries_in_use: "ksyscall/", ..kernel(&[text]) };
        assert_eq!(super::tests::removed(in_use), [text]);
        assert_eq!(super::tests::removed(kernel(&[text])), [text]);
        // The slot is free again.
        assert!(name.place_of_given_up().is_none());
    }

    #[test]
    fn removal_succeeds_if_another_process_removed_the_entry() {
        let symbol = Symbol::new(b"sys_openat", b"", b"");
        let (removed, _) = kernel(&[]).run(|| {
            let (_, entry) = Entry::open(&symbol, 0, Kind::ENTRY).unwrap();
            entry.0.remove(&open_kprobe_events().unwrap()).unwrap();
            entry.remove()
        });
        assert_eq!(removed, Ok(()));
    }

    #[cfg(feature = "capi")]
    #[test]
    fn any_entry_in_either_list_counts() {
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
}
