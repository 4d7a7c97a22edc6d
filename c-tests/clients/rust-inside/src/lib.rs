//! Makes the calls and prints the counts for both tools; see ../inside.c.

/// Makes each call three times.
pub fn make_calls() {
    // SAFETY: the kernel writes only within the two structures.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        let mut name: libc::utsname = std::mem::zeroed();
        for _ in 0..3 {
            libc::syscall(libc::SYS_stat, c"/".as_ptr(), &raw mut stat);
            libc::syscall(libc::SYS_umount2, c"".as_ptr(), 0);
            libc::syscall(libc::SYS_uname, &raw mut name);
        }
    }
}

/// Prints the BPF programs' counts, which are in the object's data section.
pub fn print_counts(section: &[u8]) {
    let counts = section.chunks_exact(8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
    for (name, seen) in ["stat", "umount2", "uname", "__x64_sys_stat"].iter().zip(counts) {
        println!("{name} was seen {seen} times of 3");
    }
}
