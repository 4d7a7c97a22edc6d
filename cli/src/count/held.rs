//! Starts a command, and holds it until everything is attached.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::getpid;

use super::limits::Limits;
use super::signals;
use crate::tool;

const GO: u8 = b'+';
const END: u8 = b'-';

pub(super) struct Held {
    pid: u32,
    gate: Option<OwnedFd>,
    /// The thread that spawns the command. The thread ends after the command's execve(2).
    start: Option<JoinHandle<io::Result<Child>>>,
    program: PathBuf,
}

impl Held {
    /// Starts the command with these resource limits. `words` contains the command's name, as the
    /// user typed it, and its arguments. The command ignores the signals that were ignored when
    /// this process started.
    pub(super) fn start(program: &Path, words: &[OsString], limits: Limits) -> Result<Self> {
        let (waiting, gate) = pipe_with(PipeFlags::CLOEXEC)?;
        let (said, say) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut command = Command::new(program);
        if let Some((name, arguments)) = words.split_first() {
            command.arg0(name).args(arguments);
        }
        let its_gate = gate.as_raw_fd();
        // Once released, the child makes no call except execve(2), because the child's calls are
        // counted.
        let hold = move || {
            // Close the child's copy of the gate. Otherwise the read below would never return if
            // `ksyscall` were killed.
            // SAFETY: nothing else in the child uses this descriptor.
            #[allow(unsafe_code)]
            unsafe {
                libc::close(its_gate)
            };
            signals::ignore_as_before();
            limits.restore()?;
            rustix::io::write(&say, &getpid().as_raw_nonzero().get().to_ne_bytes())?;
            let mut word = [0];
            while let Err(rustix::io::Errno::INTR) = rustix::io::read(&waiting, &mut word) {}
            match word {
                [GO] => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            }
        };
        // SAFETY: in the child, `hold` does nothing but make system calls, and does not allocate.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(hold)
        };
        let start = std::thread::spawn(move || command.spawn());
        let mut pid = [0; 4];
        let program = program.to_owned();
        let read = rustix::io::read(&said, &mut pid);
        let mut held =
            Self { pid: u32::from_ne_bytes(pid), gate: Some(gate), start: Some(start), program };
        if read != Ok(4) {
            held.gate = None;
            held.join().map(drop)?;
        }
        Ok(held)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the child execute the command.
    pub(super) fn release(mut self) -> Result<Child> {
        self.tell(GO);
        self.join()
    }

    fn tell(&mut self, word: u8) {
        if let Some(gate) = self.gate.take() {
            let _ = rustix::io::write(&gate, &[word]);
        }
    }

    fn join(&mut self) -> Result<Child> {
        let start = self.start.take().context("the command is started once")?;
        let child =
            start.join().map_err(|_| anyhow!("the thread that starts the command panicked"))?;
        child.map_err(|error| tool::not_executed(&self.program, error))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tell(END);
        if self.start.is_some() {
            let _ = self.join();
        }
    }
}
