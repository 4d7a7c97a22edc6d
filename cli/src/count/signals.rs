//! Signals that end the count, and that of a child's end, as something to wait for.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

pub(super) struct Signals {
    woken: UnixStream,
    received: Arc<AtomicUsize>,
}

impl Signals {
    pub(super) fn new(has_child: bool) -> io::Result<Self> {
        let (woken, wake) = UnixStream::pair()?;
        let received = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // The second ends the process at once; the kernel then detaches what is attached.
            let is_second = Arc::new(std::sync::atomic::AtomicBool::new(false));
            signal_hook::flag::register_conditional_default(number, is_second.clone())?;
            signal_hook::flag::register(number, is_second)?;
            signal_hook::flag::register_usize(number, received.clone(), number as usize)?;
            signal_hook::low_level::pipe::register(number, wake.try_clone()?)?;
        }
        if has_child {
            signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
        }
        Ok(Self { woken, received })
    }

    /// The signal to end by, if one has come.
    pub(super) fn received(&self) -> Option<i32> {
        Some(self.received.load(Ordering::Relaxed) as i32).filter(|number| *number != 0)
    }

    /// Waits for a signal, or that long.
    pub(super) fn wait(&self, time: Duration) -> io::Result<()> {
        // None is for ever.
        self.woken.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
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
