//! Opens the processes given with `-p`, finds their PID namespaces, and detects when they end.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// PROC_PID_INIT_INO in include/linux/proc_ns.h.
const INITIAL: u64 = 0xefff_fffc;

/// A PID namespace, identified by the numbers that `bpf_get_ns_current_pid_tgid()` expects.
pub(super) struct Namespace {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Namespace {
    pub(super) fn own() -> Result<Self> {
        Self::at("self")
    }

    fn at(process: &str) -> Result<Self> {
        let path = format!("/proc/{process}/ns/pid");
        let metadata = fs::metadata(&path).with_context(|| format!("{path}: is /proc mounted?"))?;
        let (major, minor) = (rustix::fs::major(metadata.dev()), rustix::fs::minor(metadata.dev()));
        // Encode the device number as MKDEV() in include/linux/kdev_t.h does. User space uses a
        // different encoding.
        Ok(Self { device: u64::from(major << 20 | minor), inode: metadata.ino() })
    }

    /// Whether this is the initial namespace, whose process IDs BPF programs see.
    pub(super) fn is_initial(&self) -> bool {
        self.inode == INITIAL
    }
}

/// A process given with `-p`.
pub(super) struct Process {
    pub(super) number: u32,
    /// The pidfd; None before Linux 5.3.
    fd: Option<OwnedFd>,
}

impl Process {
    pub(super) fn open(number: i32) -> Result<Self> {
        let gone = || format!("there is no process {number}; nothing was attached");
        let pid = Pid::from_raw(number).with_context(gone)?;
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            Err(rustix::io::Errno::SRCH) => bail!(gone()),
            // This error means either that the number is a thread's ID, which the check below
            // reports, or that the kernel is too old for pidfds.
            Err(_) => None,
        };
        let process = Self { number: number as u32, fd };
        match process.field("Tgid:") {
            None => bail!(gone()),
            Some(leader) if leader != number.to_string() => {
                bail!("{number} is a thread of the process {leader}: use -p {leader}")
            }
            Some(_) if process.has_ended() => {
                bail!("the process {number} has ended: it is a zombie; nothing was attached")
            }
            Some(_) => Ok(process),
        }
    }

    /// Whether the process has ended. A zombie has ended.
    pub(super) fn has_ended(&self) -> bool {
        let Some(fd) = &self.fd else {
            return self.field("State:").is_none_or(|state| state.starts_with(['Z', 'X']));
        };
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    pub(super) fn fd(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }

    /// Returns the process's PID namespace, and the process's ID in that namespace.
    pub(super) fn innermost(&self) -> Result<(Namespace, u32)> {
        let ids = self.field("NSpid:").unwrap_or_default();
        let number = ids.split_whitespace().last().and_then(|number| number.parse().ok());
        Ok((Namespace::at(&self.number.to_string())?, number.unwrap_or(self.number)))
    }

    /// Returns a field of /proc/PID/status, or None if the process no longer exists.
    fn field(&self, name: &str) -> Option<String> {
        let status: io::Result<_> = fs::read_to_string(format!("/proc/{}/status", self.number));
        let status = status.ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    }
}
