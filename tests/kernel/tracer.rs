//! Attaches one program by name to every system call that the clients can make, either for 32-bit
//! callers only or for all callers. Each call has a different cookie. The clients, which are builds
//! of coverage.c for each architecture, then make their calls and count the program's runs.
//!
//! Usage: `tracer OBJECT compat|all CLIENT...`. Each client inherits a descriptor for the map. The
//! client's standard input contains one line for each name, in the order of the cookies: the name,
//! 0 or the errno, and the functions with their addresses.
#![allow(unsafe_code)]

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::{env, fs};

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya::programs::KProbe;
use ksyscall::{Batch, Callers, Links};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, object, callers, clients @ ..] = &arguments[..] else {
        return Err("usage: tracer OBJECT compat|all CLIENT...".into());
    };
    let callers = if callers == "all" { Callers::All } else { Callers::Compat };
    let mut names = BTreeSet::new();
    for client in clients {
        let output = Command::new(client).arg("--names").output()?.stdout;
        names.extend(String::from_utf8(output)?.lines().map(str::to_owned));
    }
    allow_descriptors();
    let mut object = Ebpf::load_file(object)?;
    let program: &mut KProbe = object.program_mut("count").ok_or("no program")?.try_into()?;
    program.load()?;
    let program = program.fd()?.try_clone()?;
    let addresses = addresses()?;
    let mut links = Vec::new();
    let mut list = String::new();
    for (cookie, name) in names.iter().enumerate() {
        let call = Batch::new([name])?.callers(callers).cookies(|_, _| cookie as u64);
        let (errno, functions) = match call.attach(&program) {
            Ok(attached) => {
                let functions = functions(&attached, &addresses);
                links.push(attached);
                (0, functions)
            }
            Err(error) => (error.errno(), "-".to_owned()),
        };
        list += &format!("{name}\t{errno}\t{functions}\n");
    }
    let Some(Map::Array(state)) = object.map("state") else { return Err("no map".into()) };
    let state: &MapData = state;
    // The copy stays open across exec.
    // SAFETY: the descriptor is open.
    let state = unsafe { libc::dup(state.fd().as_fd().as_raw_fd()) }.to_string();
    for client in clients {
        println!("# client {client}");
        let mut client =
            Command::new(client).args(["--traced", &state]).stdin(Stdio::piped()).spawn()?;
        client.stdin.take().ok_or("no pipe")?.write_all(list.as_bytes())?;
        if !client.wait()?.success() {
            return Err("a client failed".into());
        }
    }
    println!("# end of all");
    // The kernel removes the probes when this process exits.
    links.into_iter().for_each(Links::forget);
    Ok(())
}

/// Raises the limit on open files: each attachment keeps several files open.
fn allow_descriptors() {
    let files = libc::rlimit { rlim_cur: 16384, rlim_max: 16384 };
    // SAFETY: the kernel only reads `files`.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &files) }, 0);
}

/// Maps the kernel's symbols that contain `sys` to their addresses.
fn addresses() -> Result<HashMap<String, String>, Box<dyn Error>> {
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let fields = symbols.lines().filter(|line| !line.ends_with(']'));
    Ok(fields
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (address, name) = (fields.next()?, fields.nth(1)?);
            name.contains("sys").then(|| (name.to_owned(), address.to_owned()))
        })
        .collect())
}

fn functions(links: &Links, addresses: &HashMap<String, String>) -> String {
    let with_address = |symbol: &ksyscall::Symbol| {
        let address = addresses.get(symbol.as_str()).map_or("", String::as_str);
        format!("{symbol}@{address}")
    };
    links.attached().map(|(_, symbol)| with_address(symbol)).collect::<Vec<_>>().join(" ")
}
