"""Lists exceptions that the readers cannot derive: names, versions and functions with special rules.

This module contains only data. Each line cites the kernel or a man page.
"""

import re

# The versions to read, which cover each change in the format of the tables since 4.1: arm's .tbl (4.10),
# s390's .tbl (4.16), wrappers (4.17), powerpc's and mips' .tbl (5.0), 64-bit time on 32-bit machines
# (5.1), x86's sys_ia32_* (5.7), and scripts/syscall.tbl (6.11).
VERSIONS = ["4.4", "4.15", "4.18", "5.0", "5.4", "5.10", "6.1", "6.12", "7.2", "7.3"]

# The parts of a table's entry that surround the function's name: the prefix for wrapped calls
# (4.17 to 5.6), and x86's mark for functions that need pt_regs (4.6).
DECORATION = re.compile(r"^__(x64|x32|ia32|arm64)_(?=(compat_)?sys)|/ptregs$")

# Entries that are assembly code, and the C functions that they jump to. Each row contains the directory, the
# entry, the function, and the kernel source file that contains the jump.
BEHIND = [
    ("x86", r"stub_x32_(execve(at)?)", r"compat_sys_\1",
     "arch/x86/entry/entry_64.S, before 4.17"),
    ("x86", r"stub_x32_rt_sigreturn", r"sys32_x32_rt_sigreturn",
     "arch/x86/entry/entry_64.S, before 4.17"),
    ("x86", r"stub(32)?_(\w+)", r"sys_\2",
     "arch/x86/entry/entry_64.S, entry_64_compat.S, before 4.17"),
    ("arm", r"sys_(\w+)_wrapper", r"sys_\1", "arch/arm/kernel/entry-common.S"),
    ("arm", r"sys_mmap2", r"sys_mmap_pgoff", "arch/arm/kernel/entry-common.S"),
    ("arm64", r"(compat_sys_(rt_sigreturn|sigreturn|f?statfs64))_wrapper", r"\1",
     "arch/arm64/kernel/entry32.S, before 4.19"),
    ("arm64", r"compat_sys_mmap2_wrapper", r"sys_mmap_pgoff",
     "arch/arm64/kernel/entry32.S, before 4.19"),
    # Excludes the wrappers for truncate64, ftruncate64 and fadvise64_64: on a 32-bit kernel, the functions that these
    # wrappers jump to do not serve the wrappers' calls.
    ("arm64", r"(?:compat_)?sys_(?!f?truncate64|fadvise64_64)(\w+)_wrapper", r"sys_\1",
     "arch/arm64/kernel/entry.S, entry32.S, before 4.19"),
    ("mips", r"__(sys_\w+)", r"\1", "arch/mips/include/asm/sim.h"),
    ("powerpc", r"ppc(64)?_(fork|vfork|clone3?|swapcontext|switch_endian)",
     r"sys_\2", "arch/powerpc/kernel/entry_32.S, entry_64.S, before 6.1"),
    ("powerpc", r"ppc32_swapcontext", r"compat_sys_swapcontext",
     "arch/powerpc/kernel/entry_64.S, before 5.8"),
]

# Maps tables to the kernel files whose macros rename entries.
RENAMES = {
    "aarch64": "arch/arm64/kernel/sys.c",
    "powerpc": "arch/powerpc/include/asm/systbl.h",
    "powerpc64": "arch/powerpc/include/asm/systbl.h",
}

# Calls that have a second name in <asm/unistd.h>. Each row contains the table, the name and the second name.
SECOND = [("arm", "arm_sync_file_range", "sync_file_range2")]

# Functions that the sources define but that no configuration of the version builds. Each row contains
# tables, versions, functions and the reason. The rows apply only to native functions.
ABSENT = [
    ("x86|arm|powerpc", "4.18|5.0", r"sys_\w+_time32",
     "arch/Kconfig: COMPAT_32BIT_TIME is off on 32-bit machines before 5.1"),
    ("x86|arm|powerpc", ".*", r"(compat_sys|sys32|ppc32|ppc64)_\w+",
     "for 32-bit processes of a 64-bit kernel, or for 64-bit processes"),
]

# Functions that also exist in versions where another function serves the call. Each row contains the tables, the half
# (native or compat), the function, the versions in which the function serves the call, and the reason. If a row lists
# several versions, these are the stable updates that corrected a table, and the first version without the mistake.
LIMITS = [
    ("x86|arm|powerpc", "compat", "compat_sys_io_pgetevents_time64",
     "5.10.221,5.15.162,6.1.97,6.6.37,6.9.8,6.10",
     "the table had sys_io_pgetevents: d3882564a77c (syscalls: fix"
     " compat_sys_io_pgetevents_time64 usage), which the announcements of these stable updates"
     " list; 5.4 was never corrected (5.4.286)"),
    ("x86", "compat", "compat_sys_keyctl", "4.1.52,4.4.155,4.8",
     "the table had sys_keyctl (4.1.15 contains it) until f7d665627e10 in 2016; the tables of these"
     " updates do not, and earlier updates of 4.1 to 4.7 may not either"),
    ("x86|x86_64|arm|powerpc", "compat", r"compat_sys_[gs]etsockopt", "<5.9",
     "net/compat.c of 5.8; a weak stub of that name remains"),
    ("x86|x86_64|arm|powerpc", "compat", r"compat_sys_process_vm_(readv|writev)", "<5.10",
     "mm/process_vm_access.c of 5.9; a weak stub of that name remains"),
    ("x86", "compat", r"sys_rt_sig(procmask|suspend)", "<5.4",
     "arch/x86/entry/syscalls/syscall_32.tbl of 5.3"),
    ("x86_64", "compat", r"compat_sys_(recvmmsg|rt_sigtimedwait)_time64", "5.1",
     "5.0 defines it but does not use it"),
    ("x86|arm|powerpc", "native", "sys_recvmmsg_time32", "5.1",
     "5.0 has a weak stub of that name"),
]

# Calls that older versions lack, although those versions contain a function that the call's line names. In those
# versions, a probe on the function would not see the call. Each row contains tables, calls and the reason. The table
# uses the function only for kernels newer than the newest version in VERSIONS that lacks the call.
LATER = [
    ("x86|arm|powerpc", r"\w+_time64|(clock|timer|timerfd)_\w+64",
     "sys_* serves the call without 64 until 5.1, which gives that call a separate function"),
    ("x86|s390x|powerpc|powerpc64", r"(msg|sem|shm)\w+",
     "reached only through ipc() before 5.1"),
    ("arm|powerpc", "migrate_pages|mlock2|io_pgetevents",
     "newer on this architecture than on others"),
    ("x86", "arch_prctl", "for 64-bit processes only"),
    ("powerpc", "select",
     "compat_sys_old_select exists for other architectures' 32-bit processes"),
]

# Calls that are newer on some architectures than on others. An architecture without the call has a
# stub that all absent calls share, so the kernel's own list of symbols shows whether the call
# exists, even if a vendor has backported it. Each row contains tables and calls.
STUBS = [
    ("x86|arm|aarch64|s390x|powerpc|powerpc64", r"kexec_file_load|pkey_\w+|rseq"),
    ("s390x|loongarch64", "memfd_secret"),
]

# Two names in the tables refer to the same call if they differ only in these decorations, which the kernel adds to a
# call's name when it widens the call's arguments.
DECORATIONS = re.compile(r"^_?(?:new|rt_)?(.+?)(?:_time64|64|32)?$")

# The names in each set also refer to the same call, although they do not follow that rule: lseek(2),
# mmap(2), umount(2), getrlimit(2), posix_fadvise(2), sync_file_range(2).
SAME = [
    {"lseek", "_llseek", "llseek"},
    {"mmap", "mmap2"},
    {"umount", "umount2"},
    {"getrlimit", "ugetrlimit"},
    {"fadvise64", "fadvise64_64", "arm_fadvise64_64"},
    {"sync_file_range", "sync_file_range2", "arm_sync_file_range"},
]

# Names from man pages and the C library that no table contains, and the calls that they stand for. If a name stands for
# several calls, it refers to the first one that exists on the architecture, because the C library makes that call.
SPELLINGS = {
    "_exit": "exit_group",                      # _exit(2)
    "pread": "pread64",                         # pread(2)
    "pwrite": "pwrite64",                       # pread(2)
    "prlimit": "prlimit64",                     # getrlimit(2)
    "getrlimit64": "prlimit64",                 # getrlimit(2), C library/kernel differences
    "setrlimit64": "prlimit64",                 # the same
    "fstatat": "newfstatat fstatat64",          # stat(2)
    "pselect": "pselect6 pselect6_time64",      # select(2)
    "posix_fadvise": "fadvise64 fadvise64_64 arm_fadvise64_64",     # posix_fadvise(2)
    "mmap64": "mmap2 mmap",                     # mmap2(2)
    "lseek64": "_llseek lseek",                 # lseek64(3)
    "llseek": "_llseek lseek",                  # llseek(2)
    "sysctl": "_sysctl",                        # sysctl(2)
    "sigtimedwait": "rt_sigtimedwait rt_sigtimedwait_time64",       # sigwaitinfo(2)
    "sigwaitinfo": "rt_sigtimedwait rt_sigtimedwait_time64",        # sigwaitinfo(2)
    "sigqueue": "rt_sigqueueinfo",              # rt_sigqueueinfo(2)
}

# Maps each version after Linux 4.1 to the calls that it added. The source is syscalls(2) or, for the newest calls, the
# kernel's history. Some architectures added some of these calls in later versions.
SINCE_VERSION = {
    "4.3": "userfaultfd membarrier",
    "4.4": "mlock2",
    "4.5": "copy_file_range",
    "4.6": "preadv2 pwritev2",
    "4.9": "pkey_alloc pkey_free pkey_mprotect",
    "4.11": "statx",
    "4.12": "s390_guarded_storage",
    "4.15": "s390_sthyi",
    "4.18": "io_pgetevents rseq",
    "5.1": "io_uring_enter io_uring_register io_uring_setup pidfd_send_signal"
           " clock_gettime64 clock_settime64 clock_adjtime64 clock_getres_time64"
           " clock_nanosleep_time64 timer_gettime64 timer_settime64 timerfd_gettime64"
           " timerfd_settime64 utimensat_time64 pselect6_time64 ppoll_time64"
           " io_pgetevents_time64 recvmmsg_time64 mq_timedsend_time64"
           " mq_timedreceive_time64 semtimedop_time64 rt_sigtimedwait_time64"
           " futex_time64 sched_rr_get_interval_time64",
    "5.2": "fsconfig fsmount fsopen fspick move_mount open_tree",
    "5.3": "clone3 pidfd_open",
    "5.6": "openat2 pidfd_getfd",
    "5.8": "faccessat2",
    "5.9": "close_range",
    "5.10": "process_madvise",
    "5.11": "epoll_pwait2",
    "5.12": "mount_setattr",
    "5.13": "landlock_add_rule landlock_create_ruleset landlock_restrict_self",
    "5.14": "memfd_secret quotactl_fd",
    "5.15": "process_mrelease",
    "5.16": "futex_waitv",
    "5.17": "set_mempolicy_home_node",
    "6.5": "cachestat",
    "6.6": "fchmodat2 map_shadow_stack",
    "6.7": "futex_requeue futex_wait futex_wake",
    "6.8": "listmount lsm_get_self_attr lsm_list_modules lsm_set_self_attr statmount",
    "6.10": "mseal",
    "6.11": "uretprobe",
    "6.13": "getxattrat listxattrat removexattrat setxattrat",
    "6.15": "open_tree_attr",
    "6.17": "file_getattr file_setattr",
    "6.18": "uprobe",
    "6.19": "listns",
    "7.0": "rseq_slice_yield",
    "7.3": "fchroot",
}
