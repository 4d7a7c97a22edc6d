//! Translates between errnos and their names, including errnos that only the kernel uses.

/// The errno with this name or number.
pub(crate) fn named(name: &str) -> Option<i32> {
    let number = name.parse().ok().filter(|number| (1..=4095).contains(number));
    number.or_else(|| (1..=4095).find(|errno| name_of(*errno).eq_ignore_ascii_case(name)))
}

macro_rules! names {
    ($number:expr; $($name:ident)*) => {
        match $number {
            $(libc::$name => stringify!($name).to_owned(),)*
            // These errnos are internal to the kernel (include/linux/errno.h). The kernel restarts
            // the call, or replaces the errno before the program sees it.
            512 => "ERESTARTSYS".to_owned(),
            513 => "ERESTARTNOINTR".to_owned(),
            514 => "ERESTARTNOHAND".to_owned(),
            515 => "ENOIOCTLCMD".to_owned(),
            516 => "ERESTART_RESTARTBLOCK".to_owned(),
            other => format!("errno {other}"),
        }
    };
}

/// The errno's name, or its number if it has no name.
pub(crate) fn name_of(errno: i32) -> String {
    names!(errno; EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES
        EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY
        EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS
        ENOTEMPTY ELOOP ENODATA ETIME EPROTO EBADMSG EOVERFLOW EILSEQ EUSERS ENOTSOCK EDESTADDRREQ
        EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
        EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
        ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY
        EINPROGRESS ESTALE EDQUOT ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD
        ENOTRECOVERABLE ERFKILL EHWPOISON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_have_their_names() {
        assert_eq!(name_of(2), "ENOENT");
        assert_eq!(name_of(512), "ERESTARTSYS");
        assert_eq!(name_of(4000), "errno 4000");
        assert_eq!((named("ENOENT"), named("enoent")), (Some(2), Some(2)));
        assert_eq!((named("110"), named("EWHAT"), named("0")), (Some(110), None, None));
    }
}
