//! Finds the libraries that a program is linked with, in the same way as ld.so(8).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::elf::{Elf, Machine};

/// Where the loader looks for a program's libraries, in order.
pub(super) struct Folders(Vec<PathBuf>);

impl Folders {
    pub(super) fn of(program: &Path, elf: &Elf) -> Self {
        let origin = fs::canonicalize(program).ok();
        let origin = origin.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"));
        let origin = origin.display().to_string();
        let own = elf.search_path.iter().map(|folder| {
            PathBuf::from(folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
        });
        let given = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let given = env::split_paths(&given).filter(|folder| !folder.as_os_str().is_empty());
        Self(own.chain(given.collect::<Vec<_>>()).chain(system_folders()).collect())
    }

    pub(super) fn find(&self, name: &str, machine: Machine) -> Option<(PathBuf, Elf)> {
        let paths: Vec<_> = match name.contains('/') {
            true => vec![PathBuf::from(name)],
            false => self.0.iter().map(|folder| folder.join(name)).collect(),
        };
        paths.into_iter().find_map(|path| {
            let elf = Elf::read(&path).ok().filter(|elf| elf.machine == machine)?;
            Some((fs::canonicalize(&path).unwrap_or(path), elf))
        })
    }
}

/// The folders in /etc/ld.so.conf, then the loader's default folders.
pub(super) fn system_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    read_loader_conf(Path::new("/etc/ld.so.conf"), &mut folders, 0);
    for lib in ["/lib", "/usr/lib", "/usr/local/lib"] {
        folders.push(Path::new(lib).join(multiarch()));
    }
    folders
        .extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"].map(PathBuf::from));
    folders
}

/// Reads the list of folders from a configuration file and the files it includes (ldconfig(8)).
fn read_loader_conf(path: &Path, folders: &mut Vec<PathBuf>, depth: u32) {
    let Ok(text) = fs::read_to_string(path) else { return };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        let Some(pattern) = line.strip_prefix("include ") else {
            folders.extend(Some(line).filter(|line| line.starts_with('/')).map(PathBuf::from));
            continue;
        };
        // Debian, among others, uses this line: include /etc/ld.so.conf.d/*.conf
        let pattern = Path::new(pattern.trim());
        let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else { continue };
        let folder = Path::new("/etc").join(folder);
        let (start, end) = name.to_str().and_then(|name| name.split_once('*')).unwrap_or_default();
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if depth < 5 && name.starts_with(start) && name.ends_with(end) {
                read_loader_conf(&file, folders, depth + 1);
            }
        }
    }
}

/// Debian's folder for the libraries of this architecture.
pub(super) fn multiarch() -> &'static str {
    match (env::consts::ARCH, cfg!(target_endian = "little")) {
        ("x86_64", _) => "x86_64-linux-gnu",
        ("x86", _) => "i386-linux-gnu",
        ("aarch64", _) => "aarch64-linux-gnu",
        ("arm", _) => "arm-linux-gnueabihf",
        ("riscv64", _) => "riscv64-linux-gnu",
        ("s390x", _) => "s390x-linux-gnu",
        ("powerpc64", true) => "powerpc64le-linux-gnu",
        ("loongarch64", _) => "loongarch64-linux-gnu",
        ("mips64", true) => "mips64el-linux-gnuabi64",
        _ => "none",
    }
}
