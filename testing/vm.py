"""Runs commands as root on a stock Debian kernel under QEMU, without requiring root on the host.

The guest runs from an initramfs that contains busybox and the files that a test requires. The guest has no disks,
modules or network. The result of each command is its output, its exit status and the kernel's complaints. A run always
ends: when the commands end, when the guest goes down, or at a time limit.

    python3 -m testing.vm [OPTION]... -- COMMAND [ARG]...

runs one command, prints its output and exits with its status. Status 124 means that the command reached the
time limit. Status 125 means that a file is missing, or that QEMU, the guest's kernel or a download failed.
"""

import argparse
import contextlib
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from testing import packages
from testing.initramfs import Image, Missing
from testing.packages import Unavailable, say
from testing.targets import ARCHITECTURES, SUITES

# Retry a boot that ends before any command runs: under emulation about one boot in 100 panics. No command has run by
# then, so this does not hide test failures.
BOOTS = 3
# The number of the console's lines in a failure's message, and the seconds in which a guest that has reached a time
# limit must say what it waits for.
LINES, EXPLAIN = 60, 60
BUG = re.compile(r"\[#[0-9]+\]|\bBUG\b|Oops")
# QEMU 7.2's emulation may translate code while another processor modifies it. When the kernel patches its own code (for
# static keys and kprobes), it temporarily writes an int3 there. A processor may then execute a stale copy of that
# int3. If QEMU emulates all processors in one thread, this cannot happen, so the command runs again in that mode.
# Toggling /proc/sys/kernel/sched_schedstats in a loop reproduces the bug in seconds.
EMULATORS_BUG = re.compile(r"\bint3: [0-9a-f]+ \[#")

INIT = r"""#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root TERM=dumb
/bin/busybox --install -s /usr/bin 2>/dev/null
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpffs /sys/fs/bpf
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
ip link set lo up
# Before Linux 5.11, BPF maps and programs count as locked memory.
ulimit -l unlimited
# The output must arrive byte for byte: no CR before an LF.
stty -F /dev/console -opost
read -r nonce </vm/nonce
rm /vm/nonce
# Waits for a line on the console, which the host writes at the time limit. Then prints what each process waits for.
explain() {
    head -n 1 </dev/console >/dev/null
    echo "The processes, with the functions of the kernel in which they wait:"
    for process in $(ls /proc | grep -x '[0-9]*'); do
        # Kernel threads have no command line. This process and its children belong to the session of process 1.
        words=$(tr '\0' ' ' 2>/dev/null <"/proc/$process/cmdline")
        [ "$words" ] && [ "$(cut -d ' ' -f 6 "/proc/$process/stat")" != 0 ] || continue
        echo "$process $words"
        for thread in "/proc/$process/task/"*; do
            echo "  ${thread##*/} $(grep State "$thread/status")" $(sed 's/.* //' "$thread/stack")
        done
    done
    poweroff -f
}
for command in /vm/command.*; do
    # Each command has an empty /tmp, so that it cannot take a previous command's file for its own.
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    start="vm: $command starts"
    echo "$start" >/dev/kmsg
    explain &
    echo "@$nonce begin@"
    setsid sh "$command"
    status=$?
    # Kill leftover processes, which could write between the markers.
    kill -KILL -1
    echo "@$nonce end $status@"
    # Print the kernel's complaints since the command started, or all of them if the log has lost the start marker.
    dmesg >/tmp/vm-log
    grep -qF "$start" /tmp/vm-log && sed -i "1,\\@$start@d" /tmp/vm-log
    grep -E -A 30 '\[#[0-9]+\]|\bBUG\b|Oops|WARNING:|INFO: ' /tmp/vm-log | head -n 200
    umount -l /tmp
    echo "@$nonce done@"
done
poweroff -f
"""


class Failure(Exception):
    """Raised if the guest returned no result. `status` is 124 if the time limit was reached, otherwise 125."""

    def __init__(self, text, status=125, is_booted=False, is_emulators=False):
        super().__init__(text)
        self.status, self.is_booted, self.is_emulators = status, is_booted, is_emulators


@dataclass
class Outcome:
    """A command's output, its exit status and the kernel's complaints."""

    output: str
    status: int
    trouble: str

    @property
    def is_bug(self):
        return bool(BUG.search(self.trouble))

    @property
    def is_emulators(self):
        return bool(EMULATORS_BUG.search(self.trouble))


class Console:
    """The guest's console. Marker lines, which contain a random word, show where each command's output starts and
    ends."""

    def __init__(self, nonce):
        self.nonce, self.text = nonce, b""
        self.begin, self.end, self.done = (f"@{nonce} {mark}".encode() for mark in ("begin@\n", "end ", "done@"))

    def feed(self, data):
        """Parses new console output; yields an Outcome for each completed command."""
        self.text += data
        while self.done in self.text:
            said, _, self.text = self.text.partition(self.done)
            output, _, rest = said.partition(self.begin)[2].partition(self.end)
            status, _, trouble = rest.partition(b"@\n")
            yield Outcome(output.decode(errors="replace"), int(status),
                          trouble.replace(b"\0", b"").decode(errors="replace").strip("\n"))

    @property
    def has_begun(self):
        return self.begin in self.text

    @property
    def is_emulators(self):
        return bool(EMULATORS_BUG.search(self.text.decode(errors="replace")))

    def last_lines(self):
        text = re.sub(r"[^\t\n -~]", "", self.text.decode(errors="replace"))
        lines = [line for line in text.splitlines() if not line.startswith(f"@{self.nonce}")]
        return "".join(f"\n  | {line}" for line in lines[-LINES:])


class Clock:
    """Counts the seconds during which a process is not waiting for a processor, so that time limits do not
    depend on how busy the machine is."""

    def __init__(self, pid):
        self.threads, self.waited = Path(f"/proc/{pid}/task"), 0

    def now(self):
        # The wait time of the thread that waited longest: the second field of schedstat (see
        # Documentation/scheduler/sched-stats.rst). The process may have ended.
        with contextlib.suppress(OSError):
            for thread in self.threads.iterdir():
                self.waited = max(self.waited, int((thread / "schedstat").read_text().split()[1]))
        return time.monotonic() - self.waited / 1e9


class Machine:
    """A guest that runs commands one after the other. Used as a context manager, it ends QEMU and
    removes all files on exit."""

    def __init__(self, suite="trixie", arch="amd64", accel=None, append="", options=(), kernel=None):
        # `append` contains kernel parameters, and `options` contains QEMU options. `kernel` replaces the suite's image.
        self.suite, self.arch, self.append, self.options = suite, ARCHITECTURES[arch], append, options
        self.image, self.folders, self.roots, self.kernel = Image(), [], [], kernel
        self.child = self.folder = None
        # The commands for which the image was written, and the random word in the markers around their output.
        self.written, self.nonce = None, secrets.token_hex(16)
        self.is_stopped = False
        self.accel = accel or os.environ.get("KSYSCALL_ACCEL")

    def put(self, source, path):
        self.image.put(source, path)

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ksyscall-vm."))
        return self

    def __exit__(self, *error):
        """Ends QEMU and removes the machine's files. May also be called directly, without arguments."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self):
        """Ends QEMU, even while another thread waits for QEMU."""
        self.is_stopped = True
        self._end_qemu()

    def _end_qemu(self):
        if self.child:
            self.child.kill()
            self.child.stdin.close()
            self.child.wait()

    def run(self, commands, limit=300):
        """Yields an Outcome for each command as soon as that command ends. `limit` is a number of seconds. The boot
        and the first command share one limit, and each further command has its own. If `limit` is a list, it
        contains one limit per command. Time that the guest spends waiting for a host processor does not count."""
        commands = list(commands)
        limits = list(limit) if isinstance(limit, list) else [limit] * len(commands)
        arch = self.arch
        for tool, package in ((arch.qemu.split()[0], arch.qemu_package), ("readelf", "binutils")):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is missing: apt install {package}")
        kernel = self.kernel or packages.kernel(self.suite, arch.name)
        accel = self.accel or ("kvm" if kvm_works(self.suite, arch) else "tcg")
        while commands:
            if self.written != commands:
                self.write_image(commands)
            try:
                for outcome in self._boot(kernel, accel, limits):
                    if outcome.is_emulators and accel == "tcg":
                        self._end_qemu()
                        raise Failure(outcome.trouble, is_emulators=True)
                    del commands[0], limits[0]
                    yield outcome
            except Failure as error:
                if not error.is_emulators or accel != "tcg":
                    if not error.is_booted:
                        error.args = (f"{error}\nIf {kernel} is damaged, remove it.",)
                    raise
                accel = "tcg,thread=single"
                say("the emulator ran code that the kernel was changing; once more, with one thread. It went down"
                    f" with:\n{error}")

    def _boot(self, kernel, accel, limits):
        """Boots the guest, and reboots it if it goes down before the first command (at most BOOTS boots). Yields an
        Outcome for each command."""
        arch = self.arch
        cpu = "host" if accel == "kvm" else arch.cpu
        # rcu_expedited makes detaching fast. nosoftlockup disables the watchdog, because a busy host stalls the
        # guest. quiet and loglevel keep all kernel messages except panics off the console; a panic ends the guest.
        qemu = [*arch.qemu.split(), "-accel", accel, *(["-cpu", cpu] if cpu else []),
                "-smp", "2", "-m", "2048", "-nodefaults", "-display", "none", "-no-reboot",
                "-serial", "stdio", "-kernel", str(kernel),
                "-initrd", f"{self.folder}/initrd", "-append",
                f"console={arch.console} quiet loglevel=1 panic=-1 rcupdate.rcu_expedited=1 nosoftlockup"
                f" rdinit=/init {self.append}", *self.options]
        for boot in range(1, BOOTS + 1):
            console = Console(self.nonce)
            # Pass a copy, because completed entries are removed from the list while the guest runs.
            ended = yield from self._follow(qemu, console, tuple(limits))
            if ended:
                return
            if boot == BOOTS:
                raise Failure(f"the guest went down before the command, {boot} times; the console's last lines:"
                              + console.last_lines())
            say("the guest went down before the command; booting it again. The console's last lines:"
                + console.last_lines())

    def write_image(self, commands):
        """Writes the guest's current files to its image. run() calls this function if the image contains
        other commands."""
        # All kernels of an architecture use the same busybox.
        busybox = packages.unpack(self.arch.oldest, self.arch.name, "busybox-static")
        image = self.image
        image.put(next(f for f in (busybox / "usr/bin/busybox", busybox / "bin/busybox") if f.exists()),
                  "/usr/bin/busybox")
        image.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        image.text("etc/group", "root:x:0:\n")
        image.text("etc/hosts", "127.0.0.1 localhost\n")
        image.add_libraries(self.folders, self.roots)
        image.text("vm/nonce", f"{self.nonce}\n")
        image.remove("vm/command.")
        for number, command in enumerate(commands):
            image.text(f"vm/command.{number:05}", command + "\n")
        image.text("init", INIT, 0o755)
        image.write(self.folder / "initrd")
        self.written = list(commands)

    def _follow(self, qemu, console, limits):
        """Boots once. Returns False if the guest went down before any command ran."""
        path = self.folder / "console"
        with open(path, "wb") as screen, open(self.folder / "qemu.log", "wb") as log:
            # Kill QEMU even if this process dies of SIGKILL.
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *qemu], stdin=subprocess.PIPE,
                                          stdout=screen, stderr=log, start_new_session=True, bufsize=0)
        if self.is_stopped:
            self.child.kill()
        complete, count, clock = 0, len(limits), Clock(self.child.pid)
        end = clock.now() + limits[0]
        with open(path, "rb") as file:
            while True:
                # Check this first, so that the read below sees everything that QEMU wrote.
                alive = self.child.poll() is None
                late = clock.now() > end
                for outcome in console.feed(file.read()):
                    complete += 1
                    yield outcome
                    if complete == count:
                        self._end_qemu()
                        return True
                    end = clock.now() + limits[complete]
                booted = complete > 0 or console.has_begun
                if not alive:
                    if self.child.returncode:
                        said = (self.folder / "qemu.log").read_text(errors="replace")
                        raise Failure(f"{qemu[0]} failed:\n{said}", is_booted=booted)
                    if not booted:
                        return False
                    raise Failure("the guest went down before the command's end; the console's last lines:"
                                  + console.last_lines(), is_booted=True, is_emulators=console.is_emulators)
                if late and clock.now() > end:
                    if booted:
                        self._ask_what_it_waits_for()
                        console.text += file.read()
                    self._end_qemu()
                    at = "" if booted else "; the guest has not come to the command yet"
                    raise Failure(f"no result after {limits[complete]} s{at}; the console's last lines:"
                                  + console.last_lines(), 124, booted)
                time.sleep(0.05)

    def _ask_what_it_waits_for(self):
        """Lets the guest print what its processes wait for; the guest then goes down."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.child.stdin.write(b"\n")
            self.child.wait(EXPLAIN)


def kvm_works(suite, arch):
    """Returns whether KVM works. KVM may be present but hang, so a trial boot of the same kernel must succeed
    first. The result is cached until this machine reboots."""
    if os.uname().machine != arch.host or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = packages.CACHE / "kvm" / f"{boot}-{suite}-{arch.name}"
    with packages.locked(Path(f"{verdict}.lock")):
        if not verdict.exists() or not verdict.read_text():
            say("trying whether KVM works here (once)")
            try:
                with Machine(suite, arch.name, accel="kvm") as machine:
                    works = [outcome.status for outcome in machine.run(["exec true"], limit=10)] == [0]
            except Failure:
                works = False
            verdict.write_text("yes\n" if works else "no\n")
        return verdict.read_text() == "yes\n"


def end_by_signals(handler=lambda number, frame: sys.exit(128 + number)):
    """Turns fatal signals into an exit, so that this process cleans up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def main():
    parser = argparse.ArgumentParser(prog="testing.vm", description=__doc__.splitlines()[0])
    parser.add_argument("--suite", choices=SUITES, default="trixie", help="Debian's, of the kernel")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="amd64")
    parser.add_argument("--file", action="append", default=[], metavar="SRC[:DEST]",
                        help="a file or folder for the guest, with the shared libraries that it needs;"
                        " DEST is SRC itself, or /<name> for a relative SRC")
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS")
    parser.add_argument("--append", default="", metavar="ARGS", help="more kernel arguments")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    def put(machine):
        for file in arguments.file:
            source, _, path = file.partition(":")
            machine.put(source, path or (source if source.startswith("/") else f"/{Path(source).name}"))
    machine = Machine(arguments.suite, arguments.arch, append=arguments.append)
    return run_one(machine, put, "exec " + shlex.join(arguments.command), arguments.timeout)


def run_one(machine, put, command, limit):
    """Copies files to a machine with put(), runs a command there and prints its output. Returns the command's exit
    status."""
    end_by_signals()
    try:
        with machine:
            put(machine)
            [outcome] = machine.run([command], limit)
    except KeyboardInterrupt:
        return 130
    except (Failure, Missing, Unavailable) as error:
        print(f"testing.vm: {error}", file=sys.stderr)
        return getattr(error, "status", 125)
    print(outcome.output, end="", flush=True)
    if outcome.trouble:
        say(f"the kernel complained while the command ran:\n{outcome.trouble}")
    if outcome.is_bug:
        say(f"that is a kernel bug; the command's own exit status was {outcome.status}")
        return 125
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
