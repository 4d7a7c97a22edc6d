//! A program that is to be run: where it is, and whether preloading the library reaches it.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{Access, access};

use crate::elf::{Elf, Machine};

pub(crate) const SONAME: &str = "libksyscall.so.1";

/// Whether the library answers for libbpf in a tool, if it is preloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reach: Reach,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it, if it is not reached.
    pub(crate) advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Yes,
    /// It may be, by what it does later.
    Perhaps,
    No,
}

/// The file of a command, as execvp(3) looks for it.
pub(crate) fn find(name: &OsStr) -> Result<PathBuf> {
    let shown = Path::new(name).display();
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        if !path.exists() {
            bail!("{shown}: there is no such file");
        }
        if !is_program(&path) {
            match path.is_dir() {
                true => bail!("{shown} is a folder, and no program"),
                false => bail!("{shown} is no file that you may execute (chmod +x)"),
            }
        }
        return Ok(path);
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut paths = env::split_paths(&folders).map(|folder| folder.join(name));
    match paths.find(|path| is_program(path)) {
        Some(path) => Ok(path),
        None => bail!("{shown}: there is no such command in the folders of PATH"),
    }
}

/// Why execve(2) has failed.
pub(crate) fn not_executed(program: &Path, error: std::io::Error) -> anyhow::Error {
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT) if program.exists() => {
            ": the interpreter or loader that it names is missing"
        }
        Some(libc::ENOEXEC) => ": this system runs no such file",
        _ => "",
    };
    anyhow::Error::from(error).context(format!("{} cannot be executed{hint}", program.display()))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// The library to preload: the one that is named, or that of the folder beside this
/// program's, or the system's.
pub(crate) fn find_library(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
        Elf::read(&path).context("--library names what cannot be preloaded")?;
        // LD_PRELOAD has no way to write these (ld.so(8)).
        if path.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b' ' | b':')) {
            bail!(
                "{}: a library with a space or a colon in its path cannot be preloaded",
                path.display()
            );
        }
        return Ok(path);
    }
    let own = fs::canonicalize("/proc/self/exe")
        .context("/proc/self/exe: mount /proc, or name the library with --library")?;
    let machine = Elf::read(&own)?.machine;
    let beside = own.parent().and_then(Path::parent).map(|prefix| prefix.join("lib"));
    let mut folders: Vec<PathBuf> =
        beside.iter().flat_map(|lib| [lib.join(multiarch()), lib.clone()]).collect();
    folders.extend(system_folders());
    let found = folders.iter().map(|folder| folder.join(SONAME)).find(|path| is_for(path, machine));
    found.with_context(|| {
        format!("{SONAME} is in none of the folders where the loader looks; install it (`make install`), or name it with --library")
    })
}

fn is_for(path: &Path, machine: Machine) -> bool {
    Elf::read(path).is_ok_and(|elf| elf.machine == machine)
}

/// Whether preloading the library reaches a program or script.
pub(crate) fn judge(tool: &Path, library: Option<&Path>) -> Result<Verdict> {
    let (program, lead) = behind_scripts(tool)?;
    let is_interpreter = !lead.is_empty();
    let elf = Elf::read(&program)?;
    // What is preloaded, or else this program, says what it must be for.
    let ours = library.map_or_else(
        || fs::canonicalize("/proc/self/exe").map_err(Into::into),
        |path| Ok::<_, anyhow::Error>(path.into()),
    )?;
    let ours = Elf::read(&ours)?;
    let mut verdict = judge_program(&program, &elf, &ours, is_interpreter);
    verdict.found = lead + &verdict.found;
    Ok(verdict)
}

/// The program that runs a script, and the words for that.
fn behind_scripts(tool: &Path) -> Result<(PathBuf, String)> {
    let (mut program, mut lead) = (tool.to_owned(), String::new());
    // As the kernel: BINPRM_MAX_RECURSION of fs/exec.c.
    for _ in 0..5 {
        let data = fs::read(&program).with_context(|| program.display().to_string())?;
        let Some(line) = data.strip_prefix(b"#!") else {
            return Ok((program, lead));
        };
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words =
            line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty());
        let shown = program.display();
        let first = words.next();
        let first =
            first.with_context(|| format!("{shown}: a script that names no interpreter"))?;
        let for_it = || format!("{shown} is a script, whose interpreter is missing");
        let mut interpreter = find(OsStr::from_bytes(first)).with_context(for_it)?;
        if interpreter.file_name() == Some(OsStr::new("env")) {
            let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
            let name = name.with_context(|| {
                format!("{shown}: a script whose first line has env without a command")
            })?;
            interpreter = find(OsStr::from_bytes(name)).with_context(for_it)?;
        }
        lead += &format!("a script for {}, which is ", interpreter.display());
        program = interpreter;
    }
    bail!("{}: scripts that are run by scripts, too many", tool.display())
}

fn judge_program(program: &Path, elf: &Elf, ours: &Elf, is_interpreter: bool) -> Verdict {
    let no = |found: String, advice: &str| Verdict {
        reach: Reach::No,
        found,
        advice: Some(advice.to_owned()),
    };
    if elf.machine != ours.machine {
        let found = format!(
            "a program for {}, and the library is for {}",
            elf.machine.name(),
            ours.machine.name()
        );
        return no(found, "build libksyscall for that architecture, and preload that");
    }
    let Some(loader) = &elf.interpreter else {
        return match elf.has_libbpf {
            true => no(
                "static, with libbpf in it".to_owned(),
                "link the tool with libksyscall-static before libbpf",
            ),
            false => no(
                "static: nothing can be preloaded, and it has no libbpf".to_owned(),
                "is it the tool that attaches programs?",
            ),
        };
    };
    let is_musl = loader.contains("ld-musl");
    let wants_glibc = ours.needed.iter().any(|name| name == "libc.so.6");
    if is_musl && wants_glibc {
        let found = format!("loaded by {loader}, of musl, and the library needs glibc");
        return no(found, "build libksyscall with musl, and preload that");
    }
    if let Some(why) = is_secure(program) {
        let advice = "run a copy of it without these rights, as root, or link it with libksyscall";
        return no(why, advice);
    }
    judge_libbpf(program, elf, is_interpreter)
}

/// Why ld.so ignores LD_PRELOAD with a path in it, for whoever runs this (ld.so(8),
/// "Secure-execution mode").
fn is_secure(program: &Path) -> Option<String> {
    let ignored = "the loader then ignores what is to be preloaded";
    let mounted = rustix::fs::statvfs(program).ok()?;
    if mounted.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID) {
        // Where no file gives rights (mnt_may_suid() of the kernel's fs/namespace.c).
        return None;
    }
    let status = fs::metadata(program).ok()?;
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mode = status.mode();
    if mode & 0o4000 != 0 && status.uid() != uid {
        return Some(format!("set-user-ID of user {}: {ignored}", status.uid()));
    }
    if mode & 0o2000 != 0 && mode & 0o010 != 0 && status.gid() != gid {
        return Some(format!("set-group-ID of group {}: {ignored}", status.gid()));
    }
    let mut capabilities = [0_u8; 64];
    let length = rustix::fs::getxattr(program, "security.capability", &mut capabilities).ok()?;
    // It is no matter to root, who has all of them.
    (uid != 0 && gives_capabilities(&capabilities[..length], &OwnSets::read()))
        .then(|| format!("a file with capabilities: {ignored}"))
}

/// Of this process, what limits those that a file gives.
struct OwnSets {
    bounding: u64,
    inheritable: u64,
}

impl OwnSets {
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let set = |name| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(value.trim(), 16).ok()
        };
        let (bounding, inheritable) = (set("CapBnd:"), set("CapInh:"));
        Self { bounding: bounding.unwrap_or(u64::MAX), inheritable: inheritable.unwrap_or(0) }
    }
}

/// Whether a file with that `security.capability` makes the kernel say AT_SECURE:
/// cap_bprm_creds_from_file() of the kernel's security/commoncap.c. The words are those of
/// `struct vfs_cap_data` of linux/capability.h.
fn gives_capabilities(attribute: &[u8], own: &OwnSets) -> bool {
    const EFFECTIVE: u32 = 1;
    let word = |place: usize| {
        let bytes = attribute.get(4 * place..4 * place + 4);
        bytes.map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
    };
    let is_long = attribute.len() >= 20;
    let upper = |place| if is_long { u64::from(word(place)) << 32 } else { 0 };
    let permitted = u64::from(word(1)) | upper(3);
    let inheritable = u64::from(word(2)) | upper(4);
    let given = permitted & own.bounding | inheritable & own.inheritable;
    word(0) & EFFECTIVE != 0 || given != 0
}

/// Looks for libbpf in the program and in all libraries that it is linked with.
fn judge_libbpf(program: &Path, elf: &Elf, is_interpreter: bool) -> Verdict {
    let static_advice = "link it with libksyscall-static before libbpf";
    let no =
        |found, advice: &str| Verdict { reach: Reach::No, found, advice: Some(advice.to_owned()) };
    let is_libbpf = |name: &str| name.starts_with("libbpf.so");
    let mut names_one = elf.names_libbpf && !elf.needed.iter().any(|name| is_libbpf(name));
    if elf.has_libbpf {
        return no("a static libbpf is in the program".to_owned(), static_advice);
    }
    let folders = Folders::of(program, elf);
    let mut seen: Vec<String> = Vec::new();
    let mut queue: VecDeque<_> = elf.needed.iter().cloned().collect();
    while let Some(name) = queue.pop_front() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        let Some((path, library)) = folders.find(&name, elf.machine) else {
            if is_libbpf(&name) {
                return no(
                    format!("it needs {name}, which is not found"),
                    "install it, or set LD_LIBRARY_PATH",
                );
            }
            continue;
        };
        if name.starts_with("libbpf.so.0") {
            let found = format!(
                "linked with {}, a libbpf before 1.0, which has no {}",
                path.display(),
                "bpf_program__attach_ksyscall()"
            );
            return no(found, "the tool has to be linked with libksyscall to use it");
        }
        if is_libbpf(&name) {
            let how = match library.calls_by_name {
                true => "",
                false => {
                    ", which is bound to itself; bpf_program__attach() and skeletons are answered for it"
                }
            };
            return Verdict {
                reach: Reach::Yes,
                found: format!("linked with {}{how}", path.display()),
                advice: None,
            };
        }
        if library.has_libbpf {
            let advice = "that library has to be linked with libksyscall-static before libbpf";
            return no(format!("a static libbpf is in {}", path.display()), advice);
        }
        names_one |= library.names_libbpf;
        queue.extend(library.needed);
    }
    let perhaps = |found: &str| {
        Verdict {
        reach: Reach::Perhaps,
        found: found.to_owned(),
        advice: Some(
            "a libbpf 1.0 or later that it loads by dlopen(3), or that a program which it starts is linked with, is reached".to_owned(),
        ),
    }
    };
    if names_one {
        perhaps("not linked with libbpf, and names one to load")
    } else if is_interpreter {
        perhaps("not linked with libbpf; what the script loads is not known")
    } else {
        perhaps("not linked with libbpf")
    }
}

/// Where the loader looks for a program's libraries, in order.
struct Folders(Vec<PathBuf>);

impl Folders {
    fn of(program: &Path, elf: &Elf) -> Self {
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

    fn find(&self, name: &str, machine: Machine) -> Option<(PathBuf, Elf)> {
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

/// The folders of /etc/ld.so.conf, then the loader's own.
fn system_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    read_loader_conf(Path::new("/etc/ld.so.conf"), &mut folders, 0);
    for lib in ["/lib", "/usr/lib", "/usr/local/lib"] {
        folders.push(Path::new(lib).join(multiarch()));
    }
    folders
        .extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"].map(PathBuf::from));
    folders
}

/// Lines of folders, and `include` of files (ldconfig(8)).
fn read_loader_conf(path: &Path, folders: &mut Vec<PathBuf>, depth: u32) {
    let Ok(text) = fs::read_to_string(path) else { return };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        let Some(pattern) = line.strip_prefix("include ") else {
            folders.extend(Some(line).filter(|line| line.starts_with('/')).map(PathBuf::from));
            continue;
        };
        // What there is in Debian and others: include /etc/ld.so.conf.d/*.conf
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
fn multiarch() -> &'static str {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// Programs that are really built, in a folder that goes with it.
    struct Built(tempfile::TempDir);

    const CALLS: &str = "int bpf_program__attach_ksyscall(void *, const char *, void *);\n\
        int main(void) { return bpf_program__attach_ksyscall(0, \"stat\", 0) != 0; }\n";
    const NOTHING: &str = "int main(void) { return 0; }\n";

    impl Built {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn cc(&self, name: &str, source: &str, options: &[&str]) -> PathBuf {
            let file = self.path(&format!("{name}.c"));
            fs::write(&file, source).unwrap();
            let out = self.path(name);
            let done =
                Command::new("cc").arg(file).arg("-o").arg(&out).args(options).output().unwrap();
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            out
        }

        /// Something in the place of a libbpf.
        fn libbpf(&self, soname: &str, source: &str, options: &[&str]) {
            let soname_option = format!("-Wl,-soname,{soname}");
            let options = [&["-shared", "-fPIC", &soname_option], options].concat();
            self.cc(soname, source, &options);
        }

        fn linked_with(&self, name: &str, library: &str) -> PathBuf {
            let folder = self.0.path().display();
            let options =
                [format!("-L{folder}"), format!("-l:{library}"), format!("-Wl,-rpath,{folder}")];
            self.cc(name, CALLS, &options.each_ref().map(String::as_str))
        }
    }

    fn verdict(program: &Path) -> Verdict {
        judge(program, None).unwrap()
    }

    #[track_caller]
    fn expect(program: &Path, reach: Reach, found: &str) {
        let verdict = verdict(program);
        assert_eq!(verdict.reach, reach, "{verdict:?}");
        assert!(verdict.found.contains(found), "{verdict:?}");
        assert_eq!(verdict.advice.is_some(), reach != Reach::Yes, "{verdict:?}");
    }

    #[test]
    fn a_shared_libbpf_is_reached_and_a_static_one_is_not() {
        let built = Built::new();
        expect(&built.cc("shared", CALLS, &["-lbpf"]), Reach::Yes, "/libbpf.so.1");
        let with_static = ["-l:libbpf.a", "-lelf", "-lz"];
        expect(
            &built.cc("static", CALLS, &with_static),
            Reach::No,
            "a static libbpf is in the program",
        );
        let stripped = ["-l:libbpf.a", "-lelf", "-lz", "-s"];
        expect(
            &built.cc("stripped", CALLS, &stripped),
            Reach::No,
            "a static libbpf is in the program",
        );
        expect(
            &built.cc("whole", NOTHING, &["-static"]),
            Reach::No,
            "static: nothing can be preloaded",
        );
    }

    /// As a dlsym() of a name that is built in.
    #[test]
    fn a_program_without_libbpf_may_load_one() {
        let built = Built::new();
        expect(&built.cc("none", NOTHING, &[]), Reach::Perhaps, "not linked with libbpf");
        let loads =
            "#include <dlfcn.h>\nint main(void) { return !dlopen(\"libbpf.so.1\", RTLD_NOW); }\n";
        expect(&built.cc("loads", loads, &["-ldl"]), Reach::Perhaps, "names one to load");
    }

    #[test]
    fn a_libbpf_in_a_library_of_the_program_is_seen() {
        let built = Built::new();
        let plugin = "void *bpf_program__attach(void *);\nvoid *plugin(void) { return bpf_program__attach(0); }\n";
        built.cc("libshared.so", plugin, &["-shared", "-fPIC", "-lbpf"]);
        let use_it = "void *plugin(void);\nint main(void) { return !plugin(); }\n";
        let folder = format!("-L{}", built.0.path().display());
        let here = format!("-Wl,-rpath,{}", "$ORIGIN");
        let program =
            built.cc("uses", use_it, &[&folder, "-lshared", &here, "-Wl,--allow-shlib-undefined"]);
        expect(&program, Reach::Yes, "/libbpf.so.1");
        let own = "void *bpf_program__attach_ksyscall(void) { return 0; }\nvoid *plugin(void) { return 0; }\n";
        built.cc("libshared.so", own, &["-shared", "-fPIC"]);
        expect(&program, Reach::No, "libshared.so");
    }

    #[test]
    fn which_libbpf_it_is_matters() {
        let built = Built::new();
        let both = "void *bpf_program__attach_ksyscall(void) { return 0; }\n\
            void *bpf_program__attach(void) { return bpf_program__attach_ksyscall(); }\n";
        // As Ubuntu's packages are built, and as Debian's are.
        built.libbpf("libbpf.so.1", both, &["-Wl,-Bsymbolic-functions"]);
        let bound = verdict(&built.linked_with("bound", "libbpf.so.1"));
        assert_eq!(bound.reach, Reach::Yes);
        assert!(bound.found.contains("bound to itself"), "{bound:?}");
        built.libbpf("libbpf.so.1", both, &[]);
        let by_name = verdict(&built.linked_with("by-name", "libbpf.so.1"));
        assert_eq!(by_name.reach, Reach::Yes);
        assert!(!by_name.found.contains("bound to itself"), "{by_name:?}");
        built.libbpf("libbpf.so.0", both, &[]);
        expect(&built.linked_with("old", "libbpf.so.0"), Reach::No, "before 1.0");
        built.libbpf("libbpf.so.77", both, &[]);
        let missing = built.linked_with("missing", "libbpf.so.77");
        fs::remove_file(built.path("libbpf.so.77")).unwrap();
        expect(&missing, Reach::No, "which is not found");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_the_library_is_not_built_for_is_not_reached() {
        let built = Built::new();
        let start = "void _start(void) { for (;;); }\n";
        let other = built.cc("i386", start, &["-m32", "-nostdlib", "-static", "-fno-pic"]);
        expect(
            &other,
            Reach::No,
            "a program for i386 (32 bits), and the library is for x86_64 (64 bits)",
        );
        let musl =
            built.cc("musl", CALLS, &["-lbpf", "-Wl,--dynamic-linker,/lib/ld-musl-x86_64.so.1"]);
        expect(&musl, Reach::No, "of musl");
    }

    #[test]
    fn a_set_user_id_program_is_not_reached() {
        let built = Built::new();
        let program = built.cc("suid", CALLS, &["-lbpf"]);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
        expect(&program, Reach::Yes, "libbpf.so.1");
        if std::os::unix::fs::chown(&program, Some(12345), None).is_err() {
            return println!("only root can give a file to another user: not tried here");
        }
        // chown(2) takes the bit away.
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
        expect(&program, Reach::No, "set-user-ID of user 12345");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        expect(&program, Reach::Yes, "libbpf.so.1");
    }

    #[test]
    fn capabilities_that_a_file_gives_are_secure() {
        let own = OwnSets { bounding: u64::MAX >> 23, inheritable: 1 << 13 };
        let gives = |words: &[u32]| {
            let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            gives_capabilities(&bytes, &own)
        };
        // VFS_CAP_REVISION_2; permitted, inheritable, and their upper halves.
        const SECOND: u32 = 0x0200_0000;
        assert!(gives(&[SECOND | 1, 1 << 13, 0, 0, 0]));
        assert!(gives(&[SECOND, 1 << 13, 0, 0, 0]));
        assert!(gives(&[SECOND, 0, 0, 1 << (39 - 32), 0]));
        assert!(gives(&[SECOND, 0, 1 << 13, 0, 0]));
        assert!(gives(&[SECOND | 1, 0, 0, 0, 0]));
        assert!(!gives(&[SECOND, 0, 0, 0, 0]));
        // What this process may not inherit, and what it is bound not to get.
        assert!(!gives(&[SECOND, 0, 1 << 12, 0, 0]));
        assert!(!gives(&[SECOND, 0, 0, 1 << (50 - 32), 0]));
        // VFS_CAP_REVISION_1 has one half, VFS_CAP_REVISION_3 a user behind them.
        assert!(gives(&[0x0100_0000, 1 << 13, 0]));
        assert!(!gives(&[0x0300_0000, 0, 0, 0, 0, 1000]));
    }

    #[test]
    fn a_script_is_what_runs_it() {
        let built = Built::new();
        let program = built.cc("tool", CALLS, &["-lbpf"]);
        let script = built.path("script");
        for line in [
            format!("#!{} -x", program.display()),
            format!("#! /usr/bin/env -S {}", program.display()),
        ] {
            fs::write(&script, line + "\nwhatever\n").unwrap();
            expect(&script, Reach::Yes, "a script for ");
        }
        fs::write(&script, "#!/bin/sh\n").unwrap();
        expect(&script, Reach::Perhaps, "what the script loads is not known");
        fs::write(&script, "#!/nowhere/shell\n").unwrap();
        let why = |script| format!("{:#}", judge(script, None).unwrap_err());
        let missing = "/script is a script, whose interpreter is missing: /nowhere/shell: ";
        assert!(why(&script).contains(missing), "{}", why(&script));
        for (line, what) in [
            ("#!", "/script: a script that names no interpreter"),
            ("#!/usr/bin/env -S", "/script: a script whose first line has env without a command"),
            ("echo", "no script that begins with #!"),
        ] {
            fs::write(&script, format!("{line}\n")).unwrap();
            assert!(why(&script).contains(what), "{}", why(&script));
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let built = Built::new();
        let program = built.cc("tool", NOTHING, &[]);
        let data = fs::read(&program).unwrap();
        for length in [4, 5, 40, 200, data.len() / 2] {
            assert!(Elf::parse(&data[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn commands_are_found_as_the_shell_finds_them() {
        assert!(find(OsStr::new("sh")).unwrap().ends_with("sh"));
        for (name, why) in [
            ("no-such-command", "no such command in the folders of PATH"),
            ("/no/such", "no such file"),
            ("/etc/passwd", "no file that you may execute"),
            ("/etc", "is a folder"),
        ] {
            assert!(find(OsStr::new(name)).unwrap_err().to_string().contains(why), "{name}");
        }
    }

    #[test]
    fn a_library_that_cannot_be_preloaded_is_refused() {
        let built = Built::new();
        let file = built.path("lib with space.so");
        fs::copy(built.cc("l.so", NOTHING, &["-shared", "-fPIC"]), &file).unwrap();
        assert!(find_library(Some(&file)).unwrap_err().to_string().contains("space"));
        assert!(find_library(Some(Path::new("/none.so"))).is_err());
        assert!(
            format!("{:#}", find_library(Some(Path::new("/etc/passwd"))).unwrap_err())
                .contains("no program or library")
        );
        assert_eq!(find_library(Some(&built.path("l.so"))).unwrap(), built.path("l.so"));
    }
}
