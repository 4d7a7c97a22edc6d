//! Creates aya's loader for the command's BPF objects.

use anyhow::Result;
use aya::EbpfLoader;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Returns a loader for programs that require no relocation against the kernel's types.
///
/// In aya 0.13 and 0.14, `EbpfLoader::new()` parses all of the kernel's types. Parsing takes longer
/// than everything else that the command does during startup. If `new()` cannot open the file that
/// contains the types, it continues without them. This function therefore prevents `new()` from
/// opening any file.
pub(crate) fn loader() -> Result<EbpfLoader<'static>> {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..files })?;
    let loader = EbpfLoader::new();
    setrlimit(Resource::Nofile, files)?;
    Ok(loader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_file_limit_is_the_same_afterwards() {
        let files = getrlimit(Resource::Nofile);
        loader().unwrap();
        assert_eq!(getrlimit(Resource::Nofile), files);
    }
}
