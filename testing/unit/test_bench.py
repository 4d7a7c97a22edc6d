import pytest

from testing import bench, bench_report
from testing.bench import CONTESTANTS, PROBES, Run, Spread, samples

LINE = "sample contestant=raw probe=kprobe operation=attach unit=ns value=17"


def test_samples_are_read_and_other_lines_are_not():
    assert samples(f"6.12.1\n{LINE}\n# said\n{LINE} threads=8\n") == [
        {"contestant": "raw", "probe": "kprobe", "operation": "attach", "unit": "ns", "value": 17},
        {"contestant": "raw", "probe": "kprobe", "operation": "attach", "unit": "ns", "value": 17, "threads": "8"}]


def test_a_spread_is_the_median_and_the_quartiles():
    assert Spread.of([5, 1, 3, 2, 4]) == Spread(2, 3, 4, 5)
    assert Spread.of([7]) == Spread(7, 7, 7, 1)
    assert Spread.of([5, 1, 3, 2, 4]) / 2 == Spread(1, 1.5, 2, 5)
    with pytest.raises(ValueError):
        Spread.of([])


def made_up(scale):
    """A run in which a contestant takes so many milliseconds as it has place, times `scale`."""
    found = []
    for place, contestant in enumerate(CONTESTANTS, 1):
        for probe in PROBES:
            for operation in bench_report.TIMED:
                for unit, value in ("ns", place * scale * 1e6), ("faults", 0), ("syscalls", place), ("instructions", 9):
                    found.append({"contestant": contestant, "probe": probe, "operation": operation, "unit": unit,
                                  "value": value})
            found.append({"contestant": contestant, "probe": probe, "operation": "attach", "unit": "fds", "value": 1})
    for contestant, value in ("plain", 20e6), ("preloaded", 22e6):
        for unit in "ns", "faults", "syscalls", "instructions":
            found.append({"contestant": contestant, "operation": "start", "unit": unit, "value": value})
    return found


def run(kernels):
    about = {"date": "2026-01-02", "qemu": "7.2", "cpu": "max", "model": "A Processor",
             "libraries": {"libksyscall.so.1.0.0": {"bytes": 30000, "relocations": 40}},
             "versions": {"libbpf": "1.7.0", "libbpf-rs": "0.27.0", "aya": "0.13.0"}}
    return Run(about, kernels)


def test_values_are_those_that_match_all_that_is_asked_for():
    found = run({"6.1": made_up(1)})
    assert found.values("6.1", contestant="libbpf", probe="kprobe", operation="attach", unit="ns") == [4e6]
    assert found.values("6.1", contestant="libbpf", threads="8") == []
    with pytest.raises(ValueError, match="threads"):
        found.spread("6.1", contestant="libbpf", threads="8")


def test_the_page_has_ratios_to_the_floor_of_the_same_kernel():
    lines = bench_report.page(run({"6.1.0-50-cloud": made_up(1), "6.12.9-cloud": made_up(10)})).splitlines()
    assert "| 6.1 | destroy, kprobe | 1.00 | 2.00 | 3.00 | 4.00 | 5.00 | 6.00 |" in lines
    assert "| 6.12 | destroy, kprobe | 1.00 | 2.00 | 3.00 | 4.00 | 5.00 | 6.00 |" in lines
    assert any(line.startswith("| 6.12 | attach, kretprobe | 10.00 (10.00 to 10.00) | 20.00 (") for line in lines)
    assert any("2026-01-02" in line and "6.12.9-cloud" in line for line in lines)


def test_a_count_that_kernels_differ_in_is_told_of_each():
    assert bench_report.alike([3.0, 3.0]) == "3"
    assert bench_report.alike([3.0, 4.0]) == "3 / 4"


def test_each_contestant_is_the_first_of_a_round():
    rounds = [command for what, command, _ in bench.commands("bookworm") if what.startswith("round")]
    for name, command in zip(CONTESTANTS, rounds, strict=False):
        assert f"for contestant in {name} " in command
        assert all(f" {other} " in command.replace(";", " ") for other in CONTESTANTS)


def test_no_sample_of_the_warming_up_counts():
    counting = {what: counts for what, _, counts in bench.commands("sid")}
    assert [what for what, counts in counting.items() if not counts] == ["warming up"]


def test_a_run_is_saved_and_read_again(tmp_path):
    one = run({"6.1": made_up(1)})
    one.save(tmp_path / "run.json")
    again = Run.load(tmp_path / "run.json")
    assert (again.about, again.kernels) == (one.about, one.kernels)
