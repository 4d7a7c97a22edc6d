"""The arguments of every system call, as a BPF program reads them with ksyscall.bpf.h, on real
kernels: those of --matrix, by default x86-64's."""

import pytest

from testing import arguments


@pytest.mark.kernel("matrix")
def test_every_argument(cell, judge):
    arguments.run_cell(cell)
    shown = arguments.Shown(cell)
    print(shown.row, shown.unknown, shown.unread)
    judge(shown.results)
