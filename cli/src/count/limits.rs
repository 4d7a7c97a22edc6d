//! Raises this process's resource limits, and restores them in the command that is counted.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits with which this process started.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    files: Rlimit,
    locked_memory: Rlimit,
}

impl Limits {
    pub(super) fn current() -> Self {
        Self { files: getrlimit(Resource::Nofile), locked_memory: getrlimit(Resource::Memlock) }
    }

    /// Raises the limit on locked memory. Before Linux 5.11, BPF programs and maps count towards
    /// this limit, which is 64 KiB by default.
    pub(super) fn raise_locked_memory(self) {
        let unlimited = Rlimit { current: None, maximum: None };
        let most = Rlimit { current: self.locked_memory.maximum, ..self.locked_memory };
        // If this fails and the limit is too low, loading the programs fails.
        let _ =
            setrlimit(Resource::Memlock, unlimited).or_else(|_| setrlimit(Resource::Memlock, most));
    }

    /// Raises the limit on open files: each probed call requires two open files, and `--all
    /// --probes` requires several hundred.
    pub(super) fn raise_open_files(self) {
        // If this fails and the limit is too low, the error from attaching reports the limit.
        let most = Rlimit { current: self.files.maximum, ..self.files };
        let _ = setrlimit(Resource::Nofile, most);
    }

    /// Restores the limits. A child may call this before its execve(2), because this function does
    /// nothing but make system calls.
    pub(super) fn restore(self) -> rustix::io::Result<()> {
        setrlimit(Resource::Nofile, self.files)?;
        setrlimit(Resource::Memlock, self.locked_memory)
    }
}
