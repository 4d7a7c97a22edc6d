//! Checks whether a program's file grants privileges that make the loader ignore `LD_PRELOAD`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Explains why ld.so ignores LD_PRELOAD if this user runs the program (ld.so(8), "Secure-execution
/// mode"). Returns None if ld.so does not ignore LD_PRELOAD.
pub(super) fn is_secure(program: &Path) -> Option<String> {
    let ignored = "so the loader ignores LD_PRELOAD";
    let mounted = rustix::fs::statvfs(program).ok()?;
    if mounted.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID) {
        // On a nosuid mount, the kernel ignores set-ID bits and file capabilities (mnt_may_suid()
        // in the kernel's fs/namespace.c).
        return None;
    }
    let status = fs::metadata(program).ok()?;
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mode = status.mode();
    if mode & 0o4000 != 0 && status.uid() != uid {
        return Some(format!("set-user-ID of user {}: {ignored}", status.uid()));
    }
    if mode & 0o2000 != 0 && mode & 0o010 != 0 && status.gid() != gid {
        return Some(format!("set-group-ID of group {}: {ignored}", status.gid()));
    }
    let mut capabilities = [0_u8; 64];
    let length = rustix::fs::getxattr(program, "security.capability", &mut capabilities).ok()?;
    // Root already has all capabilities.
    (uid != 0 && gives_capabilities(&capabilities[..length], &OwnSets::read()))
        .then(|| format!("a file with capabilities: {ignored}"))
}

/// This process's capability sets, which limit the capabilities that a file grants.
struct OwnSets {
    bounding: u64,
    inheritable: u64,
}

impl OwnSets {
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let set = |name| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(value.trim(), 16).ok()
        };
        let (bounding, inheritable) = (set("CapBnd:"), set("CapInh:"));
        Self { bounding: bounding.unwrap_or(u64::MAX), inheritable: inheritable.unwrap_or(0) }
    }
}

/// Whether the kernel sets AT_SECURE for a file with this `security.capability` attribute.
///
/// Applies the rules in cap_bprm_creds_from_file() in the kernel's security/commoncap.c. The
/// attribute is a `struct vfs_cap_data` (linux/capability.h).
fn gives_capabilities(attribute: &[u8], own: &OwnSets) -> bool {
    const EFFECTIVE: u32 = 1;
    let word = |place: usize| {
        let bytes = attribute.get(4 * place..4 * place + 4);
        bytes.map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
    };
    let is_long = attribute.len() >= 20;
    let upper = |place| if is_long { u64::from(word(place)) << 32 } else { 0 };
    let permitted = u64::from(word(1)) | upper(3);
    let inheritable = u64::from(word(2)) | upper(4);
    let given = permitted & own.bounding | inheritable & own.inheritable;
    word(0) & EFFECTIVE != 0 || given != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_that_a_file_gives_are_secure() {
        let own = OwnSets { bounding: u64::MAX >> 23, inheritable: 1 << 13 };
        let gives = |words: &[u32]| {
            let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            gives_capabilities(&bytes, &own)
        };
        // A VFS_CAP_REVISION_2 attribute contains the lower halves of the permitted and inheritable
        // sets, followed by the upper halves.
        const SECOND: u32 = 0x0200_0000;
        assert!(gives(&[SECOND | 1, 1 << 13, 0, 0, 0]));
        assert!(gives(&[SECOND, 1 << 13, 0, 0, 0]));
        assert!(gives(&[SECOND, 0, 0, 1 << (39 - 32), 0]));
        assert!(gives(&[SECOND, 0, 1 << 13, 0, 0]));
        assert!(gives(&[SECOND | 1, 0, 0, 0, 0]));
        assert!(!gives(&[SECOND, 0, 0, 0, 0]));
        // A file grants no inheritable capability outside the process's inheritable set, and no
        // permitted capability outside the bounding set.
        assert!(!gives(&[SECOND, 0, 1 << 12, 0, 0]));
        assert!(!gives(&[SECOND, 0, 0, 1 << (50 - 32), 0]));
        // A VFS_CAP_REVISION_1 attribute contains only the lower halves. A VFS_CAP_REVISION_3
        // attribute ends with a user ID.
        assert!(gives(&[0x0100_0000, 1 << 13, 0]));
        assert!(!gives(&[0x0300_0000, 0, 0, 0, 0, 1000]));
    }
}
