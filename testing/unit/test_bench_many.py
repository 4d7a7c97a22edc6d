"""The page of `make bench-many`, made of invented samples."""

from testing import bench_many
from testing.bench import Run

KERNELS = {"6.1.0-50-cloud-amd64": ["libbpf", "events"], "6.12.1": ["libbpf", "events", "multi"]}


def run_of(kernels):
    found = {}
    for kernel, ways in kernels.items():
        found[kernel] = [
            {"contestant": way, "operation": f"{operation}_many", "names": str(names),
             "value": names * cost * 1_000_000,
             **({} if way == "libbpf" else {"threads": str(threads)})}
            for way in ways for operation, cost in [("attach", 10), ("destroy", 80)] for names in bench_many.NAMES
            for threads in bench_many.threads_of(names)]
    return Run({"date": "2026-01-01", "qemu": "7.2", "cpu": "max", "model": "a processor",
                "versions": {"libbpf": "1.7.0"}}, found)


def test_the_page_has_each_number_beside_libbpfs():
    page = bench_many.page(run_of(KERNELS))
    assert "| 6.1 | 100 | 1,000 | 1,000 (1.0 times) | - |" in page
    assert "| 6.12 | 300 | 24,000 | 24,000 (1.0 times) | 24,000 (1.0 times) |" in page
    assert "| 6.12 | 8,000 (1.0 times) |" in page
    assert "| 6.12 | 300 | 27,000 | 27,000 (1.0 times) | 27,000 (1.0 times) |" in page.partition("## Both")[2]


def test_every_way_is_measured_with_every_number_of_names():
    commands = [command for _, command, _ in bench_many.commands()]
    for names in bench_many.NAMES:
        for way in ["./libbpf kprobe many", "./batch multi 1", "./batch events 1", "./batch events 8"]:
            assert f"cd /bench && {way} {names} < names" in commands
