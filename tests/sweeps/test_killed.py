"""A sweep that is killed at random moments ends with the table of one that was not."""

import csv
import random

import programs
import pytest

pytestmark = pytest.mark.long


def table(sweep_dir):
    """Return `table.csv` without the one number that differs from sweep to sweep: the clock's."""
    lines = csv.DictReader((sweep_dir / "table.csv").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_at_random_moments_change_nothing_in_the_table(tmp_path, kills):
    seed = str(random.SystemRandom().randrange(2**32))
    ended = programs.run("sweep_child", tmp_path, seed, kills)
    assert ended.returncode == 0, (seed, ended.stderr)
    expected, *others = map(table, sorted(tmp_path.iterdir(), reverse=True))
    assert [line["status"] for line in expected] == ["finished"] * 4 + ["failed"] * 4
    for found in others:
        assert found == expected, seed
