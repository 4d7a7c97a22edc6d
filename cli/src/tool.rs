//! A program that is to be run: where it is, and whether preloading the library reaches it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rustix::fs::{Access, access};

/// The file of a command, as execvp(3) looks for it.
pub(crate) fn find(name: &OsStr) -> Result<PathBuf> {
    let shown = Path::new(name).display();
    if name.as_encoded_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        if !path.exists() {
            bail!("{shown}: there is no such file");
        }
        if !is_program(&path) {
            bail!("{shown} is no file that may be executed");
        }
        return Ok(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| is_program(path));
    match found {
        Some(path) => Ok(path),
        None => bail!("{shown}: no such command in the folders of PATH"),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
