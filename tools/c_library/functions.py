# ruff: noqa: E501
"""Lists the system calls that the C libraries' functions make, and cites the source files as evidence.

This module contains only data. Each line of FUNCTIONS lists the functions' names, then the calls that these
functions make in glibc and the source files as evidence, and then the same for musl. For example:

    mkdir   | mkdir mkdirat         | mkdir.c
    sleep   | clock_nanosleep       | posix/sleep.c>__nanosleep nanosleep.c>__clock_nanosleep_time64 ...

The calls are written as groups, separated by spaces. On each architecture, the first group with a supported call
applies. '+' joins several calls in a group: which of them a function makes depends on its arguments or on the kernel.
'@64' or '@x86_64,s390x' after a group limits the group to these architectures. '-' means unknown.

Among the files, FILE names a file that makes the calls, and FILE>FUNCTION names a file that calls FUNCTION. '-call'
after the files names a call to ignore: the files contain the call, but these functions do not make it, or make it only
as a last resort. A glibc file without a folder is in sysdeps/unix/sysv/linux; musl's files are in src.
"""

TIME = "nanosleep.c>__clock_nanosleep_time64 clock_nanosleep.c"
WAIT = "posix/waitpid.c>__wait4 wait4.c -waitid"
UTIME = "utimensat.c"
OPEN = "open64.c"
KILL = "nptl/pthread_kill.c -gettid"
NOCANCEL = "open_nocancel.c open64_nocancel.c"
CLONE = "clone-internal.c>__clone3 clone-internal.c>__clone"
M_TIME = "time/nanosleep.c>__clock_nanosleep time/clock_nanosleep.c -clock_nanosleep -clock_nanosleep_time32"
M_UTIME = "stat/utimensat.c -futimesat -utimes"
M_KSTAT = "stat/fstatat.c -fcntl -fcntl64 -fstat -fstat64 -statx"
M_OPEN = "fcntl/open.c -fcntl -fcntl64"

FUNCTIONS = f"""
open | openat | {OPEN} | open openat | {M_OPEN}
creat | creat openat | creat64.c creat64.c>__open64 {OPEN} | open openat | fcntl/creat.c>open {M_OPEN}
fopen | openat | /libio/fileops.c>__open /libio/fileops.c>__open_nocancel {OPEN} {NOCANCEL} | open openat | stdio/fopen.c -fcntl -fcntl64 -close
opendir | openat | opendir.c>__open_nocancel {NOCANCEL} | open openat | dirent/opendir.c>open {M_OPEN} -close
shm_open | openat | /rt/shm_open.c>__open64_nocancel {NOCANCEL} | open openat | mman/shm_open.c>open {M_OPEN}
shm_unlink | unlink unlinkat | /rt/shm_unlink.c>__unlink unlink.c | unlink unlinkat | mman/shm_open.c>unlink unistd/unlink.c
readdir getdents | getdents64 | readdir64.c>__getdents64 getdents64.c | getdents64 | dirent/readdir.c
stat | newfstatat@aarch64,powerpc64,riscv64,s390x,x86_64 statx@loongarch64 | stat64.c>__fstatat64_time64 fstatat64.c -fstatat64 | stat@powerpc64,s390x,x86_64 newfstatat@aarch64,riscv64 statx@loongarch64 | stat/stat.c>fstatat {M_KSTAT} -lstat -newfstatat
lstat | newfstatat@aarch64,powerpc64,riscv64,s390x,x86_64 statx@loongarch64 | lstat64.c>__fstatat64_time64 fstatat64.c -fstatat64 | lstat@powerpc64,s390x,x86_64 newfstatat@aarch64,riscv64 statx@loongarch64 | stat/lstat.c>fstatat {M_KSTAT} -stat -newfstatat
fork | clone | arch-fork.h | fork clone | process/_Fork.c -set_tid_address
vfork | vfork clone | */vfork.S | - | -
posix_spawn posix_spawnp | clone@powerpc clone3+clone | spawni.c>__clone3 spawni.c>__clone_internal_fallback {CLONE} | clone | process/posix_spawn.c>__clone
system | clone@powerpc clone3+clone | /sysdeps/posix/system.c>__posix_spawn spawni.c>__clone3 spawni.c>__clone_internal_fallback {CLONE} | clone | process/system.c>posix_spawn process/posix_spawn.c>__clone
popen | clone@powerpc clone3+clone | /libio/iopopen.c>__posix_spawn spawni.c>__clone3 spawni.c>__clone_internal_fallback {CLONE} | clone | stdio/popen.c>posix_spawn process/posix_spawn.c>__clone
pthread_create | clone@powerpc clone3+clone | /nptl/pthread_create.c>__clone_internal {CLONE} | clone | thread/pthread_create.c>__clone
wait | wait4 | /posix/wait.c>__waitpid {WAIT} | wait4 | process/wait.c>waitpid process/waitpid.c
waitpid | wait4 | {WAIT} | wait4 | process/waitpid.c
wait3 | wait4 | wait3.c>__wait4_time64 wait4.c -waitid | wait4 | linux/wait3.c>wait4 linux/wait4.c
execv execvp execvpe execl execlp execle | execve | /posix/execv.c>__execve /posix/execvpe.c>__execve /posix/execl.c>__execve /posix/execle.c>__execve /posix/execlp.c>__execvpe | execve | process/execv.c>execve process/execve.c
fexecve | execveat | fexecve.c | execveat | process/fexecve.c
exit | exit_group | /stdlib/exit.c>_exit _exit.c | exit_group | exit/exit.c>_Exit exit/_Exit.c -exit
_exit | exit_group | _exit.c | exit_group | unistd/_exit.c>_Exit exit/_Exit.c -exit
sleep | clock_nanosleep+clock_nanosleep_time64 | /sysdeps/posix/sleep.c>__nanosleep {TIME} | nanosleep+clock_nanosleep_time64 | unistd/sleep.c>nanosleep {M_TIME}
usleep | clock_nanosleep+clock_nanosleep_time64 | /sysdeps/posix/usleep.c>__nanosleep {TIME} | nanosleep+clock_nanosleep_time64 | unistd/usleep.c>nanosleep {M_TIME}
nanosleep | clock_nanosleep+clock_nanosleep_time64 | {TIME} | nanosleep+clock_nanosleep_time64 | {M_TIME}
thrd_sleep | clock_nanosleep+clock_nanosleep_time64 | thrd_sleep.c>__clock_nanosleep_time64 clock_nanosleep.c | nanosleep+clock_nanosleep_time64 | thread/thrd_sleep.c>__clock_nanosleep {M_TIME}
select | pselect6+pselect6_time64 | select.c -_newselect | _newselect+pselect6_time64 select pselect6 | select/select.c -pselect6
pselect | pselect6+pselect6_time64 | pselect.c pselect.c>__pselect32 pselect32.c | pselect6+pselect6_time64 | select/pselect.c
poll | poll ppoll | poll.c | poll ppoll | select/poll.c
pause | pause ppoll | pause.c | pause ppoll | unistd/pause.c
epoll_wait | epoll_wait epoll_pwait | epoll_wait.c epoll_wait.c>epoll_pwait epoll_pwait.c | epoll_pwait | linux/epoll.c -epoll_create1 -epoll_create -epoll_ctl -epoll_wait
epoll_create | epoll_create epoll_create1 | epoll_create.c | epoll_create1 | linux/epoll.c -epoll_pwait -epoll_create -epoll_ctl -epoll_wait
inotify_init | inotify_init inotify_init1 | inotify_init.c | inotify_init1 | linux/inotify.c -inotify_init -inotify_add_watch -inotify_rm_watch
eventfd | eventfd2 | syscalls.list>eventfd2 | eventfd2 | linux/eventfd.c -eventfd
signalfd | signalfd4 | signalfd.c | signalfd4 | linux/signalfd.c -signalfd -fcntl -fcntl64
pipe | pipe2 | pipe.c | pipe pipe2 | unistd/pipe.c
dup2 | dup2 dup3 | dup2.c | dup2 dup3 | unistd/dup2.c -fcntl
alarm | alarm setitimer | syscalls.list>alarm /sysdeps/posix/alarm.c>__setitimer | setitimer | unistd/alarm.c>setitimer signal/setitimer.c
send | send sendto+socketcall | send.c | sendto | network/send.c>sendto network/sendto.c
recv | recv recvfrom+socketcall | recv.c | recvfrom | network/recv.c>recvfrom network/recvfrom.c
accept | accept accept4+socketcall | accept.c | accept accept4 | network/accept.c
access | access faccessat | access.c | access faccessat | unistd/access.c
faccessat | faccessat2+faccessat | faccessat.c | faccessat+faccessat2 | unistd/faccessat.c -*
mkdir | mkdir mkdirat | mkdir.c | mkdir mkdirat | stat/mkdir.c
rmdir | rmdir unlinkat | rmdir.c | rmdir unlinkat | unistd/rmdir.c
unlink | unlink unlinkat | unlink.c | unlink unlinkat | unistd/unlink.c
remove | unlink+rmdir unlinkat | /sysdeps/posix/remove.c>__unlink /sysdeps/posix/remove.c>__rmdir unlink.c rmdir.c | unlink+rmdir unlinkat | stdio/remove.c
link | link linkat | link.c | link linkat | unistd/link.c
symlink | symlink symlinkat | symlink.c | symlink symlinkat | unistd/symlink.c
readlink | readlink readlinkat | readlink.c | readlink readlinkat | unistd/readlink.c
rename | rename renameat renameat2 | rename.c | rename renameat renameat2 | stdio/rename.c
renameat | renameat renameat2 | renameat.c | renameat renameat2 | unistd/renameat.c
mknod | mknodat | /io/mknod.c>__mknodat mknodat.c | mknod mknodat | stat/mknod.c
mkfifo | mknodat | /sysdeps/posix/mkfifo.c>__mknod /io/mknod.c>__mknodat mknodat.c | mknod mknodat | stat/mkfifo.c>mknod stat/mknod.c
mkdtemp | mkdir mkdirat | /misc/mkdtemp.c>__gen_tempname /sysdeps/posix/tempname.c>__mkdir mkdir.c | mkdir mkdirat | temp/mkdtemp.c>mkdir stat/mkdir.c
mkstemp mkostemp | openat | /misc/mkstemp.c>__gen_tempname /sysdeps/posix/tempname.c>__open {OPEN} | open openat | temp/mkstemp.c>__mkostemps temp/mkostemps.c>open {M_OPEN}
chmod | chmod fchmodat | chmod.c | chmod fchmodat | stat/chmod.c
fchmodat | fchmodat+fchmodat2 | fchmodat.c | fchmodat+fchmodat2 | stat/fchmodat.c -openat -close
chown | chown@64 fchownat@64 | chown.c | chown@64 fchownat@64 | unistd/chown.c -chown32
lchown | lchown@64 fchownat@64 | lchown.c | lchown@64 fchownat@64 | unistd/lchown.c -lchown32
utime | utimensat+utimensat_time64 | utime.c>__utimensat64_helper {UTIME} | utimensat+utimensat_time64 | time/utime.c>utimensat {M_UTIME}
utimes | utimensat+utimensat_time64 | utimes.c>__utimensat64_helper {UTIME} | utimensat+utimensat_time64 | linux/utimes.c>__futimesat stat/futimesat.c>utimensat {M_UTIME}
futimesat | utimensat+utimensat_time64 | futimesat.c>__utimensat64_helper {UTIME} | utimensat+utimensat_time64 | stat/futimesat.c>utimensat {M_UTIME}
futimes | utimensat+utimensat_time64 | futimes.c>__utimensat64_helper {UTIME} | utimensat+utimensat_time64 | legacy/futimes.c>futimens stat/futimens.c>utimensat {M_UTIME}
lutimes | utimensat+utimensat_time64 | lutimes.c>__utimensat64_helper {UTIME} | utimensat+utimensat_time64 | legacy/lutimes.c>utimensat {M_UTIME}
futimens | utimensat+utimensat_time64 | futimens.c>__utimensat64_helper {UTIME} | utimensat+utimensat_time64 | stat/futimens.c>utimensat {M_UTIME}
lockf | - | - | fcntl@64 | misc/lockf.c>fcntl fcntl/fcntl.c -fcntl64 -close
posix_fallocate | fallocate | posix_fallocate64.c | fallocate | fcntl/posix_fallocate.c
umount | umount2 | umount.c>__umount2 | umount2 | linux/mount.c -mount
setpgrp | setpgid | /posix/setpgrp.c>__setpgid | setpgid | unistd/setpgrp.c>setpgid unistd/setpgid.c
seteuid | setresuid32 setresuid | seteuid.c | setresuid32 setresuid | unistd/seteuid.c
setegid | setresgid32 setresgid | setegid.c | setresgid32 setresgid | unistd/setegid.c
getrlimit | prlimit64@64 | getrlimit64.c | prlimit64 | misc/getrlimit.c -getrlimit -ugetrlimit
setrlimit | prlimit64@64 | setrlimit64.c | prlimit64 | misc/setrlimit.c -setrlimit
nice | getpriority+setpriority | getpriority.c /sysdeps/posix/nice.c>__getpriority /sysdeps/posix/nice.c>__setpriority | getpriority+setpriority | unistd/nice.c>getpriority unistd/nice.c>setpriority misc/getpriority.c misc/setpriority.c
sigaction | rt_sigaction | /signal/sigaction.c>__libc_sigaction libc_sigaction.c | rt_sigaction | signal/sigaction.c -rt_sigprocmask
signal | rt_sigaction | /sysdeps/posix/signal.c>__sigaction /signal/sigaction.c>__libc_sigaction libc_sigaction.c | rt_sigaction | signal/signal.c>__sigaction signal/sigaction.c -rt_sigprocmask
sigprocmask | rt_sigprocmask | sigprocmask.c>__pthread_sigmask /nptl/pthread_sigmask.c | rt_sigprocmask | signal/sigprocmask.c>pthread_sigmask thread/pthread_sigmask.c
pthread_sigmask | rt_sigprocmask | /nptl/pthread_sigmask.c | rt_sigprocmask | thread/pthread_sigmask.c
sigsuspend | rt_sigsuspend | sigsuspend.c | rt_sigsuspend | signal/sigsuspend.c
sigpending | rt_sigpending | sigpending.c | rt_sigpending | signal/sigpending.c
sigtimedwait | rt_sigtimedwait+rt_sigtimedwait_time64 | sigtimedwait.c | rt_sigtimedwait+rt_sigtimedwait_time64 | signal/sigtimedwait.c
sigwaitinfo sigwait | rt_sigtimedwait+rt_sigtimedwait_time64 | sigwaitinfo.c>__sigtimedwait sigwait.c>__sigtimedwait sigtimedwait.c | rt_sigtimedwait+rt_sigtimedwait_time64 | signal/sigwaitinfo.c>sigtimedwait signal/sigwait.c>sigtimedwait signal/sigtimedwait.c
sigqueue | rt_sigqueueinfo | sigqueue.c | rt_sigqueueinfo | signal/sigqueue.c
raise | tgkill | /sysdeps/posix/raise.c>__pthread_kill {KILL} | tkill | signal/raise.c
pthread_kill | tgkill | {KILL} | tkill | thread/pthread_kill.c
abort | tgkill | /stdlib/abort.c>raise /sysdeps/posix/raise.c>__pthread_kill {KILL} | tkill | exit/abort.c>raise signal/raise.c
killpg | kill | /sysdeps/posix/killpg.c>__kill | kill | signal/killpg.c>kill signal/kill.c
semop | semtimedop@aarch64,loongarch64,riscv64,x86_64 | semop.c>__semtimedop semtimedop.c -semtimedop_time64 -ipc | - | -
mq_receive | mq_timedreceive+mq_timedreceive_time64 | mq_receive.c>__mq_timedreceive mq_timedreceive.c | mq_timedreceive+mq_timedreceive_time64 | mq/mq_receive.c>mq_timedreceive mq/mq_timedreceive.c
mq_send | mq_timedsend+mq_timedsend_time64 | mq_send.c>__mq_timedsend mq_timedsend.c | mq_timedsend+mq_timedsend_time64 | mq/mq_send.c>mq_timedsend mq/mq_timedsend.c
settimeofday | clock_settime+clock_settime64 | settimeofday.c>__clock_settime64 clock_settime.c | - | -
adjtime adjtimex ntp_adjtime | clock_adjtime+clock_adjtime64 | adjtime.c>__clock_adjtime64 adjtimex.c>__clock_adjtime64 clock_adjtime.c | - | -
sbrk | brk | /misc/sbrk.c>__brk brk.c>__brk_call brk_call.h | brk | linux/sbrk.c
tcgetattr | ioctl | tcgetattr.c | ioctl | termios/tcgetattr.c>ioctl misc/ioctl.c
tcsetattr | ioctl | tcsetattr.c | ioctl | termios/tcsetattr.c>ioctl misc/ioctl.c
isatty | ioctl | /sysdeps/posix/isatty.c>__tcgetattr tcgetattr.c | ioctl | unistd/isatty.c
gethostname | uname | /sysdeps/posix/gethostname.c>__uname | uname | unistd/gethostname.c>uname misc/uname.c
getentropy | getrandom | getentropy.c | getrandom | misc/getentropy.c>getrandom linux/getrandom.c
"""
