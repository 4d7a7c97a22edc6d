//! What was counted of a call.

use serde_json::json;

use super::wanted::Wanted;

/// `BUCKETS` of bpf/count.bpf.c.
const BUCKETS: usize = 40;
/// `struct tally` there, as numbers.
pub(super) const NUMBERS: usize = 6 + BUCKETS;

/// What was counted of one call, of all processors.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) returns: u64,
    pub(super) errors: u64,
    /// Calls whose return the kernel missed.
    pub(super) missed: u64,
    pub(super) nanoseconds: u64,
    pub(super) longest: u64,
    /// How many took less than 2^n ns, and no less than 2^(n-1).
    pub(super) took: [u64; BUCKETS],
}

/// A call and what was counted of it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) call: Wanted,
    pub(super) function: String,
    pub(super) tally: Tally,
    /// (errno, how often), the most frequent first.
    pub(super) errnos: Vec<(i32, u64)>,
    /// What the kernel says that it missed at the function, of all processes.
    pub(super) missed_by_kernel: Option<u64>,
    /// Whether errors and times are known.
    pub(super) has_returns: bool,
}

impl Tally {
    /// Of what each processor has counted.
    pub(super) fn sum(processors: &[[u64; NUMBERS]]) -> Self {
        let sum = |place: usize| processors.iter().map(|numbers| numbers[place]).sum();
        Self {
            calls: sum(0),
            returns: sum(1),
            errors: sum(2),
            missed: sum(3),
            nanoseconds: sum(4),
            longest: processors.iter().map(|numbers| numbers[5]).max().unwrap_or(0),
            took: std::array::from_fn(|bucket| sum(6 + bucket)),
        }
    }

    /// Calls that are still made, or whose thread ended in them.
    pub(super) fn unfinished(&self) -> u64 {
        self.calls.saturating_sub(self.returns + self.missed)
    }

    pub(super) fn average(&self) -> Option<u64> {
        self.nanoseconds.checked_div(self.returns)
    }

    /// The nanoseconds that so many in a hundred took less than; a power of two.
    pub(super) fn below(&self, percent: u64) -> Option<u64> {
        let mut seen = 0;
        let bucket = self.took.iter().position(|count| {
            seen += count;
            seen * 100 >= self.returns * percent
        });
        bucket.filter(|_| self.returns > 0).map(|bucket| 1 << bucket)
    }
}

impl Row {
    /// How many of its calls have no return for the kernel missed it. A thread's next call
    /// tells; of a thread's last the kernel's own number does, which is of all processes.
    pub(super) fn missed(&self) -> u64 {
        let tally = &self.tally;
        let at_most = tally.missed + tally.unfinished();
        self.missed_by_kernel.unwrap_or(0).min(at_most).max(tally.missed)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let tally = &self.tally;
        let histogram = tally.took.iter().enumerate().filter(|(_, count)| **count > 0);
        let histogram: Vec<_> = histogram
            .map(|(bucket, count)| json!({ "below_ns": 1_u64 << bucket, "calls": count }))
            .collect();
        let errnos = self.errnos.iter().map(|(errno, count)| (errno_name(*errno), json!(count)));
        let known = |number: u64| self.has_returns.then_some(number);
        json!({
            "name": self.call.name.as_str(),
            "caller": self.call.caller(),
            "function": self.function,
            "calls": tally.calls,
            "returns": known(tally.returns),
            "errors": known(tally.errors),
            "missed_returns": known(tally.missed),
            "unfinished": known(tally.unfinished()),
            "missed_by_kernel": self.missed_by_kernel,
            "total_ns": known(tally.nanoseconds),
            "longest_ns": known(tally.longest),
            "histogram": histogram,
            "errnos": errnos.collect::<serde_json::Map<_, _>>(),
        })
    }
}

macro_rules! names {
    ($number:expr; $($name:ident)*) => {
        match $number {
            $(libc::$name => stringify!($name).to_owned(),)*
            // Of the kernel alone (include/linux/errno.h): the call is made again, or its error
            // is another when the program gets it.
            512 => "ERESTARTSYS".to_owned(),
            513 => "ERESTARTNOINTR".to_owned(),
            514 => "ERESTARTNOHAND".to_owned(),
            515 => "ENOIOCTLCMD".to_owned(),
            516 => "ERESTART_RESTARTBLOCK".to_owned(),
            other => format!("errno {other}"),
        }
    };
}

pub(super) fn errno_name(errno: i32) -> String {
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
pub(super) mod tests {
    use super::*;

    /// Of one processor: that many returns in each bucket.
    pub(in crate::count) fn tally(calls: u64, errors: u64, took: &[(usize, u64)]) -> Tally {
        let mut numbers = [0; NUMBERS];
        numbers[0] = calls;
        numbers[1] = took.iter().map(|(_, count)| count).sum();
        numbers[2] = errors;
        for (bucket, count) in took {
            numbers[6 + bucket] = *count;
            numbers[4] += count << bucket;
            numbers[5] = 1 << bucket;
        }
        Tally::sum(&[numbers])
    }

    #[test]
    fn processors_are_summed_up_and_the_longest_call_is_the_longest_of_all() {
        let one = std::array::from_fn(|place| place as u64);
        let two = [100; NUMBERS];
        let sum = Tally::sum(&[one, two]);
        assert_eq!((sum.calls, sum.returns, sum.errors, sum.missed), (100, 101, 102, 103));
        assert_eq!((sum.nanoseconds, sum.longest), (104, 100));
        assert_eq!((sum.took[0], sum.took[39]), (106, 145));
    }

    #[test]
    fn percentiles_are_upper_bounds() {
        let some = tally(100, 0, &[(10, 50), (12, 49), (20, 1)]);
        assert_eq!(
            (some.below(50), some.below(51), some.below(99)),
            (Some(1024), Some(4096), Some(4096))
        );
        assert_eq!(some.below(100), Some(1 << 20));
        assert_eq!(tally(3, 0, &[]).below(50), None);
        assert_eq!(tally(3, 0, &[]).average(), None);
    }

    #[test]
    fn what_has_not_returned_is_missed_or_unfinished() {
        let mut some = tally(10, 0, &[(10, 6)]);
        some.missed = 3;
        assert_eq!(some.unfinished(), 1);
    }

    #[test]
    fn errnos_have_their_names() {
        assert_eq!(errno_name(2), "ENOENT");
        assert_eq!(errno_name(512), "ERESTARTSYS");
        assert_eq!(errno_name(4000), "errno 4000");
    }
}
