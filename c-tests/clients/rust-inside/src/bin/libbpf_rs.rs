//! Attaches by section with libbpf-rs.

use std::error::Error;

use libbpf_rs::{MapCore, MapFlags, ObjectBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::current_exe()?.with_file_name("inside.bpf.o");
    libbpf_rs::set_print(None);
    let mut open = ObjectBuilder::default().open_file(file)?;
    for mut map in open.maps_mut() {
        if map.name().to_string_lossy().ends_with(".rodata") {
            let data = map.initial_value_mut().ok_or("no .rodata")?;
            data[..4].copy_from_slice(&std::process::id().to_ne_bytes());
        }
    }
    let object = open.load()?;
    // Continue if a program cannot be attached.
    let links: Vec<_> = object.progs_mut().map(|program| program.attach()).collect();
    clients_inside::make_calls();
    for map in object.maps() {
        if map.name().to_string_lossy().ends_with(".bss") {
            let value = map.lookup(&[0; 4], MapFlags::ANY)?;
            clients_inside::print_counts(&value.ok_or("no .bss")?);
        }
    }
    drop(links);
    Ok(())
}
