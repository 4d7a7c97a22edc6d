//! Makes aya's loader for the command's BPF objects.

use anyhow::Result;
use aya::EbpfLoader;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A loader for programs that need no relocation by the kernel's types.
///
/// `EbpfLoader::new()` of aya 0.13 and 0.14 parses all of these types, which takes longer than
/// everything else that the command does before it is ready. It goes without them if it cannot open
/// their file, so no file can be opened meanwhile.
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
