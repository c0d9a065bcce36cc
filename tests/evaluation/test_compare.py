"""McNemar's test against SciPy's distributions, means over seeds against NumPy's, and in what configs differ."""

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from jaxfer.config import Config, DataConfig
from jaxfer.evaluation.compare import FEW, mcnemar, over_runs
from jaxfer.evaluation.evaluate import compare


def answers(b, c, both=40, neither=10):
    """Return what two classifiers get right: `b` examples only the first, `c` only the second."""
    first = np.repeat([True, False, True, False], [b, c, both, neither])
    second = np.repeat([False, True, True, False], [b, c, both, neither])
    return first, second


@pytest.mark.parametrize(("b", "c"), [(b, c) for b in range(0, FEW, 3) for c in range(0, FEW - b, 4)])
def test_few_discordant_pairs_are_judged_by_the_binomial_test(b, c):
    found = mcnemar(*answers(b, c))
    assert (found.only_first, found.only_second, found.method) == (b, c, "exact")
    expected = scipy.stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("b", "c"), [(13, 12), (30, 12), (12, 30), (100, 100), (400, 300), (3000, 1000)])
def test_many_are_judged_by_chi_squared_with_the_correction(b, c):
    found = mcnemar(*answers(b, c))
    assert found.method == "chi-squared"
    statistic = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    assert found.p_value == pytest.approx(scipy.stats.chi2.sf(statistic, 1), rel=1e-9)


def test_both_methods_agree_where_they_meet():
    found = mcnemar(*answers(18, 8))
    assert found.method == "chi-squared"
    assert found.p_value == pytest.approx(scipy.stats.binomtest(18, 26).pvalue, abs=0.01)


def test_equally_good_classifiers_are_told_apart_one_time_in_twenty_or_less():
    random = np.random.default_rng(0)
    wrongly = sum(mcnemar(*(random.random((2, 500)) < 0.7)).p_value < 0.05 for _ in range(400))
    # Of 400 at 5%: 20, and 38 or more once in 10,000 times. The correction makes the test cautious, not blind.
    assert 4 <= wrongly < 38


def test_the_difference_has_the_interval_of_paired_examples():
    first, second = answers(60, 30, both=700, neither=210)
    found = mcnemar(first, second)
    assert found.difference == pytest.approx(first.mean() - second.mean()) == 0.03
    spread = math.sqrt((90 - 30**2 / 1000) / 1000**2)
    np.testing.assert_allclose(found.interval, [0.03 - 1.96 * spread, 0.03 + 1.96 * spread], atol=0.002)
    assert mcnemar(second, first).p_value == found.p_value
    assert mcnemar(first, second) == found


def test_the_same_answers_do_not_differ():
    found = mcnemar(*answers(0, 0))
    assert (found.p_value, found.difference, found.interval) == (1, 0, [0, 0])


def test_runs_have_a_mean_and_a_sample_deviation():
    values = [0.41, 0.45, 0.4, 0.44]
    found = over_runs([{"accuracy": value, "r2": None} for value in values], ["accuracy", "r2"])
    assert found["accuracy"] == {
        "mean": pytest.approx(np.mean(values)),
        "std": pytest.approx(np.std(values, ddof=1)),
        "runs": 4,
    }
    assert found["r2"] == {"mean": None, "std": None, "runs": 4}
    assert over_runs([{"accuracy": 0.5}], ["accuracy"])["accuracy"] == {"mean": 0.5, "std": None, "runs": 1}


def evaluated(config, folder="run"):
    return SimpleNamespace(
        fingerprint="the same",
        measures=("accuracy",),
        scores={"accuracy": 0.5, "intervals": {"accuracy": [0, 1]}},
        split=SimpleNamespace(name="val"),
        trained=SimpleNamespace(name="run", run_dir=Path(folder), config=config, checkpoint={}),
        predictions=SimpleNamespace(correct=np.array([True, False])),
    )


@pytest.mark.parametrize("data", [{"group_by": "parent"}, {"soft_labels": True}, {"drawn_train": 70}], ids=str)
def test_runs_of_one_experiment_differ_in_seed_and_place_alone(data):
    first = Config(data=DataConfig(data_dir=Path("here"), **data))
    moved = dataclasses.replace(first, seed=1, data=dataclasses.replace(first.data, data_dir=Path("there")))
    assert compare([evaluated(first), evaluated(moved)])["differences"] == []
    other = dataclasses.replace(Config(epochs=60), data=DataConfig(data_dir=Path("here")))
    (found,) = compare([evaluated(first), evaluated(other)])["differences"]
    (name, value), now = *data.items(), getattr(other.data, next(iter(data)))
    assert found == f"{name} {value}, now {now}; epochs 50, now 60"


def test_runs_of_one_name_are_told_apart_by_the_folders_around_them(tmp_path):
    folders = [tmp_path / name for name in ("a/x/seed-0", "b/x/seed-0", "b/y/seed-1")]
    found = compare([evaluated(Config(), folder) for folder in folders])
    assert [one["run"] for one in found["runs"]] == ["a/x/seed-0", "b/x/seed-0", "b/y/seed-1"]
    first = found["mcnemar"][0]
    assert (first["first"], first["second"]) == ("a/x/seed-0", "b/x/seed-0")
    found = compare([evaluated(Config(), folder) for folder in folders[1:]])
    assert [one["run"] for one in found["runs"]] == ["seed-0", "seed-1"]
