//! Writes the result to a stream or a file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{Access, access};

use crate::args;

pub(super) struct Output {
    name: String,
    target: Target,
}

enum Target {
    Stdout,
    Stderr,
    /// A file to replace when the result is available.
    Replaced(PathBuf),
    /// A file, device or pipe to open when the result is available.
    Written(PathBuf),
    Open(File),
}

impl Output {
    pub(super) fn new(arguments: &args::Count) -> Result<Self> {
        let Some(path) = &arguments.output else {
            let (name, target) = match arguments.command.is_empty() {
                true => (crate::OUTPUT, Target::Stdout),
                false => ("standard error", Target::Stderr),
            };
            return Ok(Self { name: name.to_owned(), target });
        };
        let name = path.display().to_string();
        let target = target(path).with_context(|| format!("cannot write the result to {name}"))?;
        Ok(Self { name, target })
    }

    /// Writes a result. Further results are appended.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.try_write(bytes).with_context(|| format!("writing to {}", self.name))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = match &self.target {
            Target::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                return out.flush();
            }
            Target::Stderr => return io::stderr().write_all(bytes),
            Target::Open(file) => file.try_clone()?,
            Target::Written(path) => {
                OpenOptions::new().write(true).create(true).truncate(true).open(path)?
            }
            Target::Replaced(path) => return self.replace(&path.clone(), bytes),
        };
        file.write_all(bytes)?;
        self.target = Target::Open(file);
        Ok(())
    }

    /// Replaces the file atomically: a reader sees either the old file or the complete new file.
    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let old = fs::metadata(path);
        let mut new = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(path))?;
        new.write_all(bytes)?;
        if let Ok(old) = old {
            // Only root can give a file to its old owner.
            let _ = fchown(new.as_file(), Some(old.uid()), Some(old.gid()));
            new.as_file().set_permissions(old.permissions())?;
        }
        match new.persist(path) {
            Ok(file) => self.target = Target::Open(file),
            // The kernel does not replace a mount point, such as a file that a container mounts,
            // nor another user's file in a folder like /tmp.
            Err(_) if path.exists() => {
                self.target = Target::Written(path.to_owned());
                return self.try_write(bytes);
            }
            Err(error) => return Err(error.error),
        }
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn target(path: &Path) -> io::Result<Target> {
    // Replace the target of a symbolic link, not the link.
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return target_without_path(path),
        Err(error) => return Err(error),
    };
    let metadata = fs::metadata(&path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    access(&path, Access::WRITE_OK)?;
    let is_replaceable = access(folder(&path), Access::WRITE_OK | Access::EXEC_OK).is_ok();
    Ok(if metadata.is_file() && is_replaceable {
        Target::Replaced(path)
    } else {
        Target::Written(path)
    })
}

/// The target if `path` leads to a file that does not exist yet, or to a file without a path. For
/// example, /dev/stdout can lead to a pipe.
fn target_without_path(path: &Path) -> io::Result<Target> {
    let mut path = path.to_owned();
    while !path.exists() {
        let Ok(link) = fs::read_link(&path) else {
            let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
            if !path.as_os_str().as_bytes().ends_with(name.as_bytes()) {
                // A `/` follows the name.
                return Err(io::ErrorKind::IsADirectory.into());
            }
            access(folder(&path), Access::WRITE_OK | Access::EXEC_OK)?;
            return Ok(Target::Replaced(path));
        };
        path = folder(&path).join(link);
    }
    access(&path, Access::WRITE_OK)?;
    Ok(Target::Written(path))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    use super::*;

    fn output_to(path: &Path) -> Output {
        Output { name: String::new(), target: target(path).unwrap() }
    }

    /// /dev/stdout is such a link, and the shell's `>(command)` stands for the path /dev/fd/N.
    #[test]
    fn a_link_to_a_pipe_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        let descriptor = PathBuf::from(format!("/proc/self/fd/{}", write.as_raw_fd()));
        let link = folder.path().join("stdout");
        symlink(&descriptor, &link).unwrap();
        for path in [&link, &descriptor] {
            output_to(path).write(b"result").unwrap();
        }
        assert_eq!(fs::read_link(&link).unwrap(), descriptor);
        drop(write);
        assert_eq!(io::read_to_string(File::from(read)).unwrap(), "resultresult");
    }

    #[test]
    fn a_link_leads_to_the_file_to_create() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name| folder.path().join(name);
        symlink("second", place("first")).unwrap();
        symlink(place("file"), place("second")).unwrap();
        output_to(&place("first")).write(b"result").unwrap();
        assert!(fs::symlink_metadata(place("first")).unwrap().is_symlink());
        assert_eq!(fs::read(place("file")).unwrap(), b"result");
        symlink("/nowhere/file", place("wrong")).unwrap();
        assert!(target(&place("wrong")).is_err());
    }

    /// Nothing is counted then.
    #[test]
    fn a_path_that_names_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new/", "new/.", "new/file", "new/..", "."] {
            assert!(target(&folder.path().join(name)).is_err(), "{name}");
        }
        assert!(target(Path::new("")).is_err());
        assert!(matches!(target(&folder.path().join("new")), Ok(Target::Replaced(_))));
    }
}
