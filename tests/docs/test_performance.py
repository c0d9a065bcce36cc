"""The page of performance is what the measured files say."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def make_performance(script):
    return script("make_performance")


def test_the_page_is_what_the_measured_files_say(make_performance):
    assert (ROOT / "docs" / "performance.md").read_text() == make_performance.page(make_performance.measurements())


def run(**ratios):
    cases = [
        {"network": "published", "batch": 32, "dtype": "float32", "work": "train", "ratio_to": by_name}
        for by_name in [{name: {"median": m, "low": m / 2, "high": m * 2} for name, m in ratios.items()}]
    ]
    return {"cases": cases}


def test_the_best_of_the_others_is_the_fastest_over_all_runs(make_performance):
    runs = [run(PyTorch=1.2, Flax=1.1), run(PyTorch=1.3, Flax=2.0), run(PyTorch=1.1, Flax=2.1)]
    cases = make_performance.cases_of(runs, "float32", "published", 32)
    best = make_performance.best_of(cases, ("PyTorch", "Flax", "ONNX Runtime"))
    assert best == "PyTorch"
    assert make_performance.spread([case["ratio_to"][best] for case in cases]) == "1.20 (1.10 to 1.30)"


def test_one_run_alone_shows_the_quartiles_of_its_rounds(make_performance):
    assert make_performance.spread([{"median": 1.5, "low": 1.4, "high": 1.7}]) == "1.50 (1.40 to 1.70)"


def test_on_an_accelerator_the_others_are_beside_images_on_the_device(make_performance):
    ms = {"jaxfer": [4.0, 4.0], make_performance.RESIDENT: [2.0, 1.0], "Flax": [3.0, 3.0]}
    case = {"network": "published", "batch": 32, "dtype": "float32", "work": "train", "ms": ms, "absent": {}}
    machine = {"cores": 16, "processor": "x", "accelerator": "NVIDIA X"}
    run = {"machine": machine, "gflop_s": {"float32": 1e3}, "gflop": [0.3], "cases": [case | {"contenders": {}}]}
    text = make_performance.section("train_step-x", [run])
    assert "| Flax | 3.00 | 10,667 | 2.25 (1.50 to 3.00) | 10.0% |" in text
    assert f"| {make_performance.RESIDENT} | 1.50 | 21,333 |  | 20.0% |" in text
