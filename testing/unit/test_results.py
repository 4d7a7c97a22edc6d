from testing.results import tap

GOOD = """TAP version 13
ok 1 - attaches
ok 2 - pins # SKIP the kernel has no links
1..2
"""


def told(results):
    return [str(point) for point in results.points]


def test_each_result_has_a_tap_line():
    assert told(tap(GOOD, 0)) == ["passed attaches", "skipped pins: the kernel has no links"]


def test_the_lines_after_a_failure_are_its_reason():
    results = tap("TAP version 13\nnot ok 1 - a\n# a.c:3: no\n# really\nok 2 - b\n# nothing\n1..2\n", 1)
    assert told(results) == ["failed a: a.c:3: no; really", "passed b"]


def test_output_without_results_is_a_failure():
    assert "failed is_quiet" in told(tap(GOOD + "libbpf: oh\n", 0))[-1]
    assert "failed is_quiet" in told(tap(GOOD.replace("ok 2", "ok 3"), 0))[-1]


def test_ending_early_or_with_an_error_status_is_a_failure():
    assert told(tap(GOOD.replace("1..2\n", ""), 139))[-1] == "failed runs: 2 results, planned: None"
    assert told(tap("", 0)) == ["failed runs: 0 results, planned: None"]
    assert told(tap(GOOD, 3))[-1] == "failed ends_well: exit status 3"
