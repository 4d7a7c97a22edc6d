"""Tests the page of `make bench-count` with invented samples."""

from testing import bench_count
from testing.bench import Run


def test_the_page_contains_each_tools_cost_and_command():
    found = [{"contestant": name, "operation": operation, "value": value}
             for place, (name, (_, word)) in enumerate(bench_count.TOOLS.items())
             for operation, value in [("call", 300 + 100 * place), ("ready", 20_000_000)]
             if operation == "call" or word]
    page = bench_count.page(Run({"date": "2026-01-01", "qemu": "7.2", "cpu": "max", "model": "a processor"},
                                {"6.12.1": found}))
    assert "## Linux 6.12\n\nA `getppid` takes 300 ns" in page
    assert "| `ksyscall count --all` | 100 | 20 |" in page
    assert "| `strace -c -o /dev/null` | 900 | - |" in page


def test_a_tool_that_reports_when_it_is_ready_is_awaited():
    assert bench_count.command("syscount-times") == "/bench/calls syscount-times Tracing /bench/syscount -L"
    assert bench_count.command("strace") == "/bench/strace -c -o /dev/null /bench/calls strace"
