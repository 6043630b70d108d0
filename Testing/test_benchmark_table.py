"""The table of docs/performance.md: pairs, ratios, what is left out, and the page. No times."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from rows.network import peer
from rows.pairs import Contender, Group, LeftOut, Row, Sample, Series, measured
from rows.process import sample_of
from rows.table import BEGIN, END, digits, markdown, replaced
from rows.worker import request_of

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.run_options import RunOptions


def contender(name, seconds, order, **options):
    """Return a contender that claims to take these seconds, one a round."""
    left = iter(seconds)

    def run():
        order.append(name)
        value = next(left)
        return Sample(value, 2 * value, int(1024 * value) << 10)

    return Contender(name, run, **options)


def test_contenders_run_in_turn_and_every_other_round_backwards():
    order = []
    both = [contender("ours", [1, 1, 1], order), contender("theirs", [2, 2, 2], order)]
    measured(Group("work", both, [("ours", "theirs")]), 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_ratios_are_taken_round_by_round():
    both = [contender("ours", [1, 2, 10], []), contender("theirs", [4, 6, 70], [])]
    (row,) = measured(Group("work", both, [("ours", "theirs")]), 3)
    assert row.ratios == (4, 3, 7)
    assert row.processor_ratios == (4, 3, 7)
    assert row.to_json()["ratio"] == 4
    assert row.ours.peak_bytes == 10 << 20


def test_shares_of_the_convolution_rate_are_of_the_same_round():
    rates = iter([{"fp32": 100.0}, {"fp32": 300.0}, {"fp32": 50.0}, {"fp32": 50.0}])
    one = contender("ours", [2, 4], [], gflop=200)
    (row,) = measured(Group("work", [one], [("ours", None)]), 2, lambda: next(rates))
    assert row.ours.shares == (0.5, 1.0)
    assert row.peer is None


def test_a_peer_that_is_missing_is_left_out_with_the_reason():
    def missing():
        raise LeftOut("No module named 'theirs'")

    both = [contender("ours", [1.0, 1.0], []), Contender("theirs", missing)]
    group = Group("work", both, [("ours", "theirs"), ("ours", "others")], {"others": "no bf16"})
    first, second = measured(group, 2)
    assert first.peer is None
    assert first.ratios == ()
    assert first.ours.seconds == (1.0, 1.0)
    assert first.left_out == "theirs: No module named 'theirs'"
    assert second.left_out == "others: no bf16"
    table = markdown({"Family": [first, second]})
    assert "1. Left out: theirs: No module named 'theirs'." in table
    assert "| work (2) |" in table


def test_a_package_that_is_not_installed_is_a_reason_to_leave_a_peer_out():
    with pytest.raises(LeftOut, match="no_such_package"):
        peer("no_such_package")
    with pytest.raises(LeftOut, match="no_such_package"):
        sample_of([sys.executable, "-c", "import no_such_package"])


def test_a_command_that_fails_otherwise_stops_the_benchmark():
    with pytest.raises(RuntimeError, match="status 3"):
        sample_of([sys.executable, "-c", "raise SystemExit(3)"])
    assert sample_of([sys.executable, "-c", "raise SystemExit(3)"], status=3).seconds > 0


def test_the_memory_of_a_command_is_its_own():
    ballast = bytearray(300 << 20)
    ballast[:: 4 << 10] = b"x" * len(ballast[:: 4 << 10])
    peak = sample_of([sys.executable, "-S", "-c", "pass"]).peak_bytes
    assert peak is None or 0 < peak < 200 << 20


def test_rows_are_kept_as_json():
    ours = Series("ours", (1.0, 2.0), (2.0, 4.0), 1 << 20, (0.5, 0.6))
    for row in (Row("work", ours, Series("theirs", (2.0, 3.0))), Row("w", None, None, "why", "n")):
        assert Row.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_the_table_shows_medians_and_what_they_lie_between():
    ours = Series("ours", (1.0, 2.0, 4.0), (2.0, 2.0, 2.0), 3 << 20, (0.5, 0.75, 0.8))
    theirs = Series("theirs", (4.0, 4.0, 4.0), (4.0, 4.0, 4.0))
    last = markdown({"Family": [Row("work", ours, theirs)]}).splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert cells[:6] == ["work", "ours", "2.00 (1.00-4.00)", "2.00 (2.00-2.00)", "3", "75%"]
    assert cells[6:8] == ["theirs", "4.00 (4.00-4.00)"]
    assert cells[-2:] == ["2.00 (1.00-4.00)", "2.00 (2.00-2.00)"]


def test_all_lines_of_the_table_have_as_many_cells():
    rows = [Row("work", Series("ours", (1.0,))), Row("work", None, None, "theirs: missing")]
    lines = markdown({"Family": rows}).split("\n\n")[0].strip().splitlines()
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "shown"), [(123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012")]
)
def test_numbers_have_three_digits(value, shown):
    assert digits(value) == shown


def test_the_table_takes_the_place_of_the_one_before():
    page = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    assert replaced(page, "new\n") == f"above\n{BEGIN}\nnew\n{END}\nbelow\n"
    with pytest.raises(ValueError, match="lacks"):
        replaced("a page", "new\n")


def test_clicks_are_those_of_the_panel():
    grid = Grid((1, 2, 2), (1.0, 1.0, 1.0))
    request = request_of(
        Volume(np.arange(4.0).reshape(grid.shape), grid), 1, RunOptions(device="cpu")
    )
    assert request.options.device == "cpu"
    assert request.channels["ct"].grid == grid
