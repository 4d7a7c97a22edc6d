//! Counts all system calls of all processes while a command runs.
use std::io::Write;

use aya::{Ebpf, maps::Array, programs::KProbe};
use ksyscall::Batch;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, command] = &arguments[..] else {
        return Err("usage: all COMMAND".into());
    };
    let mut object = Ebpf::load_file("count.bpf.o")?;
    let program: &mut KProbe = object.program_mut("count").ok_or("no program")?.try_into()?;
    program.load()?;

    let mut attaching = Batch::all().attaching(program.fd()?)?;
    while let Some((name, _)) = attaching.next() {
        eprint!("\r{} to attach to after {name}\x1b[K", attaching.len());
        std::io::stderr().flush()?;
    }
    let links = attaching.finish();
    eprintln!("\rattached to {} calls\x1b[K", links.attached().len());

    std::process::Command::new("sh").args(["-c", command]).status()?;
    let hits: Array<_, u64> = object.map("hits").ok_or("no map")?.try_into()?;
    println!("{} calls", hits.get(&0, 0)?);
    eprintln!("detaching");
    links.detach()?;
    Ok(())
}
