"""Tests the command `ksyscall` on real kernels: its counts, its clean-up, the problems that `doctor` reports, and a
libbpf tool that runs under the command."""

import json
import os
import re
import shutil
from dataclasses import dataclass, field

import pytest

from testing import build
from testing.guests import Job
from testing.targets import RUST_KERNELS
from testing.test_clients import clients


@dataclass(frozen=True, eq=False)
class Command(Job):
    # A client in c-tests/clients that runs under the command.
    client: str = ""
    seconds: int = field(default=12, kw_only=True)

    def prepare(self, machine, jobs):
        machine.put(build.command(), "/opt/bin/ksyscall")
        for name in ("busy", "interrupted", "known", "rights"):
            machine.put(build.c(f"cli/tests/{name}.c", build.BUILD / "tests" / name, "-pthread"), f"/cli/{name}")
        machine.put(build.i386("cli/tests/known32.c", build.BUILD / "tests/known32"), "/cli/known32")
        machine.put("/usr/bin/setpriv", "/cli/setpriv")
        machine.put("/usr/bin/setarch", "/cli/setarch")
        machine.put(bpftool(), "/cli/bpftool")
        machine.put(build.library() / "libksyscall.so.1", "/opt/lib/libksyscall.so.1")
        if self.client:
            # The guest has the C library of the oldest system that builds the tests, so use that system's libbpf.
            folder, soname = build.libbpf("bookworm")
            machine.put(clients("bookworm", loader="") / self.client, f"/cli/{self.client}")
            machine.put(with_static_libbpf(self.client), f"/cli/{self.client}-static")
            machine.put(next(folder.glob(f"usr/lib/*/{soname}")), f"/cli/lib/{soname}")


def with_static_libbpf(client):
    """Builds a client as most tools are built: with a static libbpf, so that preloading replaces only syscall()."""
    folder, _ = build.libbpf("bookworm")
    skeletons, out = clients("bookworm", loader=""), build.BUILD / "tests" / f"{client}-static"
    build.run("cc", "-std=gnu11", "-O1", "-isystem", folder / "usr/include", "-I", skeletons,
              f"c-tests/clients/{client}.c", "-o", out, *folder.glob("usr/lib/*/libbpf.a"), "-lelf", "-lz")
    return out


def bpftool():
    found = shutil.which("bpftool", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "bpftool is missing: apt install bpftool"
    return found


# await() repeats a command until it succeeds. If the background command ends first, await() prints that command's
# output. Each part of the output follows its name. Tests call left() at the start and at the end, so that other
# programs' probes do not count as leftovers.
FUNCTIONS = """part() { echo "=$1"; }
await() { until "$@"; do kill -0 $! 2>/dev/null || { part ended; cat /tmp/said; return; }; sleep 0.1; done; }
"""
PRELUDE = f"""export PATH=/opt/bin:$PATH
{FUNCTIONS}
status() {{ status=$?; part status; echo $status; }}
left() {{
    part probes; cat /sys/kernel/debug/kprobes/list
    part entries; cat /sys/kernel/tracing/kprobe_events
    part links; /cli/bpftool -j link show
    part programs; /cli/bpftool -j prog show
}}
"""


def jobs(name, command, *kernels, **options):
    return pytest.mark.parametrize("job", [
        Command(f"cli-{name}", kernel, PRELUDE + command, **options) for kernel in kernels or ["trixie"]], ids=str)


def parts(output):
    """Maps names to the parts of a job's output. If the job calls left() at the start and at the end, checks that the
    probes, entries, links and programs are the same."""
    found = re.findall(r"^=(\S+)\n(.*?)(?=^=|\Z)", output, re.M | re.S)
    for name in ("probes", "entries", "links", "programs"):
        states = [text for part, text in found if part == name]
        assert len(states) in (0, 2) and len(set(states)) < 2, (name, states)
    return dict(found)


@jobs("count", """left
ksyscall count umount2 getpgid exit_group --json -o /tmp/result -- /cli/known >/tmp/did; status
part did; cat /tmp/did
part result; cat /tmp/result
left
ksyscall count umount2 getpgid exit_group --probes --json -o /tmp/result -- /cli/known >/tmp/did 2>/tmp/said; ended=$?
part probed; cat /tmp/result /tmp/said
part ended; echo $ended
part locked; (ulimit -l 64; ksyscall count umount2 -o /tmp/result -- sh -c 'ulimit -l' 2>&1); head -c4 /tmp/result
""", "bullseye", *RUST_KERNELS)
def test_a_commands_calls_and_errors_are_counted(job, guest):
    said = parts(guest(job).output)
    # Before Linux 5.11, BPF maps count towards the limit on locked memory, in KiB.
    assert said["locked"] == "64\nCALL", said["locked"]
    assert said["status"] == "9\n", said
    did = re.findall(r"^did (\S+) (\S+) (\d+)$", said["did"], re.M)
    are_counted(json.loads(said["result"]), did, "tracepoints")
    if job.kernel == "bullseye":
        assert said["ended"] == "1\n"
        assert "loading the BPF program, which requires Linux 5.15 for probes" in said["probed"]
    else:
        assert said["ended"] == "9\n"
        are_counted(json.loads(said["probed"]), did, "probes")


def are_counted(result, did, engine):
    assert (result["engine"], result["exit_status"]) == (engine, 9)
    counted = {call["name"]: call for call in result["calls"]}
    for name in ("umount2", "getpgid", "exit_group"):
        expected = {errno: int(times) for call, errno, times in did if call == name}
        call = counted[name]
        assert call["calls"] == sum(expected.values()), call
        assert call["errnos"] == {errno: times for errno, times in expected.items() if errno != "-"}, call
        if name == "exit_group":
            # exit_group never returns, so no probe sees a return.
            assert call["returns"] is None
            continue
        assert call["errors"] == sum(call["errnos"].values())
        assert (call["returns"], call["missed_returns"], call["unfinished"]) == (call["calls"], 0, 0)
        assert sum(bucket["calls"] for bucket in call["histogram"]) == call["calls"]
        assert 0 < call["longest_ns"] <= call["total_ns"]
        assert max(bucket["below_ns"] for bucket in call["histogram"]) // 2 <= call["longest_ns"]


# In total, the program creates more threads than the kernel allows at a time, and more than the command can track at a
# time.
@jobs("busy", """most=$(cat /proc/sys/kernel/threads-max); echo 1500 >/proc/sys/kernel/threads-max
run() {
    part $1; shift; ksyscall count umount2 execve getpgid --json -o /tmp/result "$@" >/dev/null 2>&1; cat /tmp/result
}
run threads -- /cli/busy threads
run exec -- /cli/busy exec /cli/known
run maps -- /cli/busy maps
run probed --probes -- /cli/busy maps
echo $most >/proc/sys/kernel/threads-max
""", "bullseye", "trixie", "sid", limit=600)
def test_difficult_calls_are_counted_or_reported(job, guest):
    said = parts(guest(job).output)
    is_probed = job.kernel != "bullseye"
    results = {name: json.loads(text) for name, text in said.items() if name != "probed" or is_probed}
    calls = {name: {call["name"]: call for call in result["calls"]} for name, result in results.items()}
    for name, call, errnos in (("threads", "umount2", {"ENOENT": 2000}),
                               ("exec", "umount2", {"ENOENT": 7, "EINVAL": 7}),
                               ("maps", "getpgid", {"ESRCH": 100000})):
        counted, lost = calls[name][call], results[name]["not_counted"]
        # A preemptible kernel can interrupt a BPF program. Until the program continues, the kernel skips further runs
        # of the program on that CPU and counts them.
        if job.kernel == "sid" and lost["skipped_calls"] + lost["skipped_returns"]:
            assert counted["calls"] <= sum(errnos.values()) <= counted["calls"] + lost["skipped_calls"], results[name]
            continue
        assert not any(lost.values()), results[name]
        assert counted["calls"] == counted["returns"] == sum(errnos.values()), counted
        assert counted["errnos"] == errnos, counted
    # One call to execve starts the program, and one of the program's threads makes the other call.
    execve = calls["exec"]["execve"]
    if not any(results["exec"]["not_counted"].values()):
        assert (execve["calls"], execve["returns"], execve["unfinished"], execve["errors"]) == (2, 2, 0, 0), execve
    if skipped := results.get("probed", {}).get("not_counted", {}).get("skipped_calls"):
        assert calls["probed"]["getpgid"]["calls"] + skipped >= 100000
    elif "probed" in results and job.kernel == "sid":
        assert calls["probed"]["getpgid"]["calls"] == 100000, results["probed"]


@jobs("harmless", """look='ulimit -n; grep SigIgn /proc/self/status; echo $0'
part alone; (ulimit -S -n 256; trap "" HUP USR1 PIPE; sh -c "$look")
part counted; (ulimit -S -n 256; trap "" HUP USR1 PIPE
    ksyscall count prctl --probes -o /tmp/result -- sh -c "$look")
part result; ksyscall count prctl setrlimit -o /tmp/result -- /cli/known >/dev/null; cat /tmp/result
part probed; ksyscall count prctl setrlimit --probes -o /tmp/result -- /cli/known >/dev/null; cat /tmp/result
echo old >/tmp/kept; chmod 640 /tmp/kept; chown 7:8 /tmp/kept; ln -s kept /tmp/link
part kept; for wrong in frobnicate "umount2 -- /nowhere"; do ksyscall count -o /tmp/link $wrong 2>/dev/null; done
cat /tmp/link
part replaced; ksyscall count umount2 -o /tmp/link -- /cli/known >/dev/null
stat -c '%a %u %g %F' /tmp/kept /tmp/link; cat /tmp/link
echo old >/tmp/place; mount --bind /tmp/kept /tmp/place
part mounted; ksyscall count umount2 -o /tmp/place -- true; cat /tmp/kept; umount /tmp/place
part stdout; ksyscall count umount2 -o /dev/stdout -- true | cat; readlink /dev/stdout
part device; ksyscall count umount2 -o /dev/full -- true 2>&1; echo $?
part panics
for arguments in "-d 1e19" "-d 1e-9" "-d inf" "-i 1e19" "-i 1e-9 -d 0.01" "-T 4294967295" "-p 2147483647" \\
    "-e 4095" "%" "[" "***"; do
    ksyscall count umount2 $arguments -- true; ksyscall count umount2 -d 0.01 $arguments </dev/null
done >/tmp/out 2>&1
for to in ">/dev/full" "2>/dev/full" ">&-" "2>&-" ">&- 2>&-"; do
    for command in "count umount2 -- true" "count umount2 -d 0.01" "count umount2 -i 0.01 -d 0.1" "list" \\
        "resolve stat" "doctor" "completion bash" "--help" "frobnicate" "count" "run /nowhere"; do
        eval "ksyscall $command $to" >>/tmp/out 2>&1 </dev/null; echo "status $?" >>/tmp/out
    done
done
grep -E "panic|status (101|134)" /tmp/out
part controls; ksyscall count umount2 -- "$(printf '/no\\033[2Jwhere')" 2>&1
ksyscall count umount2 -o "$(printf '/no\\033/f')" 2>&1
part zombie; /cli/busy zombie >/tmp/zombie & pid=$!
await grep -q . /tmp/zombie; ksyscall count umount2 -p $(cat /tmp/zombie) 2>&1; kill $pid
""")
def test_counting_does_not_change_the_program(job, guest):
    said = parts(guest(job).output)
    assert said["alone"].startswith("256\n") and "SigIgn" in said["alone"]
    assert said["counted"] == said["alone"]
    # The program calls neither prctl nor setrlimit.
    for name in "result", "probed":
        for call in "prctl", "setrlimit":
            assert re.search(f"^{call} +0 ", said[name], re.M), said[name]
    assert said["kept"] == "old\n"
    assert said["replaced"].startswith("640 7 8 regular file\n777 0 0 symbolic link\nCALL"), said["replaced"]
    assert said["mounted"].startswith("CALL"), said["mounted"]
    assert said["stdout"].startswith("CALL") and said["stdout"].endswith("\nfd/1\n"), said["stdout"]
    assert "writing to /dev/full: No space left" in said["device"] and said["device"].endswith("\n1\n")
    assert said["panics"] == ""
    assert "\x1b" not in said["controls"] and "\\u{1b}[2J" in said["controls"], said["controls"]
    assert "has ended: it is a zombie; nothing was attached\n" in said["zombie"]


# PIDs inside a namespace differ from those in the kernel.
@jobs("namespace", f"""cat >/tmp/inside <<'end'
{FUNCTIONS}
part command; ksyscall count umount2 getpgid --json -o /tmp/result -- /cli/known >/dev/null 2>&1; cat /tmp/result
sh -c 'until [ -e /tmp/go-inside ]; do :; done; exec /cli/known' >/dev/null & pid=$!
ksyscall count umount2 --json -p $pid >/tmp/result 2>/tmp/said & count=$!
await grep -qs counting /tmp/said
touch /tmp/go-inside; wait $count
part process; cat /tmp/result
part everyone; ksyscall count poll ppoll --json -d 0.5 2>/dev/null
p=; for n in $(seq 64); do sleep 100 & p="$p -p $!"; done
part many; ksyscall count umount2 -d 0.1 $p 2>&1; ksyscall count umount2 -d 0.1 ${{p% -p *}} 2>&1
end
unshare -m -p -f sh -c 'mount -t proc proc /proc; . /tmp/inside' 2>&1
""", "bullseye", "trixie")
def test_processes_are_found_in_a_pid_namespace(job, guest):
    said = parts(guest(job).output)
    many = "ksyscall: at most 63 processes can be counted in a PID namespace\nksyscall: counting\nCALL "
    assert said.pop("many").startswith(many)
    said = {name: json.loads(text)["calls"] for name, text in said.items()}
    assert {call["name"]: call["calls"] for call in said["command"]} == {"umount2": 14, "getpgid": 23}
    assert [(call["calls"], call["errnos"]) for call in said["process"]] == [(7, {"ENOENT": 7})]
    # The command itself uses one of these calls to wait; that call must not be counted.
    assert {call["calls"] for call in said["everyone"]} == {0}


@jobs("options", """count() {
    part $1; shift; ksyscall count --json -o /tmp/result "$@" -- /cli/known >/dev/null 2>&1; cat /tmp/result
}
count failed -x umount2 getpgid
count errno -e EINVAL umount2 getpgid
count pattern 'umount*' 'getp[gp]id'
count class %file
count top -a -T 2 --sort errors
count processes -P umount2 -H
cat >/tmp/command <<'end'
shown() { cat /tmp/intervals 2>/dev/null | wc -l; }
/cli/known; before=$(shown); until [ $(shown) -ge $((before + 3)) ]; do sleep 0.1; done; /cli/known
end
part intervals
ksyscall count umount2 -i 0.3 --json -o /tmp/intervals -- sh /tmp/command >/dev/null
cat /tmp/intervals
mkdir /tmp/cgroups; mount -t cgroup2 none /tmp/cgroups; mkdir -p /tmp/cgroups/a/b
ksyscall count umount2 --cgroup /tmp/cgroups/a --json >/tmp/result 2>/tmp/said & pid=$!
await grep -qs counting /tmp/said
/cli/known >/dev/null; sh -c 'echo $$ >/tmp/cgroups/a/b/cgroup.procs; exec /cli/known' >/dev/null
kill -INT $pid; wait $pid
part cgroup; cat /tmp/result
part none; ksyscall count umount2 --cgroup /tmp 2>&1
""", "bullseye", "trixie")
def test_options_of_count(job, guest):
    said = parts(guest(job).output)
    intervals = [json.loads(line) for line in said.pop("intervals").splitlines()]
    none = said.pop("none")
    results = {name: json.loads(text) for name, text in said.items()}
    counted = {name: {call["name"]: call["calls"] for call in result["calls"]}
               for name, result in results.items() if name != "processes"}
    assert counted["failed"] == {"umount2": 14, "getpgid": 3}
    assert counted["errno"] == {"umount2": 7, "getpgid": 0}
    assert counted["pattern"].items() >= {"umount2": 14, "getpgid": 23, "getppid": 0}.items()
    assert counted["class"]["umount2"] == 14 and "getpgid" not in counted["class"]
    assert next(iter(counted["top"])) == "umount2" and len(counted["top"]) == 2
    # The processes are `known`, its child and its grandchild.
    processes = results["processes"]["processes"]
    assert [(it["command"], it["calls"]) for it in processes] == [("known", 7), ("known", 4), ("known", 3)]
    assert sum(call["calls"] for part in intervals for call in part["calls"]) == 28
    assert len(intervals) >= 4 and intervals[-1]["ended_by"] == "command" and intervals[0]["ended_by"] is None
    assert [call["longest_ns"] for part in intervals for call in part["calls"] if not call["calls"]].count(0) >= 1
    assert counted["cgroup"] == {"umount2": 14}
    assert "--cgroup requires the directory of a version 2 cgroup" in none


# The tested calls include some with a separate function for 32-bit callers, one whose function serves both kinds
# of callers (sched_yield), two 32-bit calls that share one function (fcntl and fcntl64), and some that exist only for
# 32-bit callers.
@jobs("callers", "left\n" + "".join(f"""ksyscall count umount2 getpgid fcntl fcntl64 sched_yield socketcall listen \\
    accept --callers {callers} --json -o /tmp/{callers} -- sh -c '/cli/known; exec /cli/known32' >/tmp/did 2>/tmp/said
part {callers}; cat /tmp/{callers} /tmp/said
""" for callers in ("compat", "all")) + """part did; cat /tmp/did
ksyscall count sched_yield fcntl --json -o /tmp/native -- sh -c '/cli/known; exec /cli/known32' >/dev/null
part native; cat /tmp/native
part alone; ksyscall count socketcall 2>&1; echo $?
part absent; ksyscall count --callers compat openat frobnicate 2>&1; echo $?
part probed; ksyscall count --callers compat --probes openat vm86 2>&1; echo $?
part table; ksyscall count --callers all umount2 socketcall -- /cli/known32 2>&1 >/dev/null
mount --bind /dev/null /proc/kallsyms
part no-list; ksyscall count --callers all umount2 -- /cli/known32 2>&1 >/dev/null; umount /proc/kallsyms
left
""", "bullseye", *RUST_KERNELS)
def test_callers_are_distinguished(job, guest):
    said = parts(guest(job).output)
    did = re.findall(r"^(did|did32) (\S+) (\S+) (\d+)$", said["did"], re.M)
    counted = {}
    for callers in ("native", "compat", "all"):
        calls = json.loads(said[callers])["calls"]
        counted[callers] = {(call["caller"], call["name"]): call for call in calls}
        assert len(counted[callers]) == len(calls)
        assert {caller for caller, _ in counted[callers]} == \
            ({"native", "compat"} if callers == "all" else {callers})
        for (caller, name), call in counted[callers].items():
            # fcntl64 does not exist for 64-bit callers, and the shell calls fcntl too.
            if (caller, name) == ("native", "fcntl"):
                continue
            mark = "did" if caller == "native" else "did32"
            expected = {}
            for which, its_name, errno, times in did:
                if (which, its_name) == (mark, name):
                    expected[errno] = expected.get(errno, 0) + int(times)
            assert call["calls"] == call["returns"] == sum(expected.values()), call
            assert call["errnos"] == {errno: n for errno, n in expected.items() if errno != "-"}, call
    # known32 calls listen and accept only through socketcall, and the command counts them under their own names.
    of_compat = {"umount2", "getpgid", "fcntl", "fcntl64", "sched_yield", "socketcall", "listen", "accept"}
    assert {name for _, name in counted["compat"]} == of_compat
    assert {name for caller, name in counted["all"] if caller == "native"} == of_compat - {"fcntl64", "socketcall"}
    assert "no system call socketcall" in said["alone"]
    assert said["alone"].endswith("; 32-bit processes have such a call: --callers compat counts it\n1\n")
    assert "frobnicate" in said["absent"] and said["absent"].endswith("\n1\n")
    if job.kernel != "bullseye":
        assert "vm86" in said["probed"] and said["probed"].endswith("\n1\n")
    assert re.search(r"^umount2 +compat +4 +4 ", said["table"], re.M), said["table"]
    assert re.search(r"^umount2 +native +0 +0 ", said["table"], re.M), said["table"]
    assert re.search(r"^umount2 +compat +4 +4 ", said["no-list"], re.M), said["no-list"]
    # The count for socketcall includes listen and accept, which are not counted separately here.
    assert re.search(r"^socketcall +compat +12 +12 ", said["table"], re.M), said["table"]
    assert "; 1 system call of native callers and 2 of 32-bit callers counted" in said["table"]


COUNTING = "await grep -qs counting /tmp/said\n"


@jobs("interrupt", f"""left
ksyscall count umount2 getpgid --json >/tmp/result 2>/tmp/said & pid=$!
{COUNTING}/cli/known >/dev/null
kill -INT $pid; wait $pid; status
part result; cat /tmp/result
left
""", "bookworm", "trixie")
def test_control_c_ends_it_with_the_result(job, guest):
    said = parts(guest(job).output)
    assert said["status"] == "0\n", said
    result = json.loads(said["result"])
    assert result["ended_by"] == "signal"
    calls = {call["name"]: (call["calls"], call["errnos"]) for call in result["calls"]}
    assert calls == {"umount2": (14, {"ENOENT": 7, "EINVAL": 7}), "getpgid": (23, {"ESRCH": 3})}


@jobs("attaching", """left
ksyscall count --all --probes >/tmp/result 2>/tmp/said & pid=$!
await grep -q . /sys/kernel/debug/kprobes/list
kill -TERM $pid; wait $pid; status
part said; cat /tmp/said /tmp/result
left
""")
def test_a_signal_while_attaching_leaves_nothing(job, guest):
    said = parts(guest(job).output)
    assert said["status"] == "143\n"
    assert said["said"] == "ksyscall: interrupted while attaching; nothing is left attached\n"


@jobs("command", """left
cat >/tmp/command <<'end'
echo $$ >/tmp/pid.new; mv /tmp/pid.new /tmp/pid; exec sleep 1000
end
ksyscall count umount2 -- sh /tmp/command 2>/tmp/said & pid=$!
await [ -e /tmp/pid ]
kill -INT $pid; wait $pid; status
part command; ls -d /proc/$(cat /tmp/pid)
part result; cat /tmp/said
left
part killed
ksyscall count umount2 -- sh -c 'kill -USR1 $$' 2>/dev/null; echo $?
part none
ksyscall count umount2 -- /nowhere/tool; echo $?
part time
ksyscall count umount2 -d 0.2 -- sleep 1000 2>/dev/null; echo $?
timeout -s KILL 30 ksyscall count umount2 -d 0.2 -- sh -c 'kill -STOP $$' 2>/dev/null; echo $?
part unread
(ksyscall count umount2 -- sh -c 'exit 7' 2>&1 >/dev/null; echo $? >/tmp/status) | true; cat /tmp/status
part stopped
(ksyscall count umount2 -i 0.1 -- sh /tmp/command 2>&1 >/dev/null; echo $? >/tmp/status) | true; cat /tmp/status
ls -d /proc/$(cat /tmp/pid)
""")
def test_the_end_of_a_command(job, guest):
    said = parts(guest(job).output)
    assert said["status"] == "130\n"
    assert "/proc/" not in said["command"].replace("ls: /proc/", "")
    assert re.search(r"^umount2 +0 ", said["result"], re.M), said["result"]
    assert said["killed"] == "138\n"
    assert said["none"] == "ksyscall: /nowhere/tool: no such file\n1\n"
    assert said["time"] == "0\n0\n"
    # Nothing reads the result.
    assert said["unread"] == "7\n"
    assert said["stopped"].startswith("0\nls: /proc/"), said["stopped"]


@jobs("wrong", """printf '#!/nowhere/sh\\n' >/tmp/script; chmod +x /tmp/script
part name; ksyscall count frobnicate 2>&1; echo $?
part probed; ksyscall count --probes frobnicate 2>&1; echo $?
part near; ksyscall count --callers all opnat read 2>&1; echo $?
part script; ksyscall count umount2 -- /tmp/script 2>&1; echo $?
part command; ksyscall count umount2 -- 2>&1; echo $?
part files; (ulimit -n 20; ksyscall count --probes openat read write close stat mmap munmap brk 2>&1); echo $?
part output; ksyscall count umount2 -o /none/file 2>&1; echo $?
part full; ksyscall list 2>&1 >/dev/full; echo $?
part pipe; ksyscall list --json 2>&1 | head -n 1
part forced; ksyscall run --force /tmp/script 2>&1; echo $?
left
mount -t tmpfs none /sys/kernel/btf
for engine in '' --probes; do
part "segment$engine"
ksyscall count $engine --callers all umount2 sched_yield -- sh -c '/cli/known; exec /cli/known32' 2>&1 >/dev/null
done
umount /sys/kernel/btf
left
""")
def test_errors_say_what_to_do(job, guest):
    said = parts(guest(job).output)
    for name, status, *words in [
            ("name", 1, "no system call frobnicate", "`ksyscall list`", "--probes"),
            ("probed", 1, "no system call frobnicate", "tried __x64_sys_frobnicate", "`ksyscall list`"),
            ("near", 1, "no system call opnat", "did you mean openat?"),
            ("script", 1, "/tmp/script cannot be executed", "the interpreter or loader that it names is missing"),
            ("command", 2, "a COMMAND is missing after `--`"),
            ("files", 1, "`ulimit -n`"),
            ("output", 1, "cannot write the result to /none/file", "No such file"),
            ("full", 1, "writing to standard output", "No space left"),
            ("forced", 126, "/tmp/script cannot be executed", "the interpreter or loader that it names is missing")]:
        assert all(word in said[name] for word in words), said[name]
        assert said[name].endswith(f"\n{status}\n"), said[name]
    assert said["pipe"] == "[\n"
    # Without BTF, the code segment determines the kind of caller: `int $0x80` in a 64-bit program counts as native.
    # The tracepoint engine looks up this call's number in the 64-bit table.
    for part, yields in (("segment", 6), ("segment--probes", 7)):
        for row in (r"umount2 +native +14", r"umount2 +compat +4", rf"sched_yield +native +{yields}",
                    r"sched_yield +compat +3"):
            assert re.search(f"^{row} ", said[part], re.M), said[part]


@jobs("process", """sh -c 'until [ -e /tmp/go ]; do :; done; exec /cli/known' >/dev/null & pid=$!
ksyscall count umount2 --json -p $pid >/tmp/result 2>/tmp/said & count=$!
""" + COUNTING + """umount /nothing
touch /tmp/go; wait $count; status
part result; cat /tmp/result
part thread; ksyscall count umount2 -p 4000000 2>&1; echo $?
""")
def test_a_processs_own_calls_are_counted_until_it_ends(job, guest):
    said = parts(guest(job).output)
    assert said["status"] == "0\n"
    result = json.loads(said["result"])
    assert result["ended_by"] == "processes"
    # Calls by the process's threads count; calls by its children and by other processes do not.
    assert [(call["calls"], call["errnos"]) for call in result["calls"]] == [(7, {"ENOENT": 7})]
    assert said["thread"] == "ksyscall: there is no process 4000000; nothing was attached\n1\n"


@jobs("all", """left
ksyscall count --all >/tmp/result 2>/tmp/said & pid=$!
""" + COUNTING + """/cli/known >/dev/null; kill -INT $pid; wait $pid; status
part result; cat /tmp/result
left
""", seconds=33, is_long=True)
def test_all_calls_are_counted(job, guest):
    said = parts(guest(job).output)
    assert said["status"] == "0\n", said
    assert re.search(r"^umount2 +14 +14 ", said["result"], re.M), said["result"]
    assert int(re.search(r"; (\d+) system calls counted", said["result"])[1]) > 330


@jobs("all-callers", """left
ksyscall count --all --callers all --json >/tmp/result 2>/tmp/said & pid=$!
""" + COUNTING + """/cli/known >/dev/null; /cli/known32 >/dev/null; kill -INT $pid; wait $pid; status
part result; cat /tmp/result
left
""", seconds=80, is_long=True)
def test_all_calls_of_all_callers_are_counted(job, guest):
    said = parts(guest(job).output)
    assert said["status"] == "0\n", said
    calls = json.loads(said["result"])["calls"]
    counted = {(call["caller"], call["name"]): call["calls"] for call in calls}
    assert len(counted) == len(calls)
    assert len([name for caller, name in counted if caller == "native"]) > 330
    assert len([name for caller, name in counted if caller == "compat"]) > 400
    expected = {("native", "umount2"): 14, ("native", "sched_yield"): 6, ("native", "getpgid"): 23,
                ("compat", "umount2"): 4, ("compat", "sched_yield"): 4, ("compat", "getpgid"): 8,
                ("compat", "socketcall"): 2, ("compat", "listen"): 7, ("compat", "accept"): 3,
                ("compat", "fcntl"): 5, ("compat", "fcntl64"): 6}
    assert {call: counted[call] for call in expected} == expected
    # The only other 32-bit calls are known32's write and exit.
    made = {call: times for call, times in counted.items() if call[0] == "compat" and times}
    assert made == {call: times for call, times in expected.items() if call[0] == "compat"} | {
        ("compat", "write"): 1, ("compat", "exit"): 1}


@jobs("no-32-bit-calls", """
part compat; ksyscall count --callers compat umount2 2>&1; echo $?
part all; ksyscall count --callers all umount2 sched_yield -- /cli/known 2>&1 >/dev/null; echo $?
""", append="ia32_emulation=0")
def test_a_kernel_without_32_bit_calls_is_reported(job, guest):
    said = parts(guest(job).output)
    why = "this kernel was booted without 32-bit system calls (ia32_emulation=0)"
    assert why in said["compat"] and said["compat"].endswith("\n1\n"), said
    assert said["all"].startswith(f"ksyscall: {why}; only native callers are counted\n"), said
    assert re.search(r"^umount2 +native +14 ", said["all"], re.M), said
    assert "2 system calls of native callers and 0 of 32-bit callers" in said["all"], said


# The table of these calls is too tall for the smaller screens but fits on the largest screen.
MANY = "umount2 getpgid read write close openat mmap munmap brk ioctl dup2 fcntl wait4 exit_group"


@jobs("terminal", f"""export TERM=linux
# Starts a count, and waits until the count has shown a table.
start() {{ rm -f /tmp/said; ksyscall count "$@" 2>/tmp/said & {COUNTING}shown; }}
shown() {{ before=$(written); await more; }}
more() {{ [ $(written) -gt $before ]; }}
written() {{ sed -n "s/^wchar: //p" /proc/$!/io; }}
end() {{ kill -INT $!; wait $!; }}
for size in "40 10" "200 50" "30 3"; do
    set -- $size; stty -F /dev/console cols $1 rows $2
    part $1x$2; start {MANY}; end; echo
done
stty -F /dev/console cols 80 rows 24
part said; ksyscall count --probes umount2 -d 1.5 >/dev/null
stty -F /dev/console cols 40 rows 10
part narrow; ksyscall count --probes umount2 getpgid read write close openat -d 1.5 >/dev/null
part piped; ksyscall count umount2 -d 1.5 2>&1 | cat
part dumb; TERM=dumb ksyscall count umount2 -d 1.5 2>&1
part continued; start umount2
kill -STOP $!; await grep -q "State:.T" /proc/$!/status; echo the shell; kill -CONT $!; shown; end
""")
def test_a_terminal_has_a_table_that_fits(job, guest):
    said = parts(guest(job).output)
    for columns, lines in ((40, 10), (200, 50), (30, 3)):
        # Each table overwrites the previous table. The last table is the complete result.
        *lives, result = re.split(r"(?:\x1b\[(\d+)F\x1b\[J)", said[f"{columns}x{lines}"])
        tables, ups = lives[::2], lives[1::2]
        assert tables, said
        for table, up in zip(tables, ups, strict=True):
            rows = table.splitlines()
            assert len(rows) == int(up) == min(lines - 1, 2 + len(MANY.split())), table
            assert max(map(len, rows)) <= columns, table
        rows = result.strip().splitlines()
        assert sorted(row.split()[0] for row in rows[1:-1]) == sorted(MANY.split())
        assert len(rows) == 2 + len(MANY.split())
        # The columns that do not fit are left out.
        assert max(map(len, rows[:-1])) <= columns, result
        assert ("LONGEST" in rows[0]) == (columns == 200), result
    for name in ("piped", "dumb"):
        assert "\x1b" not in said[name], said[name]
        assert said[name].count("CALLS") == 1, said[name]
    for name, columns in ("said", 80), ("narrow", 40):
        assert said[name].endswith("ksyscall: counting\n"), said[name]
        # The progress bar fits on one line.
        bars = re.findall("attaching [^\\r\\n]*", said[name])
        assert "█" in bars[-1] and max(map(len, bars)) <= columns, bars
    assert "the shell\nCALL" in said["continued"], said["continued"]


# 40 subshells sleep once each, all at the same time.
@jobs("missed", """cat >/tmp/command <<'end'
for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4; do sleep 1 & done; done; wait
end
for most in 4 1024; do
    part $most; ksyscall count clock_nanosleep --probes --max-active $most -- sh /tmp/command 2>&1
done
""")
def test_missed_returns_are_reported(job, guest):
    said = parts(guest(job).output)
    assert re.search(r"^clock_nanosleep +40 ", said["4"], re.M), said
    assert re.search(r"^clock_nanosleep: [1-9]\d* returns missed", said["4"], re.M), said
    assert re.search(r"^clock_nanosleep +40 ", said["1024"], re.M), said
    assert "missed" not in said["1024"]


@jobs("names", """part list; ksyscall list --json
part symbols; cut -d ' ' -f 3 /proc/kallsyms | grep sys_
part stat; ksyscall resolve stat
""", "bookworm", "trixie", "sid")
def test_each_listed_call_has_a_function_of_the_kernel(job, guest):
    said = parts(guest(job).output)
    calls = json.loads(said["list"])
    symbols = set(said["symbols"].split())
    assert len(calls) > 330
    assert {call["function"] for call in calls} <= symbols
    for call in calls:
        theirs, outcome = call["libbpf"]["function"], call["libbpf"]["outcome"]
        expected = ("ENOENT" if theirs not in symbols else
                    "the same" if theirs == call["function"] else "never runs")
        assert outcome == expected, call
    assert "function  __x64_sys_newstat" in said["stat"]
    assert "__x64_sys_stat: attaches, but no such call reaches this" in said["stat"]


# Runs a command as a user with only two capabilities.
TWO = """/cli/setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all,+perfmon,+bpf \
--ambient-caps=-all,+perfmon,+bpf --bounding-set=-all,+perfmon,+bpf"""


JUDGE = """doctor() { part $1; shift; "$@" ksyscall doctor --json; status; }
tried() { part $1; shift; "$@" ksyscall doctor --json --try; status; }
"""

# Some of these changes cannot be undone, and only root can undo the others.
DOCTOR = JUDGE + f"""tried good
umount /sys/kernel/debug/tracing 2>/dev/null; umount /sys/kernel/tracing /sys/kernel/debug
doctor no-tracefs
mount -t tmpfs none /sys/bus/event_source
tried no-way
mount -t tracefs tracefs /sys/kernel/tracing
tried by-tracefs
umount /sys/bus/event_source
mount -t debugfs debugfs /sys/kernel/debug
echo 3 >/proc/sys/kernel/perf_event_paranoid
tried paranoid {TWO}
echo 2 >/proc/sys/kernel/perf_event_paranoid
doctor nobody /cli/setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all
umount /sys/fs/bpf
doctor no-bpffs
echo 0 >/proc/sys/kernel/ftrace_enabled
tried no-ftrace
echo 1 >/proc/sys/kernel/ftrace_enabled
echo 0 >/sys/kernel/debug/kprobes/enabled
tried no-kprobes
echo 1 >/sys/kernel/debug/kprobes/enabled
mount -t bpf bpffs /sys/fs/bpf
mount -t securityfs none /sys/kernel/security; echo confidentiality >/sys/kernel/security/lockdown
tried locked
umount /sys/kernel/security
tried locked-unseen
"""


def judgements(output):
    """Parses `doctor`'s output into {name: {check: level}}, without passed checks."""
    said = {}
    for name, text, status in re.findall(r"^=(\S+)\n(\{.*?)^=status\n(\d+)\n", output, re.M | re.S):
        result = json.loads(text)
        levels = {check["name"]: check["level"] for check in result["checks"]}
        said[name] = {check: level for check, level in levels.items() if level != "ok"}
        # If doctor tried to attach, the outcome matches its prediction.
        assert result["can_attach"] == (int(status) == 0) == ("fail" not in levels.values()), (name, result)
        assert all(check["advice"] for check in result["checks"] if check["level"] != "ok"), (name, result)
        # doctor must not print the verifier's log, because nothing requested it.
        assert "verifier" not in text, text
    return said


# This test runs in a separate guest, because it removes that guest's mounts.
@jobs("doctor", DOCTOR, apart="doctor")
def test_doctor_says_what_is_missing(job, guest):
    said = judgements(guest(job).output)
    assert said == {
        "good": {},
        "no-tracefs": {"tracefs": "note"},
        "no-way": {"tracefs": "note", "kprobes": "fail", "try": "fail"},
        "by-tracefs": {},
        "paranoid": {"tracefs": "note", "permission": "fail", "try": "fail"},
        "nobody": {"tracefs": "note", "permission": "fail"},
        "no-bpffs": {"bpffs": "note"},
        "no-ftrace": {"bpffs": "note", "probes run": "fail"},
        "no-kprobes": {"bpffs": "note", "probes run": "fail", "try": "fail"},
        "locked": {"tracefs": "note", "permission": "fail", "lockdown": "fail", "try": "fail"},
        "locked-unseen": {"tracefs": "note", "permission": "fail", "lockdown": "note", "try": "fail"},
    }


# `doctor --try` leaves nothing behind, for any user and on any kernel. Each attempt opens an event. If the attempt
# uses tracefs, kprobe_events contains a line for the event while it exists.
TRY = JUDGE + f"""left
paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
tried root
tried old-name /cli/setarch --uname-2.6
tried namespace unshare -p -f --mount-proc
echo 2 >/proc/sys/kernel/perf_event_paranoid
tried two {TWO}
ulimit -l 64
tried locked-memory
ulimit -l 0
tried no-memory {TWO}
for n in 1 2 3 4; do part interrupt-$n; /cli/interrupted $n ksyscall doctor 2>&1; echo $?; done
echo $paranoid >/proc/sys/kernel/perf_event_paranoid
left
"""


@jobs("doctor-tries", TRY, "bullseye", "trixie")
def test_doctor_tries_and_leaves_nothing(job, guest):
    output = guest(job).output
    said = judgements(output)
    old = {"BPF links": "note"} if job.kernel == "bullseye" else {}
    limit = {"memlock": "note"} if old else {}
    assert said == {
        "root": old,
        "old-name": old,
        "namespace": old,
        "two": old | {"tracefs": "note"},
        "locked-memory": old | limit,
        "no-memory": {"tracefs": "note"} | ({"memlock": "fail", "try": "fail"} if old else {}),
    }
    ended = [text for name, text in parts(output).items() if name.startswith("interrupt-")]
    assert ended == ["ksyscall: interrupted; nothing is left attached\n130\n"] * 4


# Each entry changes a file and states whether executing the file then raises privileges. /cli/rights sets the permitted
# and the inheritable capabilities and the effective bit; 1 << 13 is CAP_NET_RAW. The user has no
# inheritable capabilities.
RIGHTS = {
    "none": ("", False),
    "raised": ("/cli/rights /tmp/rights/tool 0x2000 0 1", True),
    "permitted": ("/cli/rights /tmp/rights/tool 0x2000 0 0", True),
    "inheritable": ("/cli/rights /tmp/rights/tool 0 0x2000 0", False),
    "empty": ("/cli/rights /tmp/rights/tool 0 0 0", False),
    "set-user-id": ("chmod u+s /tmp/rights/tool", True),
    "set-group-id": ("chmod g+s /tmp/rights/tool", True),
}
USER = "/cli/setpriv --reuid 1000 --regid 1000 --clear-groups"
ROOT = "env"


@jobs("rights", "mkdir /tmp/rights\n" + "".join(f"""mount -t tmpfs -o {mode} tmpfs /tmp/rights
cp /cli/rights /tmp/rights/tool
{command or ":"} || echo failed
part {name}-{mode}-{who}; LD_PRELOAD=/opt/lib/libksyscall.so.1 {as_whom} /tmp/rights/tool 2>/dev/null
{as_whom} ksyscall doctor --json /tmp/rights/tool
umount /tmp/rights
""" for name, (command, _) in RIGHTS.items() for mode in ("suid", "nosuid")
    for who, as_whom in (("user", USER), ("root", ROOT))))
def test_doctor_knows_when_the_loader_ignores_preloading(job, guest):
    said = parts(guest(job).output)
    assert len(said) == 4 * len(RIGHTS)
    for name, (_, is_secure) in RIGHTS.items():
        for where in ("suid-user", "nosuid-user", "suid-root", "nosuid-root"):
            preloaded, _, result = said[f"{name}-{where}"].partition("\n")
            is_ignored = is_secure and where == "suid-user"
            assert preloaded == ("not preloaded" if is_ignored else "preloaded"), (name, where)
            tool = json.loads(result)["tool"]
            assert tool["reached"] == ("no" if is_ignored else "perhaps"), (name, where, tool)
            word = {"set-user-id": "set-user-ID", "set-group-id": "set-group-ID"}.get(name, "capabilities")
            assert (word in tool["found"]) == is_ignored, (name, where, tool)


@jobs("run", """cd /cli; export LD_LIBRARY_PATH=/cli/lib
part alone; ./proof
part doctor; ksyscall doctor ./proof
part run; ksyscall run ./proof; echo $?
part keep; ksyscall run --keep-event --force sh -c 'echo $KSYSCALL_KEEP_EVENT $LD_PRELOAD'
part more; ksyscall run --max-active 20 --callers all --force sh -c \\
    'echo $KSYSCALL_MAX_ACTIVE $KSYSCALL_CALLERS $LD_PRELOAD'
part reached; ksyscall run --max-active 20 --callers all ./proof
part static; ksyscall run busybox true 2>&1; echo $?
part forced; ksyscall run --force busybox true 2>&1; echo $?
part none; ksyscall run /nowhere/tool 2>&1; echo $?
part library; ksyscall run --library /none.so ./proof 2>&1; echo $?
part first; LD_PRELOAD=/none.so ksyscall run --force sh -c 'echo $LD_PRELOAD' 2>/dev/null
part static-libbpf; ./proof-static; ksyscall run ./proof-static 2>/dev/null; echo $?
part static-doctor; ksyscall doctor --json ./proof-static
mkdir -p "/tmp/my tools/bin" "/tmp/my tools/lib" /tmp/untrusted/tools/lib; cd /tmp/untrusted
cp /opt/bin/ksyscall "/tmp/my tools/bin"
cp /opt/lib/libksyscall.so.1 "/tmp/my tools/lib"; cp /opt/lib/libksyscall.so.1 tools/lib
part split; "/tmp/my tools/bin/ksyscall" run --force /cli/rights 2>&1; echo $?
""", "bookworm", "trixie", client="proof")
def test_a_tools_programs_run_under_it(job, guest):
    said = parts(guest(job).output)
    assert said["alone"] == "stat was seen 0 times of 3\n"
    assert said["run"] == "stat was seen 3 times of 3\n0\n"
    assert "Preloading reaches ./proof: linked with /cli/lib/libbpf.so.1" in said["doctor"]
    assert said["keep"].split() == ["1", "/opt/lib/libksyscall.so.1"]
    assert said["more"].split() == ["20", "all", "/opt/lib/libksyscall.so.1"]
    assert said["reached"] == "stat was seen 3 times of 3\n"
    assert said["static"].endswith("\n125\n")
    assert "preloading does not reach /usr/bin/busybox: a static program" in said["static"]
    assert said["forced"] == "0\n"
    assert said["none"].endswith("\n127\n")
    assert "/none.so" in said["library"]
    assert said["library"].endswith("\n125\n")
    assert said["first"] == "/none.so:/opt/lib/libksyscall.so.1\n"
    # The result matches the prediction that `doctor` made from the library's file.
    alone = "stat was seen 0 times of 3\n"
    reached = json.loads(said["static-doctor"])["tool"]["reached"]
    assert said["static-libbpf"] == alone + {"probes": "stat was seen 3 times of 3\n0\n", "no": "125\n"}[reached]
    assert said["split"].endswith("\n125\n"), said["split"]
    assert "/tmp/my tools/lib/libksyscall.so.1: a library with a space" in said["split"]
