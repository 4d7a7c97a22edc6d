//! Waits for the signals that stop the counting, and for a child to exit.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGTERM};

/// A bit mask of the signals that were ignored when this process started, for example because of
/// nohup(1).
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Runs before the standard library's start-up code, which ignores SIGPIPE.
#[used]
// SAFETY: before main(), the C library calls the functions in this section. They must have this
// type.
#[allow(unsafe_code)]
#[unsafe(link_section = ".init_array")]
static RECORD_IGNORED: extern "C" fn() = record_ignored;

extern "C" fn record_ignored() {
    let mut ignored = 0;
    for number in 1..64 {
        // SAFETY: the struct consists of integers and pointers, which may be zero.
        #[allow(unsafe_code)]
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: `action` is writable, and passing NULL as the new action changes nothing.
        #[allow(unsafe_code)]
        let result = unsafe { libc::sigaction(number, std::ptr::null(), &mut action) };
        if result == 0 && action.sa_sigaction == libc::SIG_IGN {
            ignored |= 1 << number;
        }
    }
    IGNORED.store(ignored, Ordering::Relaxed);
}

fn was_ignored(number: i32) -> bool {
    IGNORED.load(Ordering::Relaxed) >> number & 1 == 1
}

/// Ignores the signals that were ignored when this process started. A child may call this before
/// its execve(2), because this function does nothing but make system calls.
pub(crate) fn ignore_as_before() {
    for number in (1..64).filter(|number| was_ignored(*number)) {
        // SAFETY: an ignored signal runs no handler.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(number, libc::SIG_IGN)
        };
    }
}

pub(super) struct Signals {
    woken: UnixStream,
    received: Arc<AtomicUsize>,
    continued: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn new(has_child: bool) -> io::Result<Self> {
        let (woken, wake) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let received = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // nohup(1) ignores SIGHUP. SIGINT stops the counting even if a shell ignores SIGINT
            // for background processes.
            if number == SIGHUP && was_ignored(number) {
                continue;
            }
            // A second signal kills the process at once, and the kernel detaches the programs.
            let is_second = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register_conditional_default(number, is_second.clone())?;
            signal_hook::flag::register(number, is_second)?;
            signal_hook::flag::register_usize(number, received.clone(), number as usize)?;
            signal_hook::low_level::pipe::register(number, wake.try_clone()?)?;
        }
        if has_child {
            signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
        }
        let continued = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGCONT, continued.clone())?;
        Ok(Self { woken, received, continued })
    }

    /// A flag that is set each time this process continues after a stop.
    pub(super) fn continued(&self) -> Arc<AtomicBool> {
        self.continued.clone()
    }

    /// The signal that was received, if any.
    pub(super) fn received(&self) -> Option<i32> {
        Some(self.received.load(Ordering::Relaxed) as i32).filter(|number| *number != 0)
    }

    /// Waits until a signal arrives, a process ends, or this time has passed.
    pub(super) fn wait<'a>(
        &self,
        time: Duration,
        processes: impl Iterator<Item = &'a OwnedFd>,
    ) -> io::Result<()> {
        let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
        fds.extend(processes.map(|process| PollFd::new(process, PollFlags::IN)));
        let time = Timespec {
            tv_sec: time.as_secs().min(1 << 30) as i64,
            tv_nsec: time.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&time)) {
            Err(error) if error != rustix::io::Errno::INTR => return Err(error.into()),
            _ => {}
        }
        let mut bytes = [0; 64];
        match (&self.woken).read(&mut bytes) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}
