//! Reads an ELF file to find out how the program or library is loaded and how it uses libbpf.

use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

/// The main function that the library replaces.
const FUNCTION: &str = "bpf_program__attach_ksyscall";
/// All libbpf functions that the library replaces: `FUNCTION`, and the functions that call it.
const ANSWERED: [&str; 3] = [FUNCTION, "bpf_program__attach", "bpf_object__attach_skeleton"];
const KPROBE: [&str; 2] = ["bpf_program__attach_kprobe", "bpf_program__attach_kprobe_opts"];
/// The beginning of libbpf's messages about a program, including the prefix that `__pr()` in
/// libbpf's src/libbpf_internal.h adds. Every file that contains libbpf contains this string, even
/// if the file is stripped.
const MESSAGE: &[u8] = b"libbpf: prog '%s': ";

#[derive(Debug)]
pub(crate) struct Elf {
    pub(crate) machine: Machine,
    /// The loader; None for a static program.
    pub(crate) interpreter: Option<String>,
    pub(crate) needed: Vec<String>,
    /// The folders in DT_RUNPATH, or else in DT_RPATH; `$ORIGIN` is not expanded.
    pub(crate) search_path: Vec<String>,
    pub(crate) imports: Imports,
    /// Whether the file exports its own syscall().
    pub(crate) defines_syscall: bool,
    pub(crate) is_go: bool,
    /// Whether the file contains libbpf.
    pub(crate) has_libbpf: bool,
    /// Whether the file calls `FUNCTION` by symbol, so that preloading can replace the function.
    pub(crate) calls_by_name: bool,
    /// Whether the file contains the name of a libbpf library, and so may load that library.
    pub(crate) names_libbpf: bool,
}

/// The functions that a file imports from other files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Imports {
    /// A libbpf function that the library replaces.
    pub(crate) answered: bool,
    /// A libbpf function that attaches to a kernel function by name.
    pub(crate) kprobe: bool,
    /// The C library's syscall().
    pub(crate) syscall: bool,
}

/// The machine that a file is built for: `e_machine`, the word size and the byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Machine {
    number: u16,
    bits: u8,
    is_little: bool,
}

impl Machine {
    pub(crate) fn name(self) -> String {
        let name = match self.number {
            elf::EM_X86_64 => "x86_64",
            elf::EM_386 => "i386",
            elf::EM_AARCH64 => "arm64",
            elf::EM_ARM => "arm",
            elf::EM_RISCV => "riscv",
            elf::EM_S390 => "s390",
            elf::EM_PPC64 => "ppc64",
            elf::EM_PPC => "ppc",
            elf::EM_MIPS => "mips",
            elf::EM_LOONGARCH => "loongarch",
            other => return format!("machine {other}"),
        };
        format!("{name} ({} bits)", self.bits)
    }
}

impl Elf {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        // A tool can name /dev/zero as a library.
        if path.metadata().is_ok_and(|file| !file.is_file()) {
            bail!("{}: not a regular file", path.display());
        }
        let data = std::fs::read(path).with_context(|| path.display().to_string())?;
        Self::parse(&data).with_context(|| path.display().to_string())
    }

    pub(crate) fn parse(data: &[u8]) -> Result<Self> {
        if !data.starts_with(b"\x7fELF") {
            bail!("neither an ELF file nor a script that begins with #!");
        }
        match data.get(4) {
            Some(1) => Self::of::<elf::FileHeader32<Endianness>>(data, 32),
            Some(2) => Self::of::<elf::FileHeader64<Endianness>>(data, 64),
            _ => bail!("an ELF file that is neither 32-bit nor 64-bit"),
        }
    }

    fn of<E: FileHeader<Endian = Endianness>>(data: &[u8], bits: u8) -> Result<Self> {
        let header = E::parse(data)?;
        let endian = header.endian()?;
        let machine = Machine {
            number: header.e_machine(endian),
            bits,
            is_little: endian == Endianness::Little,
        };
        let mut interpreter = None;
        for segment in header.program_headers(endian, data)? {
            if let Some(path) = segment.interpreter(endian, data)? {
                interpreter = Some(String::from_utf8_lossy(path).into_owned());
            }
        }
        let (mut needed, mut runpath, mut rpath) = (Vec::new(), Vec::new(), Vec::new());
        let sections = header.sections(endian, data)?;
        if let Some((entries, strings)) = sections.dynamic(endian, data)? {
            let strings = sections.strings(endian, data, strings)?;
            for entry in entries {
                let list = match entry.tag32(endian) {
                    Some(elf::DT_NEEDED) => &mut needed,
                    Some(elf::DT_RUNPATH) => &mut runpath,
                    Some(elf::DT_RPATH) => &mut rpath,
                    _ => continue,
                };
                let text = entry.string(endian, strings).unwrap_or_default();
                list.push(String::from_utf8_lossy(text).into_owned());
            }
        }
        let folders = if runpath.is_empty() { rpath } else { runpath };
        let folders = folders.iter().flat_map(|path| path.split(':')).map(str::to_owned);
        let file = object::File::parse(data)?;
        let is_section = |name| file.section_by_name(name).is_some();
        let mut imports = Imports::default();
        let mut defines_syscall = false;
        for symbol in file.dynamic_symbols() {
            let name = symbol.name().unwrap_or_default();
            if symbol.is_definition() {
                defines_syscall |= name == "syscall";
            } else {
                imports.answered |= ANSWERED.contains(&name);
                imports.kprobe |= KPROBE.contains(&name);
                imports.syscall |= name == "syscall";
            }
        }
        Ok(Self {
            imports,
            defines_syscall,
            is_go: is_section(".go.buildinfo") || is_section(".note.go.buildid"),
            machine,
            interpreter,
            needed,
            search_path: folders.collect(),
            has_libbpf: defines_function(&file) || contains(data, MESSAGE),
            calls_by_name: calls_by_name(&file),
            names_libbpf: contains(data, b"libbpf.so"),
        })
    }
}

fn defines_function(file: &object::File<'_>) -> bool {
    let mut symbols = file.symbols().chain(file.dynamic_symbols());
    symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok(FUNCTION))
}

fn calls_by_name(file: &object::File<'_>) -> bool {
    let (Some(relocations), Some(symbols)) =
        (file.dynamic_relocations(), file.dynamic_symbol_table())
    else {
        return false;
    };
    relocations.into_iter().any(|(_, relocation)| match relocation.target() {
        RelocationTarget::Symbol(index) => {
            symbols.symbol_by_index(index).and_then(|symbol| symbol.name()) == Ok(FUNCTION)
        }
        _ => false,
    })
}

fn contains(data: &[u8], text: &[u8]) -> bool {
    data.windows(text.len()).any(|part| part == text)
}
