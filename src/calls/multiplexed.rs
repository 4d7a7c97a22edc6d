//! Lists the calls that socketcall(2) and ipc(2), the multiplexers of old architectures, carry out.
//!
//! A process passes the number of a sub-call as the multiplexer's first argument. The multiplexer
//! then bypasses the sub-call's own syscall function: it calls the inner function that this syscall
//! function would call. The tables show which architectures have a multiplexer: i386, s390x, and
//! 32-bit and 64-bit POWER. The sub-calls are the same on all architectures.
//!
//! Sources: `SYSCALL_DEFINE2(socketcall` in net/socket.c with include/uapi/linux/net.h, and
//! `ksys_ipc()` in ipc/syscall.c with include/uapi/linux/ipc.h, in Linux 5.4 to 7.2.

use super::name::SyscallName;
use super::table::{Column, Table, row_in};

/// A call that a multiplexer carries out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SubCall {
    /// `socketcall` or `ipc`.
    pub multiplexer: &'static str,
    /// The first argument of the multiplexer: `SYS_CONNECT` or `SEMOP`, for example.
    pub number: u32,
    /// The name of the call: `connect` or `semop`, for example.
    pub name: &'static str,
}

const SOCKETCALL: &str = "socketcall";
const IPC: &str = "ipc";

/// A multiplexer, the number of the first sub-call in the list, and the names of the sub-calls,
/// which are numbered consecutively.
const ALL: [(&str, u32, &str); 4] = [
    (
        SOCKETCALL,
        1,
        "socket bind connect listen accept getsockname getpeername socketpair send recv sendto \
         recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg",
    ),
    (IPC, 1, "semop semget semctl semtimedop"),
    (IPC, 11, "msgsnd msgrcv msgget msgctl"),
    (IPC, 21, "shmat shmdt shmget shmctl"),
];

impl SubCall {
    /// Returns every sub-call of the two multiplexers.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter().flat_map(|(multiplexer, first, names)| {
            let numbered = (first..).zip(names.split(' '));
            numbered.map(move |(number, name)| Self { multiplexer, number, name })
        })
    }

    /// Returns the call that `socketcall(first, ...)` or `ipc(first, ...)` carries out, or `None`
    /// if the kernel rejects the number.
    ///
    /// The upper half of ipc's first argument is a version number, which this function ignores.
    ///
    /// ```
    /// use ksyscall::SubCall;
    ///
    /// assert_eq!(SubCall::of("socketcall", 3).map(|call| call.name), Some("connect"));
    /// assert_eq!(SubCall::of("ipc", 1 << 16 | 12).map(|call| call.name), Some("msgrcv"));
    /// assert_eq!(SubCall::of("connect", 3), None);
    /// ```
    pub fn of(multiplexer: &str, first: u32) -> Option<Self> {
        let number = if multiplexer == IPC { first & 0xffff } else { first };
        Self::all().find(|call| call.multiplexer == multiplexer && call.number == number)
    }

    /// Returns the sub-call `name`, if the sub-call's multiplexer exists in `column` of `table`.
    pub(crate) fn of_table(table: Table, column: Column, name: &SyscallName) -> Option<Self> {
        let name = name.as_str();
        let bare = name.strip_prefix("sys_").unwrap_or(name);
        Self::named(bare).filter(|call| row_in(table, call.multiplexer).is_in(column))
    }

    /// Returns the sub-call with that name, even if this architecture does not have the sub-call's
    /// multiplexer.
    ///
    /// ```
    /// use ksyscall::SubCall;
    ///
    /// assert_eq!(SubCall::named("semop").map(|call| call.multiplexer), Some("ipc"));
    /// assert_eq!(SubCall::named("openat"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|call| call.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the kernel's headers, <linux/net.h> defines the numbers for socketcall, such as
    /// SYS_SOCKET, and <linux/ipc.h> defines the numbers for ipc, such as SEMOP.
    #[test]
    fn numbers_are_those_of_the_headers() {
        for (multiplexer, header, start) in [
            (SOCKETCALL, "/usr/include/linux/net.h", "SYS_"),
            (IPC, "/usr/include/linux/ipc.h", ""),
        ] {
            let Ok(text) = std::fs::read_to_string(header) else {
                println!("no {header} here: the kernel's headers are not installed");
                continue;
            };
            for call in SubCall::all().filter(|call| call.multiplexer == multiplexer) {
                let macro_name = format!("{start}{}", call.name.to_uppercase());
                let is_defined = text.lines().any(|line| {
                    let words: Vec<_> = line.split_whitespace().take(3).collect();
                    words == ["#define", &macro_name, &call.number.to_string()]
                });
                assert!(is_defined, "{macro_name} of {header} is not {}", call.number);
            }
        }
    }

    #[test]
    fn rejected_numbers_have_no_sub_call() {
        for number in [0, 21, 1 << 16 | 3, u32::MAX] {
            assert_eq!(SubCall::of(SOCKETCALL, number), None, "{number}");
        }
        for number in [0, 5, 10, 15, 20, 25] {
            assert_eq!(SubCall::of(IPC, number), None, "{number}");
        }
    }
}
