//! Attaches with libbpf-rs and the shared libbpf.

use contestants::{CALL, Contestant, OBJECT, Probe, Result, run};
use libbpf_rs::{Link, Object, ObjectBuilder};

struct WithLibbpf {
    object: Object,
    probe: Probe,
}

impl Contestant for WithLibbpf {
    type Link = Link;

    fn attach(&mut self) -> Result<Link> {
        let name = self.probe.program();
        let program = self.object.progs_mut().find(|program| program.name() == name);
        Ok(program.ok_or("no program")?.attach_ksyscall(self.probe.is_return(), CALL)?)
    }

    fn destroy(&mut self, link: Link) -> Result<()> {
        drop(link);
        Ok(())
    }
}

fn main() -> Result<()> {
    run("libbpf-rs", |probe| {
        Ok(WithLibbpf { object: ObjectBuilder::default().open_file(OBJECT)?.load()?, probe })
    })
}
