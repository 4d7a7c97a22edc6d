//! Loads a program with aya, and attaches it with this library's crate.

use aya::Ebpf;
use contestants::{CALL, Contestant, Probe, Result, load_with_aya, program, run};
use ksyscall::{Ksyscall, Link};

struct WithKsyscall {
    object: Ebpf,
    probe: Probe,
}

impl Contestant for WithKsyscall {
    type Link = Link;

    fn attach(&mut self) -> Result<Link> {
        let program = program(&mut self.object, self.probe)?;
        Ok(Ksyscall::new(CALL)?.retprobe(self.probe.is_return()).attach(program.fd()?)?)
    }

    fn destroy(&mut self, link: Link) -> Result<()> {
        Ok(link.detach()?)
    }
}

fn main() -> Result<()> {
    run("ksyscall-rust", |probe| Ok(WithKsyscall { object: load_with_aya(probe)?, probe }))
}
