"""The command `ksyscall`: its own tests, and on real kernels what it counts, that it leaves
nothing behind, what it says is missing, and a libbpf tool under it."""

import json
import re
import subprocess
from dataclasses import dataclass

import pytest

from testing import build, results
from testing.guests import Job
from testing.targets import RUST_KERNELS
from testing.test_clients import clients
from testing.vm import Machine


def test_command_without_a_kernel(judge):
    done = subprocess.run(["cargo", "test", "--locked", "--quiet", "-p", "ksyscall-cli", "-p", "ksyscall",
                           "--features", "ksyscall/all-tables", "--bins", "--lib", "--", "--format=pretty"],
                          cwd=build.ROOT, capture_output=True, text=True)
    judge(results.libtest(done.stdout, done.returncode) if "test result" in done.stdout
          else results.libtest(done.stdout + done.stderr, done.returncode or 1))


@dataclass(frozen=True, eq=False)
class Command(Job):
    # A client of c-tests/clients that is run under it.
    client: str = ""

    def prepare(self, machine, jobs):
        machine.put(build.command(), "/opt/bin/ksyscall")
        machine.put(known(), "/cli/known")
        machine.put("/usr/bin/setpriv", "/cli/setpriv")
        machine.put(bpftool(), "/cli/bpftool")
        for library in ("libksyscall.so.1", "libksyscall-ext.so.1"):
            machine.put(build.library() / library, f"/opt/lib/{library}")
        if self.client:
            # That of the oldest system that the tests run on, whose C library the guest has.
            folder, soname = build.libbpf("bookworm")
            machine.put(clients("bookworm", loader="") / self.client, f"/cli/{self.client}")
            machine.put(next(folder.glob(f"usr/lib/*/{soname}")), f"/cli/lib/{soname}")


def known():
    out = build.BUILD / "tests/known"
    out.parent.mkdir(parents=True, exist_ok=True)
    build.run("cc", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "cli/tests/known.c", "-o", out)
    return out


def bpftool():
    found = subprocess.run(["sh", "-c", "PATH=$PATH:/usr/sbin command -v bpftool"], capture_output=True, text=True)
    assert found.returncode == 0, "bpftool is missing: apt install bpftool"
    return found.stdout.strip()


# Each part of the output stands behind its name. Probes that are there before, of whomever,
# are no fault of the command's.
PRELUDE = """export PATH=/opt/bin:$PATH
part() { echo "=$1"; }
status() { status=$?; part status; echo $status; }
left() {
    part probes; cat /sys/kernel/debug/kprobes/list
    part entries; cat /sys/kernel/tracing/kprobe_events
    part links; /cli/bpftool -j link show
    part programs; /cli/bpftool -j prog show
}
"""


def jobs(name, command, *kernels, **options):
    return pytest.mark.parametrize("job", [
        Command(f"cli-{name}", kernel, PRELUDE + command, **options) for kernel in kernels or ["trixie"]], ids=str)


def parts(output):
    """[(name, text)] of what a job printed."""
    return re.findall(r"^=(\S+)\n(.*?)(?=^=|\Z)", output, re.M | re.S)


def nothing_is_left(parts):
    """That the probes, entries, links and programs before and after are the same."""
    left = {name: [text for part, text in parts if part == name]
            for name in ("probes", "entries", "links", "programs")}
    for name, states in left.items():
        assert len(states) == 2, (name, states)
        assert states[0] == states[1], name


@jobs("count", """left
ksyscall count umount2 getpgid exit_group --json -o /tmp/result -- /cli/known >/tmp/did; status
part did; cat /tmp/did
part result; cat /tmp/result
left
""", *RUST_KERNELS)
def test_a_commands_calls_and_errors_are_counted(job, guest):
    found = parts(guest(job).output)
    said = dict(found)
    assert said["status"] == "9\n", said
    did = re.findall(r"^did (\S+) (\S+) (\d+)$", said["did"], re.M)
    result = json.loads(said["result"])
    assert result["exit_status"] == 9
    counted = {call["name"]: call for call in result["calls"]}
    for name in ("umount2", "getpgid", "exit_group"):
        expected = {errno: int(times) for call, errno, times in did if call == name}
        call = counted[name]
        assert call["calls"] == sum(expected.values()), call
        assert call["errnos"] == {errno: times for errno, times in expected.items() if errno != "-"}, call
        if name == "exit_group":
            # Which nobody sees return.
            assert call["returns"] is None
            continue
        assert call["errors"] == sum(call["errnos"].values())
        assert (call["returns"], call["missed_returns"], call["unfinished"]) == (call["calls"], 0, 0)
        assert sum(bucket["calls"] for bucket in call["histogram"]) == call["calls"]
        assert 0 < call["longest_ns"] <= call["total_ns"]
        assert max(bucket["below_ns"] for bucket in call["histogram"]) // 2 <= call["longest_ns"]
    nothing_is_left(found)


COUNTING = "until grep -qs counting /tmp/said; do sleep 0.1; done\n"


@jobs("interrupt", f"""left
ksyscall count umount2 getpgid --json >/tmp/result 2>/tmp/said & pid=$!
{COUNTING}/cli/known >/dev/null
kill -INT $pid; wait $pid; status
part result; cat /tmp/result
left
""", "bookworm", "trixie")
def test_control_c_ends_it_with_the_result(job, guest):
    found = parts(guest(job).output)
    said = dict(found)
    assert said["status"] == "0\n", said
    result = json.loads(said["result"])
    assert result["ended_by"] == "signal"
    calls = {call["name"]: (call["calls"], call["errnos"]) for call in result["calls"]}
    assert calls == {"umount2": (14, {"ENOENT": 7, "EINVAL": 7}), "getpgid": (23, {"ESRCH": 3})}
    nothing_is_left(found)


@jobs("attaching", """left
ksyscall count --all >/tmp/result 2>/tmp/said & pid=$!
until grep -q . /sys/kernel/debug/kprobes/list; do sleep 0.1; done
kill -TERM $pid; wait $pid; status
part said; cat /tmp/said /tmp/result
left
""")
def test_a_signal_while_attaching_leaves_nothing(job, guest):
    found = parts(guest(job).output)
    said = dict(found)
    assert said["status"] == "143\n"
    assert said["said"] == "ksyscall: interrupted while attaching; nothing is left attached\n"
    nothing_is_left(found)


@jobs("command", """left
cat >/tmp/command <<'end'
echo $$ >/tmp/pid.new; mv /tmp/pid.new /tmp/pid; exec sleep 1000
end
ksyscall count umount2 -- sh /tmp/command 2>/tmp/result & pid=$!
until [ -e /tmp/pid ]; do sleep 0.1; done
kill -INT $pid; wait $pid; status
part command; ls -d /proc/$(cat /tmp/pid)
part result; cat /tmp/result
left
part killed
ksyscall count umount2 -- sh -c 'kill -USR1 $$' 2>/dev/null; echo $?
part none
ksyscall count umount2 -- /nowhere/tool; echo $?
part time
ksyscall count umount2 -d 0.2 -- sleep 1000 2>/dev/null; echo $?
""")
def test_the_end_of_a_command(job, guest):
    found = parts(guest(job).output)
    said = dict(found)
    assert said["status"] == "130\n"
    assert "/proc/" not in said["command"].replace("ls: /proc/", "")
    assert re.search(r"^umount2 +0 ", said["result"], re.M), said["result"]
    assert said["killed"] == "138\n"
    assert said["none"] == "ksyscall: /nowhere/tool: there is no such file\n1\n"
    assert said["time"] == "0\n"
    nothing_is_left(found)


@jobs("process", """sh -c 'until [ -e /tmp/go ]; do :; done; exec /cli/known' >/dev/null & pid=$!
ksyscall count umount2 --json -p $pid >/tmp/result 2>/tmp/said & count=$!
""" + COUNTING + """umount /nothing
touch /tmp/go; wait $count; status
part result; cat /tmp/result
part thread; ksyscall count umount2 -p 4000000 2>&1; echo $?
""")
def test_a_processs_own_calls_are_counted_until_it_ends(job, guest):
    said = dict(parts(guest(job).output))
    assert said["status"] == "0\n"
    result = json.loads(said["result"])
    assert result["ended_by"] == "processes"
    # Those of its thread are, and those of its children and of others are not.
    assert [(call["calls"], call["errnos"]) for call in result["calls"]] == [(7, {"ENOENT": 7})]
    assert said["thread"] == "ksyscall: there is no process 4000000; nothing was attached\n1\n"


@jobs("all", """left
ksyscall count --all -d 3 >/tmp/result 2>/tmp/said & pid=$!
""" + COUNTING + """/cli/known >/dev/null; wait $pid; status
part result; cat /tmp/result
left
""", limit=900)
def test_all_calls_are_counted(job, guest):
    found = parts(guest(job).output)
    said = dict(found)
    assert said["status"] == "0\n", said
    assert re.search(r"^umount2 +14 +14 ", said["result"], re.M), said["result"]
    assert int(re.search(r"; (\d+) system calls counted", said["result"])[1]) > 330
    nothing_is_left(found)


# Each of 40 shells sleeps once, all at a time.
@jobs("missed", """cat >/tmp/command <<'end'
for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4; do sleep 1 & done; done; wait
end
for most in 4 1024; do
    part $most; ksyscall count clock_nanosleep --max-active $most -- sh /tmp/command 2>&1
done
""")
def test_returns_that_are_missed_are_told(job, guest):
    said = dict(parts(guest(job).output))
    assert re.search(r"^clock_nanosleep +40 ", said["4"], re.M), said
    assert re.search(r"^clock_nanosleep: [1-9]\d* returns missed", said["4"], re.M), said
    assert re.search(r"^clock_nanosleep +40 ", said["1024"], re.M), said
    assert "missed" not in said["1024"]


@jobs("names", """part list; ksyscall list --json
part symbols; cut -d ' ' -f 3 /proc/kallsyms | grep sys_
part stat; ksyscall resolve stat
""", "bookworm", "trixie", "sid")
def test_each_call_of_the_list_has_a_function_that_the_kernel_has(job, guest):
    said = dict(parts(guest(job).output))
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


# A user who has two capabilities and no more.
TWO = """/cli/setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all,+perfmon,+bpf \
--ambient-caps=-all,+perfmon,+bpf --bounding-set=-all,+perfmon,+bpf"""


DOCTOR = f"""doctor() {{ part $1; shift; "$@" ksyscall doctor --json; status; }}
tried() {{ part $1; shift; "$@" ksyscall doctor --json --try; status; }}
tried good
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
tried allowed {TWO}
doctor nobody /cli/setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all
umount /sys/fs/bpf
doctor no-bpffs
echo 0 >/proc/sys/kernel/ftrace_enabled
doctor no-ftrace
echo 1 >/proc/sys/kernel/ftrace_enabled
echo 0 >/sys/kernel/debug/kprobes/enabled
tried no-kprobes
echo 1 >/sys/kernel/debug/kprobes/enabled
"""


@pytest.mark.kernel("trixie")
def test_doctor_says_what_is_missing():
    # In a guest of its own, of which it takes much away.
    job = Command("cli-doctor", "trixie", PRELUDE + DOCTOR)
    with Machine(job.kernel) as machine:
        job.prepare(machine, [job])
        outcome, = machine.run([job.command])
    output = outcome.output
    found = [(name, json.loads(text), int(status))
             for name, text, status in re.findall(r"^=(\S+)\n(.*?)^=status\n(\d+)\n", output, re.M | re.S)]
    said = {}
    for name, result, status in found:
        levels = {check["name"]: check["level"] for check in result["checks"]}
        said[name] = {check: level for check, level in levels.items() if level != "ok"}
        # What is foretold is what happens, where it was tried.
        assert result["can_attach"] == (status == 0) == ("fail" not in levels.values()), (name, result)
        assert all(check["advice"] for check in result["checks"] if check["level"] != "ok"), (name, result)
    assert said == {
        "good": {},
        "no-tracefs": {"tracefs": "note"},
        "no-way": {"tracefs": "note", "kprobes": "fail", "try": "fail"},
        "by-tracefs": {},
        "paranoid": {"tracefs": "note", "permission": "fail", "try": "fail"},
        "allowed": {"tracefs": "note"},
        "nobody": {"tracefs": "note", "permission": "fail"},
        "no-bpffs": {"bpffs": "note"},
        "no-ftrace": {"bpffs": "note", "probes run": "fail"},
        "no-kprobes": {"bpffs": "note", "probes run": "fail", "try": "fail"},
    }


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
""", "bookworm", "trixie", client="proof")
def test_a_tools_programs_run_under_it(job, guest):
    said = dict(parts(guest(job).output))
    assert said["alone"] == "stat was seen 0 times of 3\n"
    assert said["run"] == "stat was seen 3 times of 3\n0\n"
    assert "Preloading reaches ./proof: linked with /cli/lib/libbpf.so.1" in said["doctor"]
    assert said["keep"].split() == ["1", "/opt/lib/libksyscall.so.1"]
    assert said["more"].split() == ["20", "all", "/opt/lib/libksyscall-ext.so.1"]
    assert said["reached"] == "stat was seen 3 times of 3\n"
    assert said["static"].endswith("\n125\n")
    assert "preloading does not reach /usr/bin/busybox: static" in said["static"]
    assert said["forced"] == "0\n"
    assert said["none"].endswith("\n127\n")
    assert "/none.so" in said["library"]
    assert said["library"].endswith("\n125\n")
