"""What a sweep tries: grids, draws, and what cannot be."""

import dataclasses
import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from jaxfer.config import Config, DataConfig, OptimizerConfig
from jaxfer.errors import UserError
from jaxfer.sweeps import LogUniform, Uniform, grid, random_search
from jaxfer.sweeps.fields import field_path
from jaxfer.sweeps.folder import begin, check
from jaxfer.sweeps.plan import plan

RATES, EPOCHS = (0.01, 0.003, 0.001, 0.0003, 0.0001), (25, 30, 50)
PUBLISHED = Config()


def with_schedule(schedule):
    return dataclasses.replace(PUBLISHED, optimizer=OptimizerConfig(schedule=schedule))


def test_a_grid_has_every_combination_in_order():
    cells = grid(PUBLISHED, {"learning_rate": RATES, "epochs": EPOCHS}).cells
    assert [tuple(cell.values.values()) for cell in cells] == [(rate, n) for rate in RATES for n in EPOCHS]
    for cell in cells:
        assert cell.values.keys() == {"optimizer.learning_rate", "epochs"}
        optimizer = OptimizerConfig(learning_rate=cell.values["optimizer.learning_rate"])
        assert cell.config == dataclasses.replace(PUBLISHED, optimizer=optimizer, epochs=cell.values["epochs"])


def test_values_are_of_the_type_of_their_field():
    tried = {"learning-rate": [1, np.float32(0.5)], "step_epochs": [(5, 8), [3]], "ema": [None, 0.9], "flip": [True]}
    cells = grid(with_schedule("step"), tried).cells
    assert {type(cell.config.optimizer.learning_rate) for cell in cells} == {float}
    assert {cell.config.optimizer.step_epochs for cell in cells} == {(5, 8), (3,)}
    assert {cell.config.optimizer.ema for cell in cells} == {None, 0.9}
    assert all(cell.config.augment.flip for cell in cells)


def test_draws_are_a_function_of_their_seed_and_stay_in_their_ranges():
    fields = {"learning_rate": LogUniform(1e-4, 1e-1), "label_smoothing": Uniform(0, 0.5), "batch_size": Uniform(8, 64)}
    fields["variant"] = ("published", "resnet18")
    search = random_search(PUBLISHED, fields, count=300, seed=3)
    assert search == random_search(PUBLISHED, fields, count=300, seed=3)
    assert search.cells[:9] != random_search(PUBLISHED, fields, count=9, seed=4).cells
    assert random_search(PUBLISHED, fields, count=9, seed=3).cells == search.cells[:9], "more draws keep the first"
    rates = np.log10(search.fields["optimizer.learning_rate"])
    assert -4 <= rates.min() < -3.9
    assert -1.1 < rates.max() <= -1
    assert abs(np.mean(rates < -2.5) - 0.5) < 0.1, "half of them below the geometric mean"
    assert {type(size) for size in search.fields["batch_size"]} == {int}
    assert (min(search.fields["batch_size"]), max(search.fields["batch_size"])) == (8, 64)
    assert search.fields["model.variant"] == ["published", "resnet18"]
    assert search.fields["optimizer.learning_rate"] == sorted(search.fields["optimizer.learning_rate"])
    whole = dataclasses.replace(PUBLISHED, optimizer=dataclasses.replace(PUBLISHED.optimizer, learning_rate=1))
    rates = {"learning_rate": LogUniform(1e-4, 1e-1)}
    assert random_search(whole, rates, count=9).fields == random_search(PUBLISHED, rates, count=9).fields


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "the sweep is empty: name at least one field"),
        ({"learning_rate": ()}, r"optimizer\.learning_rate has no values to try"),
        ({"learning_rat": (0.1,)}, "no field 'learning_rat': did you mean learning_rate"),
        ({"loss.epochs": (1,)}, "no field 'loss.epochs'"),
        ({"qqqq": (1,)}, "the fields are .*data_dir.*seed"),
        ({"learning_rate": ("fast",)}, "learning_rate fast.* 'fast': pass a value of type float"),
        ({"epochs": (2.5,)}, "epochs 2.5.* is 2.5: pass a value of type int"),
        ({"epochs": (True,)}, "epochs is True: pass a value of type int"),
        ({"optimizer": ("adan",)}, "optimizer is 'adan': pass one of adam, adamw, sgd"),
        ({"learning_rate": (-1.0,)}, "learning_rate is -1.0: pass a number above 0"),
        ({"learning_rate": 0.1}, r"the values of optimizer\.learning_rate are 0\.1: pass several"),
        ({"learning_rate": "0.1"}, "pass several"),
        ({"learning_rate": (0.1, 0.1)}, r"two cells of the sweep are the same \(learning_rate 0.1\)"),
        ({"learning_rate": (1, 1.0)}, "two cells of the sweep are the same"),
        ({"learning_rate": (0.1,), "optimizer.learning_rate": (0.2,)}, "is named twice"),
        ({"weight_decay": (0.0, 0.1)}, "weight_decay 0.1: optimizer: weight_decay is 0.1: pass 0 for adam"),
    ],
)
def test_a_grid_that_cannot_be_is_explained(fields, words):
    with pytest.raises(UserError, match=words):
        grid(PUBLISHED, fields)


def test_ranges_and_draws_that_cannot_be_are_explained():
    for kind, bounds in ((Uniform, (1, 1)), (Uniform, (0, math.inf)), (LogUniform, (0, 1)), (LogUniform, (2, 1))):
        with pytest.raises(UserError, match="cannot be drawn"):
            kind(*bounds)
    with pytest.raises(UserError, match="only 2 different cells can be drawn"):
        random_search(PUBLISHED, {"variant": ("published", "resnet18")}, count=3)
    with pytest.raises(UserError, match="a random search of 0 cells is empty"):
        random_search(PUBLISHED, {"variant": ("published",)}, count=0)


def test_every_field_of_a_config_has_one_bare_name():
    def leaves(fields, prefix=""):
        for name, value in fields.items():
            yield from leaves(value, f"{name}.") if isinstance(value, dict) else [prefix + name]

    paths = list(leaves(dataclasses.asdict(PUBLISHED)))
    assert [field_path(path.rpartition(".")[2]) for path in paths] == paths == [field_path(path) for path in paths]


# Runs


def test_the_published_grid_is_five_runs_of_fifty_epochs():
    runs = plan(grid(PUBLISHED, {"learning_rate": RATES, "epochs": EPOCHS}))
    assert [(run.config.optimizer.learning_rate, run.config.epochs, run.epochs) for run in runs] == [
        (rate, 50, EPOCHS) for rate in RATES
    ]
    assert sum(run.config.epochs for run in runs) == 250
    assert [run.cells for run in runs] == [(i, i + 1, i + 2) for i in range(0, 15, 3)]
    assert len({run.name for run in runs}) == 5


@pytest.mark.parametrize(("schedule", "runs"), [("constant", 1), ("step", 1), ("cosine", 3)])
def test_only_where_the_rate_ignores_the_number_of_epochs_is_a_shorter_run_a_part_of_a_longer(schedule, runs):
    assert len(plan(grid(with_schedule(schedule), {"epochs": EPOCHS}))) == runs


def test_runs_of_one_program_follow_each_other():
    fields = {"seed": (0, 1), "variant": ("published", "resnet18"), "learning_rate": (1, 2)}
    search = grid(with_schedule("cosine"), fields)
    runs = plan(search)
    assert [run.config.model.variant for run in runs] == ["published"] * 4 + ["resnet18"] * 4
    assert sorted(index for run in runs for index in run.cells) == list(range(8))


def test_names_of_runs_are_names_of_folders(tmp_path):
    search = grid(with_schedule("step"), {"data_dir": [f"/a b/{'long' * 40}/{i}" for i in range(3)], "l2": (0, 1e-9)})
    names = {run.name for run in plan(search)}
    assert len(names) == 6
    for name in names:
        (tmp_path / name).mkdir()
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_sweep_goes_on_where_all_that_its_runs_find_elsewhere_has_moved(tmp_path):
    def moved(place, **fields):
        data = DataConfig(data_dir=Path(place), group_by=f"{place}/people.csv:subject", **fields)
        distill = dataclasses.replace(PUBLISHED.distill, teachers=(Path(place, "teacher"),))
        model = dataclasses.replace(PUBLISHED.model, pretrained=Path(place, "weights"))
        return grid(
            dataclasses.replace(PUBLISHED, data=data, distill=distill, model=model), {"learning_rate": (0.1, 0.01)}
        )

    with ExitStack() as holding:
        begin(tmp_path / "sweep", moved("here"), resume=False, holding=holding)
    check(tmp_path / "sweep", moved("there"), resume=True)
    with pytest.raises(UserError, match=r"holds another sweep \(image_size 64, now 48\)"):
        check(tmp_path / "sweep", moved("there", image_size=48), resume=True)
