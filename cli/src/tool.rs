//! Finds a program to run, and determines whether the library can be preloaded into it.

mod loader;
mod rights;

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{Access, access};

use crate::elf::{Elf, Imports};

const SONAME: &str = "libksyscall.so.1";
pub(crate) const NOT_INSTALLED: &str =
    "libksyscall.so.1 is not installed: run `make install`, or name the library with --library";

/// The effect of preloading the library into a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reach: Reach,
    /// What was found in the tool's files.
    pub(crate) found: String,
    /// Advice for the user, or a description of what does not work.
    pub(crate) advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The library, rather than libbpf, attaches the tool's programs.
    Yes,
    /// The tool opens its own probes, and the library redirects them to the right functions.
    Probes,
    /// Whether the library is used depends on what the tool does at run time.
    Perhaps,
    No,
}

impl Reach {
    /// The word for this value in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Reach::Yes => "yes",
            Reach::Probes => "probes",
            Reach::Perhaps => "perhaps",
            Reach::No => "no",
        }
    }

    /// The beginning of a sentence that ends with the tool's name.
    pub(crate) fn lead(self) -> &'static str {
        match self {
            Reach::Yes => "Preloading reaches",
            Reach::Probes => "Preloading corrects the probes of",
            Reach::Perhaps => "Preloading may reach",
            Reach::No => "Preloading does NOT reach",
        }
    }
}

impl Verdict {
    fn new(reach: Reach, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { reach, found: found.into(), advice: Some(advice.into()) }
    }

    fn no(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Reach::No, found, advice)
    }
}

/// Finds the file of a command, as execvp(3) does. The kind of the error is `NotFound` if there is
/// no such file.
pub(crate) fn find(name: &OsStr) -> io::Result<PathBuf> {
    let shown = Path::new(name).display();
    let failure = |kind, reason: &str| Err(io::Error::new(kind, format!("{shown}{reason}")));
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                failure(ErrorKind::NotFound, ": no such file")
            }
            Err(error) => failure(error.kind(), &format!(": {error}")),
            Ok(file) if file.is_dir() => {
                failure(ErrorKind::IsADirectory, " is a folder, not a program")
            }
            Ok(_) if !is_program(&path) => failure(
                ErrorKind::PermissionDenied,
                " is not a file that you may execute (chmod +x)",
            ),
            Ok(_) => Ok(path),
        };
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut paths = env::split_paths(&folders).map(|folder| folder.join(name));
    match paths.find(|path| is_program(path)) {
        Some(path) => Ok(path),
        None => failure(ErrorKind::NotFound, ": no such command in the folders of PATH"),
    }
}

/// Explains why execve(2) failed.
pub(crate) fn not_executed(program: &Path, error: io::Error) -> anyhow::Error {
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT) if program.exists() => {
            ": the interpreter or loader that it names is missing"
        }
        Some(libc::ENOEXEC) => ": this system cannot execute such a file",
        _ => "",
    };
    anyhow::Error::from(error).context(format!("{} cannot be executed{hint}", program.display()))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// Finds the library to preload: the library that the user named, otherwise the library in the
/// folder `lib` next to this program's folder, otherwise the system's library. Returns None if the
/// library is not installed.
pub(crate) fn find_library(named: Option<&Path>) -> Result<Option<PathBuf>> {
    let found = match named {
        Some(path) => {
            let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
            Elf::read(&path).context("--library does not name a library that can be preloaded")?;
            Some(path)
        }
        None => {
            let own = fs::canonicalize("/proc/self/exe")
                .context("/proc/self/exe: mount /proc, or name the library with --library")?;
            installed_library(&own)?
        }
    };
    if let Some(path) = &found {
        has_preloadable_path(path)?;
    }
    Ok(found)
}

fn installed_library(own: &Path) -> Result<Option<PathBuf>> {
    let machine = Elf::read(own)?.machine;
    let beside = own.parent().and_then(Path::parent).map(|prefix| prefix.join("lib"));
    let beside = beside.iter().flat_map(|lib| [lib.join(loader::multiarch()), lib.clone()]);
    let mut paths = beside.chain(loader::system_folders()).map(|folder| folder.join(SONAME));
    Ok(paths.find(|path| Elf::read(path).is_ok_and(|elf| elf.machine == machine)))
}

/// The loader splits LD_PRELOAD at white space and colons, and expands `$ORIGIN` and other tokens.
/// These characters cannot be quoted (ld.so(8)). If the loader split a path, one part could
/// name a different file, for example in the current folder.
fn has_preloadable_path(path: &Path) -> Result<()> {
    let is_special = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0x0b | b':' | b'$');
    if path.as_os_str().as_bytes().iter().any(is_special) {
        bail!(
            "{}: a library with a space, a colon or $ in its path cannot be preloaded; install it \
             elsewhere, or name another copy with --library",
            path.display()
        );
    }
    Ok(())
}

/// Determines whether a program or script uses the library when it is preloaded. If `library` is
/// None, the library is assumed to have this program's version and architecture.
pub(crate) fn judge(tool: &Path, library: Option<&Path>) -> Result<Verdict> {
    let (program, lead) = interpreter_of(tool)?;
    let is_script = !lead.is_empty();
    let elf = Elf::read(&program)?;
    let ours = match library {
        Some(path) => Elf::read(path)?,
        None => Elf::read(&fs::canonicalize("/proc/self/exe")?)?,
    };
    let corrects_probes = library.is_none() || ours.defines_syscall;
    let mut verdict = match why_not_loaded(&program, &elf, &ours) {
        Some(verdict) => verdict,
        None => Tool { elf, corrects_probes, is_script }.judge(&program),
    };
    verdict.found = lead + &verdict.found;
    Ok(verdict)
}

/// Returns the program that runs a script, and the beginning of a sentence about the script. If
/// `tool` is not a script, returns `tool` and an empty string.
fn interpreter_of(tool: &Path) -> Result<(PathBuf, String)> {
    let (mut program, mut lead) = (tool.to_owned(), String::new());
    // The kernel has the same limit: see exec_binprm() in fs/exec.c.
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
    bail!("{}: too many nested script interpreters", tool.display())
}

const RESOLVE: &str =
    "have the tool attach to the function that `ksyscall resolve NAME` shows for each call";

/// Explains why the loader does not load the library into the program.
fn why_not_loaded(program: &Path, elf: &Elf, ours: &Elf) -> Option<Verdict> {
    if elf.machine != ours.machine {
        let (theirs, ours) = (elf.machine.name(), ours.machine.name());
        return Some(Verdict::no(
            format!("a program for {theirs}, and the library is for {ours}"),
            "build libksyscall for that architecture, and preload that build",
        ));
    }
    let Some(loader) = &elf.interpreter else {
        let found = "a static program, into which nothing can be preloaded";
        return Some(if elf.has_libbpf {
            let advice = format!("link it with libksyscall-static before libbpf, or {RESOLVE}");
            Verdict::no(format!("{found}, with libbpf in it"), advice)
        } else if elf.is_go {
            Verdict::no(format!("{found}, written in Go"), RESOLVE)
        } else {
            let advice = format!("if this is the tool that attaches programs, {RESOLVE}");
            Verdict::no(format!("{found}, without libbpf"), advice)
        });
    };
    if loader.contains("ld-musl") && ours.needed.iter().any(|name| name == "libc.so.6") {
        return Some(Verdict::no(
            format!("loaded by musl's {loader}, and the library requires glibc"),
            "build libksyscall with musl, and preload that build",
        ));
    }
    let why = rights::is_secure(program)?;
    Some(Verdict::no(why, "run a copy without these rights, as root, or link it with libksyscall"))
}

/// A program into which the loader loads the library.
struct Tool {
    elf: Elf,
    /// Whether the library also replaces syscall().
    corrects_probes: bool,
    is_script: bool,
}

impl Tool {
    /// Looks for libbpf in the program and in all libraries that it is linked with.
    fn judge(&self, program: &Path) -> Verdict {
        if self.elf.has_libbpf {
            return self.static_libbpf("the program", self.elf.imports);
        }
        let folders = loader::Folders::of(program, &self.elf);
        let mut imports = self.elf.imports;
        let mut names_libbpf = self.elf.names_libbpf;
        let mut libbpf = None;
        let mut seen: Vec<String> = Vec::new();
        let mut queue: VecDeque<_> = self.elf.needed.iter().cloned().collect();
        while let Some(name) = queue.pop_front() {
            if seen.contains(&name) {
                continue;
            }
            let is_libbpf = name.starts_with("libbpf.so");
            match folders.find(&name, self.elf.machine) {
                None if is_libbpf => {
                    let found = format!("it requires {name}, which is not found");
                    return Verdict::no(found, "install it, or set LD_LIBRARY_PATH");
                }
                None => {}
                Some((path, library)) if is_libbpf => libbpf = Some((name.clone(), path, library)),
                Some((path, library)) if library.has_libbpf && !is_ours(&name) => {
                    return self.static_libbpf(&path.display().to_string(), library.imports);
                }
                Some((_, library)) => {
                    imports.answered |= library.imports.answered;
                    imports.kprobe |= library.imports.kprobe;
                    names_libbpf |= library.names_libbpf;
                    queue.extend(library.needed);
                }
            }
            seen.push(name);
        }
        match libbpf {
            Some((name, path, library)) => {
                let is_old = name.starts_with("libbpf.so.0");
                // The loader searches the libraries in this order.
                let theirs = seen.iter().position(|seen| *seen == name);
                let ours = seen.iter().position(|seen| is_ours(seen));
                let is_first = ours.map(|ours| Some(ours) < theirs);
                self.shared_libbpf(&path, &library, is_old, imports, is_first)
            }
            None => self.no_libbpf(names_libbpf),
        }
    }

    fn static_libbpf(&self, place: &str, imports: Imports) -> Verdict {
        let found = format!("a static libbpf is in {place}");
        let link = "link it with libksyscall-static before libbpf";
        if !imports.syscall {
            let found = format!("{found}, which does not import syscall() from the C library");
            return Verdict::no(found, format!("{link}, or {RESOLVE}"));
        }
        match self.corrects_probes {
            true => Verdict::new(Reach::Probes, found, format!("{CORRECTED}; for more, {link}")),
            false => Verdict::no(format!("{found}, {TOO_OLD}"), link),
        }
    }

    /// `is_first` is whether the loader searches libksyscall before libbpf, or None if the tool is
    /// not linked with libksyscall.
    fn shared_libbpf(
        &self,
        path: &Path,
        library: &Elf,
        is_old: bool,
        imports: Imports,
        is_first: Option<bool>,
    ) -> Verdict {
        let order = match is_first {
            None => "",
            Some(true) => " after libksyscall: its calls reach the library even without preloading",
            Some(false) => {
                " before libksyscall: without preloading, its calls reach libbpf; link libksyscall \
                 first"
            }
        };
        let found = format!("linked with {}{order}", path.display());
        if imports.answered && !is_old {
            let how = match library.calls_by_name {
                true => "",
                false => {
                    ", which calls its own functions directly; the library also replaces \
                          bpf_program__attach() and the functions for skeletons"
                }
            };
            return Verdict { reach: Reach::Yes, found: found + how, advice: None };
        }
        let found = match is_old {
            true => {
                format!("{found}, a libbpf before 1.0, which has no bpf_program__attach_ksyscall()")
            }
            false if imports.kprobe => {
                format!("{found}, but attaches only by bpf_program__attach_kprobe()")
            }
            false => {
                return self.perhaps(format!(
                    "{found}, but imports no function that attaches to syscalls"
                ));
            }
        };
        match self.corrects_probes && library.imports.syscall {
            true => Verdict::new(Reach::Probes, found, CORRECTED),
            false => Verdict::no(found, RESOLVE),
        }
    }

    fn no_libbpf(&self, names_libbpf: bool) -> Verdict {
        let found = "not linked with libbpf";
        if names_libbpf {
            self.perhaps(format!("{found}, but names one to load"))
        } else if self.elf.is_go {
            Verdict::no("a Go program, which makes system calls without the C library", RESOLVE)
        } else if self.is_script {
            self.perhaps(format!("{found}; what the script loads is unknown"))
        } else if self.elf.imports.syscall {
            self.perhaps(format!("{found}, but imports syscall(), as programs that use aya do"))
        } else {
            self.perhaps(found.to_owned())
        }
    }

    fn perhaps(&self, found: String) -> Verdict {
        let corrected = if self.corrects_probes {
            "; it also corrects kprobes that the tool opens through syscall()"
        } else {
            ""
        };
        Verdict::new(Reach::Perhaps, found, format!("{LATER}{corrected}"))
    }
}

fn is_ours(library: &str) -> bool {
    library.starts_with("libksyscall.so")
}

/// The effect of replacing syscall() in a tool, and the options that have no effect.
const CORRECTED: &str = "a probe on a function that no call reaches is put on the function that \
                         serves the call; max_active, callers and keep_event have no effect";
const TOO_OLD: &str = "which this version of libksyscall does not reach";
const LATER: &str = "the library reaches a libbpf 1.0 or later that the tool loads with \
                     dlopen(3), or that is linked with a program that the tool starts";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// A temporary folder in which tests build programs.
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

        /// Builds a stand-in for libbpf.
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

    const STATIC: [&str; 3] = ["-l:libbpf.a", "-lelf", "-lz"];

    #[test]
    fn a_shared_libbpf_is_reached_and_a_static_ones_probes_are_corrected() {
        let built = Built::new();
        expect(&built.cc("shared", CALLS, &["-lbpf"]), Reach::Yes, "/libbpf.so.1");
        let found = "a static libbpf is in the program";
        let program = built.cc("static", CALLS, &STATIC);
        expect(&program, Reach::Probes, found);
        let stripped = built.cc("stripped", CALLS, &[&STATIC[..], &["-s"]].concat());
        expect(&stripped, Reach::Probes, found);
        expect(
            &built.cc("whole", NOTHING, &["-static"]),
            Reach::No,
            "a static program, into which nothing can be preloaded, without libbpf",
        );
        // A program that makes system calls with its own syscall() function.
        let own = CALLS.to_owned() + "long syscall(long number, ...) { return -number; }\n";
        let own = built.cc("own", &own, &STATIC);
        expect(&own, Reach::No, "does not import syscall()");
    }

    #[test]
    fn a_program_that_is_linked_with_the_library_has_no_static_libbpf() {
        let built = Built::new();
        let ours = CALLS.replace("main", "other").replace("*);\n", "*) { return 0; }\n");
        built.libbpf("libksyscall.so.1", &ours, &[]);
        let folder = built.0.path().display();
        let here = [format!("-L{folder}"), format!("-Wl,-rpath,{folder}")];
        let link = |name: &str, libraries: [&str; 2]| {
            let options = [&here[0], &here[1], "-Wl,--no-as-needed", libraries[0], libraries[1]];
            built.cc(name, CALLS, &options)
        };
        let first = link("first", ["-l:libksyscall.so.1", "-lbpf"]);
        expect(&first, Reach::Yes, "after libksyscall: its calls reach the library");
        let last = link("last", ["-lbpf", "-l:libksyscall.so.1"]);
        expect(&last, Reach::Yes, "before libksyscall: without preloading");
    }

    /// Early versions of libksyscall did not define syscall().
    #[test]
    fn only_a_library_with_syscall_corrects_probes() {
        let built = Built::new();
        let program = built.cc("static", CALLS, &STATIC);
        let reach = |source: &str| {
            let library = built.cc("library.so", source, &["-shared", "-fPIC"]);
            judge(&program, Some(&library)).unwrap().reach
        };
        assert_eq!(reach("int nothing;\n"), Reach::No);
        assert_eq!(reach("long syscall(long n, ...) { return n; }\n"), Reach::Probes);
    }

    #[test]
    fn the_attach_function_decides_the_verdict() {
        let built = Built::new();
        let calls = |name: &str| {
            let source = format!("void *{name}(void);\nint main(void) {{ return !{name}(); }}\n");
            built.cc(name, &source, &["-lbpf"])
        };
        for answered in ["bpf_program__attach", "bpf_object__attach_skeleton"] {
            expect(&calls(answered), Reach::Yes, "/libbpf.so.1");
        }
        for kprobe in ["bpf_program__attach_kprobe", "bpf_program__attach_kprobe_opts"] {
            expect(&calls(kprobe), Reach::Probes, "only by bpf_program__attach_kprobe()");
        }
        let none = calls("bpf_object__open");
        expect(&none, Reach::Perhaps, "imports no function that attaches");
    }

    /// This test requires no Go compiler, because the `.go.buildinfo` section alone identifies a Go
    /// program.
    #[test]
    fn a_go_program_makes_its_system_calls_itself() {
        let built = Built::new();
        let go = "__attribute__((section(\".go.buildinfo\"), used)) char info[16];\n";
        let source = go.to_owned() + NOTHING;
        expect(&built.cc("go", &source, &[]), Reach::No, "a Go program");
        expect(&built.cc("static-go", &source, &["-static"]), Reach::No, "written in Go");
        // A Go program that uses libbpf through cgo attaches through libbpf.
        let with_libbpf = go.to_owned() + CALLS;
        expect(&built.cc("cgo", &with_libbpf, &["-lbpf"]), Reach::Yes, "/libbpf.so.1");
    }

    #[test]
    fn a_program_that_opens_probes_by_itself_may_be_reached() {
        let built = Built::new();
        let source = "long syscall(long, ...);\nint main(void) { return !syscall(39); }\n";
        expect(&built.cc("aya", source, &[]), Reach::Perhaps, "imports syscall()");
    }

    /// For example, a program can contain a libbpf library's name and pass that name to dlopen().
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
    fn the_libbpf_decides_the_verdict() {
        let built = Built::new();
        let both = "void *bpf_program__attach_ksyscall(void) { return 0; }\n\
            void *bpf_program__attach(void) { return bpf_program__attach_ksyscall(); }\n";
        // Ubuntu builds its packages with -Bsymbolic-functions; Debian does not.
        built.libbpf("libbpf.so.1", both, &["-Wl,-Bsymbolic-functions"]);
        let bound = verdict(&built.linked_with("bound", "libbpf.so.1"));
        assert_eq!(bound.reach, Reach::Yes);
        assert!(bound.found.contains("calls its own functions directly"), "{bound:?}");
        built.libbpf("libbpf.so.1", both, &[]);
        let by_name = verdict(&built.linked_with("by-name", "libbpf.so.1"));
        assert_eq!(by_name.reach, Reach::Yes);
        assert!(!by_name.found.contains("calls its own functions directly"), "{by_name:?}");
        built.libbpf("libbpf.so.0", both, &[]);
        // The stand-in for libbpf.so.0 does not import syscall().
        expect(&built.linked_with("old", "libbpf.so.0"), Reach::No, "before 1.0");
        built.libbpf("libbpf.so.77", both, &[]);
        let missing = built.linked_with("missing", "libbpf.so.77");
        fs::remove_file(built.path("libbpf.so.77")).unwrap();
        expect(&missing, Reach::No, "which is not found");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn other_architectures_and_c_libraries_are_not_reached() {
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
        expect(&musl, Reach::No, "loaded by musl's");
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
        // chown(2) clears the set-user-ID bit.
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
        expect(&program, Reach::No, "set-user-ID of user 12345");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        expect(&program, Reach::Yes, "libbpf.so.1");
    }

    #[test]
    fn a_script_is_judged_by_its_interpreter() {
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
        expect(&script, Reach::Perhaps, "what the script loads is unknown");
        fs::write(&script, "#!/nowhere/shell\n").unwrap();
        let why = |script| format!("{:#}", judge(script, None).unwrap_err());
        let missing = "/script is a script, whose interpreter is missing: /nowhere/shell: ";
        assert!(why(&script).contains(missing), "{}", why(&script));
        for (line, what) in [
            ("#!", "/script: a script that names no interpreter"),
            ("#!/usr/bin/env -S", "/script: a script whose first line has env without a command"),
            ("echo", "nor a script that begins with #!"),
        ] {
            fs::write(&script, format!("{line}\n")).unwrap();
            assert!(why(&script).contains(what), "{}", why(&script));
        }
    }

    #[test]
    fn devices_are_not_read() {
        let error = Elf::read(Path::new("/dev/null")).unwrap_err().to_string();
        assert_eq!(error, "/dev/null: not a regular file");
    }

    #[test]
    fn truncated_files_are_errors() {
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
            ("/etc/passwd", "is not a file that you may execute"),
            ("/etc", "is a folder"),
            ("/etc/passwd/tool", "Not a directory"),
        ] {
            assert!(find(OsStr::new(name)).unwrap_err().to_string().contains(why), "{name}");
        }
    }

    #[test]
    fn a_library_that_cannot_be_preloaded_is_refused() {
        let built = Built::new();
        let library = built.cc("l.so", NOTHING, &["-shared", "-fPIC"]);
        for name in ["with space.so", "with:colon.so", "with\ttab.so", "$ORIGIN.so"] {
            fs::copy(&library, built.path(name)).unwrap();
            let why = find_library(Some(&built.path(name))).unwrap_err().to_string();
            assert!(why.contains("cannot be preloaded; install it elsewhere"), "{why}");
        }
        assert!(find_library(Some(Path::new("/none.so"))).is_err());
        assert!(
            format!("{:#}", find_library(Some(Path::new("/etc/passwd"))).unwrap_err())
                .contains("neither an ELF file")
        );
        assert_eq!(find_library(Some(&library)).unwrap(), Some(library));
    }
}
