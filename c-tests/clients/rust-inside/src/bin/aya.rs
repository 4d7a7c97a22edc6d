//! Attaches by function name with aya.

use std::error::Error;

use aya::EbpfLoader;
use aya::maps::Array;
use aya::programs::KProbe;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::current_exe()?.with_file_name("inside.bpf.o");
    let pid = std::process::id();
    let mut object = EbpfLoader::new().set_global("traced", &pid, true).load_file(file)?;
    for (program, function) in [
        ("on_stat", "__x64_sys_newstat"),
        ("on_umount2", "__x64_sys_umount2"),
        ("on_old_stat", "__x64_sys_stat"),
        // Attach to uname last: when aya attaches, it calls uname() to get the kernel's version.
        ("on_uname", "__x64_sys_uname"),
    ] {
        let program: &mut KProbe = object.program_mut(program).ok_or("no program")?.try_into()?;
        program.load()?;
        // Continue if a program cannot be attached.
        let _ = program.attach(function, 0);
    }
    clients_inside::make_calls();
    let counts: Array<_, [u64; 4]> = object.map(".bss").ok_or("no .bss")?.try_into()?;
    let counts = counts.get(&0, 0)?.map(u64::to_ne_bytes);
    clients_inside::print_counts(counts.as_flattened());
    Ok(())
}
