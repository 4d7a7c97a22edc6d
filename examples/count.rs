//! Counts how many times a system call is made while a command runs.
use aya::{Ebpf, maps::Array, programs::KProbe};
use ksyscall::Ksyscall;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, command] = &arguments[..] else {
        return Err("usage: count SYSCALL COMMAND".into());
    };
    let mut object = Ebpf::load_file("count.bpf.o")?;
    let program: &mut KProbe = object.program_mut("count").ok_or("no program")?.try_into()?;
    program.load()?;
    let link = Ksyscall::new(name)?.attach(program.fd()?)?;
    std::process::Command::new("sh").args(["-c", command]).status()?;
    let hits: Array<_, u64> = object.map("hits").ok_or("no map")?.try_into()?;
    println!("{name}: {} calls of {}", hits.get(&0, 0)?, link.symbol());
    Ok(())
}
