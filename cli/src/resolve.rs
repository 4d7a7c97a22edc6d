//! `resolve` and `list`: show which kernel function serves a call, and how libbpf resolves the
//! call's name.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use ksyscall::{Architecture, CLibrary, Call, KernelFunctions, SubCall, SyscallName};
use serde_json::json;

use crate::WRITING;
use crate::args;
use crate::count::{compat_architecture, is_compat_alone};
use crate::say;

/// Where names are looked up: in an architecture's table and, for the native architecture, in the
/// running kernel.
struct Place {
    arch: Architecture,
    kernel: Option<KernelFunctions>,
}

/// What is known about a name in a `Place`.
struct Answer {
    /// The name as the user gave it.
    name: SyscallName,
    call: Call,
    /// The function in the running kernel, or in the table if the `Place` contains no kernel. An
    /// error contains the reason why there is no function.
    function: Result<String, String>,
    convention: String,
    libbpf: Libbpf,
    nearest: Vec<SyscallName>,
    /// The calls that the C function with this name makes, in glibc and in musl.
    c_library: [Vec<SyscallName>; 2],
}

const C_LIBRARIES: [(&str, CLibrary); 2] = [("glibc", CLibrary::Glibc), ("musl", CLibrary::Musl)];

/// The function that libbpf's `bpf_program__attach_ksyscall()` attaches to for a name.
struct Libbpf {
    function: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// The function that serves the call.
    Same,
    /// A function that no call with this name reaches: the program never runs.
    NeverRuns,
    /// No function: attaching fails with ENOENT.
    Missing,
    /// A function other than the one that serves the call. The table does not show whether the
    /// kernel contains this function.
    Another,
    /// The function that serves the call, if the call takes arguments; otherwise attaching fails
    /// with ENOENT. Kernels without wrappers have no `__se_sys_` functions for calls without
    /// arguments.
    SameWithArguments,
}

pub(crate) fn resolve(arguments: &args::Resolve) -> Result<ExitCode> {
    let place = Place::new(&arguments.of)?;
    let answers = arguments.names.iter().map(|name| place.answer(name));
    let answers = answers.collect::<Result<Vec<_>>>()?;
    let is_found = answers.iter().all(|answer| answer.function.is_ok());
    let written = match arguments.of.json {
        true => print_json(&answers, &place),
        false => {
            let texts: Vec<_> = answers.iter().map(|answer| answer.text(&place)).collect();
            print(&texts.join("\n"))
        }
    };
    written.context(WRITING)?;
    Ok(if is_found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn list(arguments: &args::List) -> Result<ExitCode> {
    let place = Place::new(&arguments.of)?;
    let answers = place.arch.calls().into_iter().map(|name| place.answer(name.as_str()));
    let mut answers = answers.collect::<Result<Vec<_>>>()?;
    if place.kernel.is_some() {
        answers.retain(|answer| answer.function.is_ok());
    }
    let written = match arguments.of.json {
        true => print_json(&answers, &place),
        false => print(&list_of(&answers)),
    };
    written.context(WRITING)?;
    Ok(ExitCode::SUCCESS)
}

fn list_of(answers: &[Answer]) -> String {
    let width = |cell: fn(&Answer) -> usize| answers.iter().map(cell).max().unwrap_or(0);
    let name_width = width(|answer| answer.name.as_str().len());
    let function_width = width(|answer| answer.function.as_ref().map_or(1, String::len));
    let mut text = format!(
        "{:>6}  {:name_width$}  {:function_width$}  LIBBPF\n",
        "NUMBER", "CALL", "FUNCTION"
    );
    for answer in answers {
        let number = answer.call.number.map_or("-".to_owned(), |number| number.to_string());
        let function = answer.function.as_deref().unwrap_or("-");
        let libbpf = answer.libbpf.outcome.word();
        text += &format!(
            "{number:>6}  {:name_width$}  {function:function_width$}  {libbpf}\n",
            answer.name.as_str()
        );
    }
    text
}

fn print_json(answers: &[Answer], place: &Place) -> Result<()> {
    let answers: Vec<_> = answers.iter().map(|answer| answer.json(place)).collect();
    print(&(serde_json::to_string_pretty(&answers)? + "\n"))
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

impl Place {
    fn new(of: &args::Of) -> Result<Self> {
        if let Some(name) = &of.arch {
            let arch = Architecture::named(name).ok_or_else(|| no_table(name))?;
            return Ok(Self { arch, kernel: None });
        }
        let arch = Architecture::native().ok_or_else(|| no_table(std::env::consts::ARCH))?;
        let kernel = KernelFunctions::read();
        if let Err(error) = &kernel {
            say(&format!(
                "{error}: the following is from the table, not from the running \
                 kernel; mount /proc, or be root"
            ));
        }
        Ok(Self { arch, kernel: kernel.ok() })
    }

    fn answer(&self, text: &str) -> Result<Answer> {
        let name = args::syscall_name(text)?;
        let call = self.arch.call(&name);
        let function = match &self.kernel {
            Some(kernel) => kernel
                .serving(&name)
                .map(|symbol| symbol.to_string())
                .map_err(|error| error.to_string()),
            None => self.function_by_table(&call),
        };
        let nearest = match call.is_known || function.is_ok() {
            true => Vec::new(),
            false => self.arch.nearest(&name),
        };
        let c_library = C_LIBRARIES.map(|(_, library)| self.arch.c_library_calls(library, &name));
        let libbpf = self.libbpf(&name, function.as_deref().ok());
        let convention = self.convention(function.as_deref().ok());
        Ok(Answer { name, call, function, convention, libbpf, nearest, c_library })
    }

    /// Whether only 32-bit processes can make the call.
    fn has_only_32_bit_callers(&self, name: &SyscallName) -> bool {
        Architecture::native() == Some(self.arch) && is_compat_alone(name)
    }

    /// The function's name in a kernel that is as new as the tables.
    fn function_by_table(&self, call: &Call) -> Result<String, String> {
        let prefix = self.arch.wrappers().map_or("", |wrappers| wrappers.prefix);
        let first = call.functions.first().filter(|_| call.is_known && call.is_served);
        first.map(|function| format!("{prefix}{function}")).ok_or_else(|| {
            let arch = self.arch.name();
            match call.is_known {
                true => format!("no call of {arch} reaches a function of this name"),
                false => format!("no call of {arch} is known by this name"),
            }
        })
    }

    fn convention(&self, function: Option<&str>) -> String {
        let Some(wrappers) = self.arch.wrappers() else {
            return "the call's own arguments: kernels of this architecture have no syscall wrappers".to_owned();
        };
        let since = wrappers.since;
        let is_wrapped = function.is_none_or(|function| function.starts_with(wrappers.prefix));
        match (is_wrapped, wrappers.prefix) {
            (true, "") => format!(
                "struct pt_regs * since Linux {since}, without a prefix; the call's own arguments before"
            ),
            (true, prefix) => format!("struct pt_regs *, prefix {prefix} (since Linux {since})"),
            (false, _) => format!(
                "the call's own arguments: the kernel has no syscall wrappers (Linux {since} added them)"
            ),
        }
    }

    fn libbpf(&self, name: &SyscallName, function: Option<&str>) -> Libbpf {
        // The prefixes from arch_specific_syscall_pfx() in libbpf's src/libbpf.c.
        let prefix = match self.arch.name() {
            "x86_64" => "__x64_",
            "x86" => "__ia32_",
            "s390x" => "__s390x_",
            "arm" => "__arm_",
            "aarch64" => "__arm64_",
            "mips64" => "__mips_",
            "riscv64" => "__riscv_",
            "powerpc" | "powerpc64" => "__powerpc_",
            _ => "",
        };
        let is_wrapped = match &self.kernel {
            Some(kernel) => !prefix.is_empty() && kernel.has(&format!("{prefix}sys_bpf")),
            None => self.arch.wrappers().is_some_and(|wrappers| wrappers.prefix == prefix),
        };
        let start = if is_wrapped { prefix } else { "__se_" };
        let theirs = format!("{start}sys_{name}");
        // Without wrappers, `__se_sys_x` and `sys_x` are the same function.
        let is_same = |ours: &str| match is_wrapped {
            true => ours == theirs,
            false => ours.trim_start_matches("__se_") == theirs.trim_start_matches("__se_"),
        };
        let outcome = match (&self.kernel, function) {
            (Some(kernel), _) if !kernel.has(&theirs) => Outcome::Missing,
            (Some(_), Some(ours)) if is_same(ours) => Outcome::Same,
            (Some(_), _) => Outcome::NeverRuns,
            (None, None) => Outcome::Another,
            (None, Some(ours)) if !is_same(ours) => Outcome::Another,
            (None, Some(_)) if is_wrapped => Outcome::Same,
            // A kernel with wrappers but no prefix has no `__se_sys_` functions.
            (None, Some(_)) if self.arch.wrappers().is_some() => Outcome::Missing,
            (None, Some(_)) => Outcome::SameWithArguments,
        };
        Libbpf { function: theirs, outcome }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Same => "the same",
            Outcome::NeverRuns => "never runs",
            Outcome::Missing => "ENOENT",
            Outcome::Another => "another",
            Outcome::SameWithArguments => "the same, or ENOENT",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Outcome::Same => "the same function",
            Outcome::NeverRuns => "attaches, but no such call reaches this: the program never runs",
            Outcome::Missing => "fails with ENOENT: the kernel has no such function",
            Outcome::Another => "not the call's function: ENOENT, or the program never runs",
            Outcome::SameWithArguments => {
                "the same function, if the call takes arguments; else ENOENT"
            }
        }
    }
}

impl Answer {
    fn text(&self, place: &Place) -> String {
        let where_from = match place.kernel {
            Some(_) => format!("{}, this kernel", place.arch.name()),
            None => format!("{}, by the table", place.arch.name()),
        };
        let mut text = format!("{} ({where_from})\n", self.name);
        let mut row = |label: &str, cell: &str| text += &format!("  {label:<9} {cell}\n");
        match &self.function {
            Ok(function) => row("function", function),
            Err(why) => row("function", &format!("none: {why}")),
        }
        if self.call.name != self.name {
            row("call", self.call.name.as_str());
        }
        if let Some(number) = self.call.number {
            row("number", &number.to_string());
        }
        if self.function.is_ok() {
            row("takes", &self.convention);
        }
        row("libbpf", &format!("{}: {}", self.libbpf.function, self.libbpf.outcome.sentence()));
        if self.call.is_known {
            row("man page", &format!("{}(2)", man_page(self.call.name.as_str())));
        }
        if let Some(since) = &self.call.since {
            row("since", &format!("Linux {since}"));
        }
        let in_64_bit_kernels = &self.call.functions_in_64_bit_kernels;
        if !in_64_bit_kernels.is_empty() && self.function.is_ok() {
            row(
                "compat",
                &format!("{} in a 64-bit kernel, behind its prefix", in_64_bit_kernels[0]),
            );
        }
        for (label, text) in self.through(place) {
            row(label, &text);
        }
        for ((library, _), calls) in C_LIBRARIES.iter().zip(&self.c_library) {
            if !calls.is_empty() {
                row(library, &format!("calls {}", names(calls)));
            }
        }
        if !self.call.spellings.is_empty() {
            row("also", &names(&self.call.spellings));
        }
        if self.function.is_err() && place.has_only_32_bit_callers(&self.name) {
            let arch = compat_architecture().map_or("", |arch| arch.name());
            row("32 bits", &format!("only 32-bit processes have such a call: --arch {arch}"));
        } else if self.function.is_err() && self.nearest.is_empty() && !self.call.is_known {
            row("others", "`ksyscall list` shows all calls");
        }
        // The error for a running kernel already suggests similar names.
        if !self.nearest.is_empty() && place.kernel.is_none() {
            row("similar", &names(&self.nearest));
        }
        text
    }

    /// How processes make the call through socketcall or ipc, if they can.
    fn through(&self, place: &Place) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        let sub_call = |arch: Architecture| {
            arch.sub_calls().find(|sub_call| sub_call.name == self.call.name.as_str())
        };
        if let Some(SubCall { multiplexer, number, .. }) = sub_call(place.arch) {
            let only = if self.call.is_served { "also" } else { "only" };
            rows.push(("through", format!("{only} through {multiplexer}, sub-call {number}")));
        }
        let compat = compat_architecture().filter(|_| Architecture::native() == Some(place.arch));
        if let Some(SubCall { multiplexer, number, .. }) = compat.and_then(sub_call) {
            let is_served = compat.is_some_and(|arch| arch.call(&self.call.name).is_served);
            let only = if is_served { "also" } else { "only" };
            let text = format!("32-bit processes: {only} through {multiplexer}, sub-call {number}");
            rows.push(("through", text));
        }
        rows
    }

    fn json(&self, place: &Place) -> serde_json::Value {
        json!({
            "name": self.name.as_str(),
            "architecture": place.arch.name(),
            "source": if place.kernel.is_some() { "kernel" } else { "table" },
            "call": self.call.is_known.then(|| self.call.name.as_str()),
            "number": self.call.number,
            "function": self.function.as_ref().ok(),
            "error": self.function.as_ref().err(),
            "takes": self.function.is_ok().then_some(&self.convention),
            "libbpf": { "function": self.libbpf.function, "outcome": self.libbpf.outcome.word() },
            "man_page": self.call.is_known.then(|| man_page(self.call.name.as_str())),
            "since": self.call.since,
            "optional": self.call.is_optional,
            "through": self.through(place).iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
            "compat_functions": self.call.functions_in_64_bit_kernels,
            "spellings": texts(&self.call.spellings),
            "glibc_calls": texts(&self.c_library[0]),
            "musl_calls": texts(&self.c_library[1]),
            "nearest": texts(&self.nearest),
        })
    }
}

fn names(names: &[SyscallName]) -> String {
    texts(names).join(", ")
}

fn texts(names: &[SyscallName]) -> Vec<&str> {
    names.iter().map(SyscallName::as_str).collect()
}

fn no_table(arch: &str) -> anyhow::Error {
    let known: Vec<_> = Architecture::all().map(|arch| arch.name()).collect();
    anyhow!("no table for the architecture {arch}; there are tables for {}", known.join(", "))
}

/// The name of the call's man page in section 2, which may differ from the kernel's name.
fn man_page(call: &str) -> &str {
    // The kernel adds these suffixes to the names of calls with 64-bit times or 32-bit user IDs.
    let call = call.strip_suffix("_time64").or_else(|| call.strip_suffix("32")).unwrap_or(call);
    match call {
        "pread64" => "pread",
        "pwrite64" => "pwrite",
        "prlimit64" => "prlimit",
        "newfstatat" | "fstatat64" => "fstatat",
        "pselect6" => "pselect",
        "fadvise64" | "fadvise64_64" | "arm_fadvise64_64" => "posix_fadvise",
        "sync_file_range2" | "arm_sync_file_range" => "sync_file_range",
        "_newselect" => "select",
        "_sysctl" => "sysctl",
        "ugetrlimit" => "getrlimit",
        "rt_sigaction" => "sigaction",
        "rt_sigpending" => "sigpending",
        "rt_sigprocmask" => "sigprocmask",
        "rt_sigreturn" => "sigreturn",
        "rt_sigsuspend" => "sigsuspend",
        "rt_sigtimedwait" => "sigtimedwait",
        "stat64" | "lstat64" | "fstat64" | "statfs64" | "fstatfs64" | "truncate64"
        | "ftruncate64" | "sendfile64" | "fcntl64" | "clock_gettime64" | "clock_settime64"
        | "clock_adjtime64" | "timer_gettime64" | "timer_settime64" | "timerfd_gettime64"
        | "timerfd_settime64" => call.trim_end_matches("64"),
        _ => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_table(arch: &str, name: &str) -> Answer {
        let place = Place { arch: Architecture::named(arch).unwrap(), kernel: None };
        place.answer(name).unwrap()
    }

    #[test]
    fn answers_name_the_c_librarys_calls() {
        let open = by_table("x86_64", "open");
        let text = open.text(&Place { arch: Architecture::named("x86_64").unwrap(), kernel: None });
        assert!(text.contains("\n  glibc     calls openat\n  musl      calls open\n"), "{text}");
        let mkdir = by_table("arm64", "mkdir");
        assert_eq!((names(&mkdir.c_library[0]), mkdir.function.is_ok()), ("mkdirat".into(), false));
        let openat = by_table("x86_64", "openat");
        assert!(openat.c_library.iter().all(Vec::is_empty));
    }

    /// The expectations were derived by hand from the kernel's arch/*/entry/syscalls and
    /// <asm/syscall_wrapper.h>.
    #[test]
    fn functions_of_other_architectures() {
        for (arch, name, function, libbpf, outcome) in [
            ("x86_64", "openat", "__x64_sys_openat", "__x64_sys_openat", Outcome::Same),
            ("x86_64", "stat", "__x64_sys_newstat", "__x64_sys_stat", Outcome::Another),
            ("x86_64", "umount2", "__x64_sys_umount", "__x64_sys_umount2", Outcome::Another),
            ("x86_64", "pread", "__x64_sys_pread64", "__x64_sys_pread", Outcome::Another),
            (
                "arm64",
                "personality",
                "__arm64_sys_arm64_personality",
                "__arm64_sys_personality",
                Outcome::Another,
            ),
            ("i386", "setuid", "__ia32_sys_setuid16", "__ia32_sys_setuid", Outcome::Another),
            ("arm", "openat", "sys_openat", "__se_sys_openat", Outcome::SameWithArguments),
            ("ppc64el", "openat", "sys_openat", "__se_sys_openat", Outcome::Missing),
            ("s390x", "openat", "__s390x_sys_openat", "__s390x_sys_openat", Outcome::Same),
            (
                "riscv64",
                "fstatat",
                "__riscv_sys_newfstatat",
                "__riscv_sys_fstatat",
                Outcome::Another,
            ),
            ("loongarch64", "openat", "sys_openat", "__se_sys_openat", Outcome::SameWithArguments),
        ] {
            let answer = by_table(arch, name);
            assert_eq!(answer.function.as_deref(), Ok(function), "{name} on {arch}");
            assert_eq!(answer.libbpf.function, libbpf, "{name} on {arch}");
            assert_eq!(answer.libbpf.outcome, outcome, "{name} on {arch}");
        }
    }

    #[test]
    fn answers_name_the_multiplexer() {
        let text = |arch: &str, name| {
            let place = Place { arch: Architecture::named(arch).unwrap(), kernel: None };
            place.answer(name).unwrap().text(&place)
        };
        assert!(text("i386", "semop").contains("through   only through ipc, sub-call 1\n"));
        assert!(
            text("s390x", "connect").contains("through   also through socketcall, sub-call 3\n")
        );
        assert!(!text("i386", "openat").contains("through"));
        assert!(!text("arm64", "semop").contains("through "));
    }

    /// A man page's name must be a spelling of the call that the page describes. The test covers
    /// only 64-bit architectures, because some 32-bit names exist only in the C library.
    #[test]
    fn man_page_names_are_spellings_of_their_calls() {
        for arch in Architecture::all().filter(|arch| arch.name().ends_with("64")) {
            for call in arch.calls() {
                let page = man_page(call.as_str());
                let found = arch.call(&SyscallName::new(page).unwrap());
                assert!(found.is_known && found.is_served, "{page}(2) on {}", arch.name());
                assert_eq!(man_page(found.name.as_str()), page, "{call} on {}", arch.name());
            }
        }
        assert_eq!(man_page("setuid32"), "setuid");
        assert_eq!(man_page("clock_gettime64"), "clock_gettime");
        assert_eq!(man_page("futex_time64"), "futex");
    }
}
