//! Attaches with aya by kernel symbol, because aya cannot attach to system calls by name.

use aya::Ebpf;
use aya::programs::kprobe::KProbeLinkId;
use contestants::{Contestant, Probe, Result, SYMBOL, load_with_aya, program, run};

struct WithAya {
    object: Ebpf,
    probe: Probe,
}

impl Contestant for WithAya {
    type Link = KProbeLinkId;

    fn attach(&mut self) -> Result<KProbeLinkId> {
        Ok(program(&mut self.object, self.probe)?.attach(SYMBOL, 0)?)
    }

    fn destroy(&mut self, link: KProbeLinkId) -> Result<()> {
        Ok(program(&mut self.object, self.probe)?.detach(link)?)
    }
}

fn main() -> Result<()> {
    run("aya", |probe| Ok(WithAya { object: load_with_aya(probe)?, probe }))
}
