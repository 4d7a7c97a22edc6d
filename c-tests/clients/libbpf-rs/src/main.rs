//! A tracer that attaches by section and by name with libbpf-rs. client.h describes its output.

use std::cell::Cell;
use std::error::Error;
use std::ffi::{CStr, CString};

use libbpf_rs::{Link, MapCore, ObjectBuilder, RingBufferBuilder};

/// A PID that no process can have.
const NOBODY: libc::c_int = 0x7fff_fff1;

/// Prints the event in `data`, a `struct event` from trace.h.
fn on_event(data: &[u8]) -> i32 {
    let int = |at: usize| i32::from_ne_bytes(data[at..at + 4].try_into().unwrap());
    let result = i64::from_ne_bytes(data[16..24].try_into().unwrap());
    match int(0) {
        0 => println!("saw kill({}, {})", int(4), int(8)),
        1 => println!("saw kill = {result}"),
        2 => {
            let path = CStr::from_bytes_until_nul(&data[24..56]).unwrap();
            println!("saw openat({}, {}, {:#x})", int(4), path.to_str().unwrap(), int(8));
        }
        _ => println!("saw openat = {}", result.min(0)),
    }
    0
}

/// Returns the kernel's result for a call that was made through the C library.
fn result(returned: i64) -> i64 {
    if returned < 0 { -i64::from(errno()) } else { returned }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn kill(pid: libc::c_int, signal: libc::c_int) {
    println!("did kill({pid}, {signal})");
    // SAFETY: the call has only integer arguments.
    let returned = unsafe { libc::syscall(libc::SYS_kill, pid, signal) };
    println!("did kill = {}", result(returned));
}

fn openat(folder: libc::c_int, path: &str, flags: libc::c_int) {
    println!("did openat({folder}, {path}, {flags:#x})");
    let path = CString::new(path).unwrap();
    // SAFETY: the path outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_openat, folder, path.as_ptr(), flags) };
    println!("did openat = {}", result(fd).min(0));
    if fd >= 0 {
        // SAFETY: nothing else uses the descriptor.
        unsafe { libc::close(fd as libc::c_int) };
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::current_exe()?.with_file_name("trace.bpf.o");
    let mut open = ObjectBuilder::default().open_file(file)?;
    for mut map in open.maps_mut() {
        if map.name().to_string_lossy().ends_with(".rodata") {
            let traced = std::process::id().to_ne_bytes();
            map.initial_value_mut().ok_or("no initial value")?[..4].copy_from_slice(&traced);
        }
    }
    let object = open.load()?;
    let events = object.maps().find(|map| map.name() == "events").ok_or("no events")?;
    let started = Cell::new(false);
    let mut builder = RingBufferBuilder::new();
    builder.add(&events, |data| if started.get() { on_event(data) } else { 0 })?;
    let ring = builder.build()?;

    let program = |name: &str| object.progs_mut().find(|program| program.name() == name);
    let by_section = |name: &str| -> Result<Link, Box<dyn Error>> {
        Ok(program(name).ok_or("no such program")?.attach()?)
    };
    let by_name = |name: &str, call: &str| -> Result<Link, Box<dyn Error>> {
        Ok(program(name)
            .ok_or("no such program")?
            .attach_ksyscall(name.ends_with("return"), call)?)
    };
    let links = [
        by_section("on_kill")?,
        by_section("on_kill_return")?,
        by_name("on_openat", "openat")?,
        by_name("on_openat_return", "openat")?,
    ];
    // Ignore the files that the library opened to attach.
    ring.consume()?;
    started.set(true);
    kill(NOBODY, libc::SIGUSR1);
    openat(libc::AT_FDCWD, "/etc/passwd", libc::O_RDONLY | libc::O_CLOEXEC);
    openat(-7, "no/such/file", libc::O_WRONLY);
    drop(links);
    ring.consume()?;

    libbpf_rs::set_print(None);
    println!("did no_such_call: NotFound");
    match by_name("on_kill", "no_such_call") {
        Ok(_) => println!("saw no_such_call: attached"),
        Err(error) => match error.downcast_ref::<libbpf_rs::Error>() {
            Some(error) => println!("saw no_such_call: {:?}", error.kind()),
            None => println!("saw no_such_call: {error}"),
        },
    }
    Ok(())
}
