"""Images that live on the devices and images that come from the host: the same run, however it is dispatched."""

import dataclasses
from types import SimpleNamespace

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Convolutional
from programs.small_run import CONFIG, MODEL, assert_same_to_rounding, run, two

from jaxfer.config import AugmentConfig
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Split
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.errors import UserError
from jaxfer.metrics.metrics import Metrics
from jaxfer.models import ResNetFER
from jaxfer.training import HostFeed, Objective, ResidentFeed, choose_feed, create_state
from jaxfer.training.step import train_function

WAYS = [OneDevice, Sharded, Pmapped]


RESNET = ResNetFER(width=8, stage_sizes=(1,), dropout=0.3)
ALL = AugmentConfig(
    alternate_flip=True, shift=0.1, rotate=10, geometric_probability=0.7, trivial=0.5, hue=20, brightness=0.1, erase=0.5
)


@pytest.mark.parametrize(
    ("way", "model", "augment"),
    [
        (OneDevice, Convolutional(dropout=0.3), CONFIG.augment),
        # Kernels, statistics and every augmentation, compiled twice, once in a scan.
        pytest.param(Sharded, RESNET, ALL, marks=pytest.mark.slow),
        pytest.param(Pmapped, MODEL, CONFIG.augment, marks=pytest.mark.slow),
    ],
)
def test_resident_images_give_the_numbers_of_batches_from_the_host(data, way, model, augment):
    config = dataclasses.replace(CONFIG, augment=augment)
    options = {"parallel": two(way), "model": model}
    host = run(config, data, feed=HostFeed(), **options)
    assert_same_to_rounding(run(config, data, feed=ResidentFeed(steps=2), **options), host)
    if model is MODEL:  # one of them is enough for what differs from both by the way of the images alone
        assert_same_to_rounding(run(config, data, feed=HostFeed(steps=2), **options), host)


@pytest.mark.slow
def test_soft_labels_and_sampled_rows_live_on_the_devices_too(data):
    def softened(split):
        soft = 0.6 * np.eye(7, dtype=np.float32)[split.labels] + 0.4 / 7
        return dataclasses.replace(split, columns={"soft_label": soft})

    sampled = dataclasses.replace(CONFIG, epochs=1, data=dataclasses.replace(CONFIG.data, sampling="sqrt"))
    soft = dataclasses.replace(data, splits={name: softened(split) for name, split in data.splits.items()})
    host, resident = (run(sampled, soft, parallel=two(Sharded), feed=feed) for feed in (HostFeed(), ResidentFeed()))
    assert_same_to_rounding(resident, host)
    assert resident[1][-1]["loss"] > run(sampled, data, parallel=two(Sharded), feed=ResidentFeed())[1][-1]["loss"]


def numbered(count):
    images = np.arange(count * 12, dtype=np.uint32).reshape(count, 2, 2, 3).astype(np.uint8)
    valence = np.where(np.arange(count) % 3, np.arange(count), np.nan).astype(np.float32)
    soft = np.random.default_rng(0).dirichlet(np.ones(7), count).astype(np.float32)
    columns = {"valence": valence, "arousal": -valence, "soft_label": soft}
    return Split("train", images, (np.arange(count) % 7).astype(np.int32), columns)


def assert_equal_batches(batch, other):
    assert batch.keys() == other.keys()
    for name in batch:
        assert batch[name].dtype == other[name].dtype
        np.testing.assert_array_equal(np.asarray(batch[name]), other[name])


@flax.struct.dataclass
class Seen:
    """What a step saw, in place of its metrics; merged, it is the latest batch."""

    batch: dict

    def merge(self, other):
        return other


@pytest.mark.parametrize("alternate", [False, True])
@pytest.mark.parametrize("way", [OneDevice, Sharded])
@pytest.mark.parametrize("feed", [HostFeed(steps=4), ResidentFeed(steps=4)], ids=["host", "resident"])
def test_a_dispatch_of_several_steps_sees_exactly_the_batches_of_the_host(feed, way, alternate):
    batches, parallel = Batches(numbered(45), 8, seed=3, sampling="sqrt", alternate=alternate), two(way)
    placed = feed.place(batches.split, parallel)
    training = feed.training(lambda taken, batch: (taken + 1, Seen(batch)), placed, parallel)
    taken, latest = parallel.place((jnp.zeros((), jnp.int32), Seen(batches[0])))
    steps = iter(range(12))
    for done, portion in training.portions(batches, 0, 12):
        taken, latest, each = training.run(taken, latest, portion)
        assert int(taken) == done
        for index in range(len(portion["mask"])):
            assert_equal_batches({name: values[index] for name, values in each.batch.items()}, batches[next(steps)])
        assert_equal_batches(latest.batch, batches[done - 1])
    assert next(steps, None) is None


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_dispatches_cover_every_step_once_and_none_crosses_an_epoch(count, size, steps, start, length):
    batches = Batches(numbered(count), size, seed=1)
    per_epoch, end = batches.steps_per_epoch, start + length
    feed = ResidentFeed(steps)
    training = feed.training(lambda *_: None, feed.place(batches.split, OneDevice()), OneDevice())
    from_host = HostFeed(steps + 1).training(lambda *_: None, batches.split, OneDevice())
    for stop, portion in from_host.portions(batches, start, end):
        assert 0 < len(portion["mask"]) <= steps + 1
        for index, step in enumerate(range(stop - len(portion["mask"]), stop)):
            assert_equal_batches({name: values[index] for name, values in portion.items()}, batches[step])
    done, stops = start, set()
    for stop, rows in training.portions(batches, start, end):
        assert done < stop <= done + steps
        assert done // per_epoch == (stop - 1) // per_epoch
        assert rows["row"].shape == rows["mask"].shape == (stop - done, size)
        for index in range(stop - done):
            assert_equal_batches({name: values[index] for name, values in rows.items()}, batches.rows(done + index))
        done = stop
        stops.add(done)
    assert done == end
    whole_run = {stop for stop, _ in training.portions(batches, 0, end)}
    assert stops <= whole_run, "a run that resumes dispatches the same numbers of steps"


def test_a_dispatch_takes_no_more_images_from_the_host_than_a_device_has_room_for(monkeypatch):
    batches = Batches(numbered(45), 8, seed=3)
    monkeypatch.setattr("jaxfer.training.feed.PORTION", 3 * 8 * 12)  # three batches of eight images of 12 bytes

    def taken(steps):
        training = HostFeed(steps).training(lambda *_: None, batches.split, OneDevice())
        return [len(portion["mask"]) for _, portion in training.portions(batches, 0, 6)]

    assert taken(2) == [2, 2, 2]
    assert taken(4) == [3, 3]
    monkeypatch.setattr("jaxfer.training.feed.PORTION", 1)
    assert taken(4) == [1] * 6


@pytest.mark.few(4)
@pytest.mark.parametrize("feed", [HostFeed(), HostFeed(steps=2), ResidentFeed()], ids=["host", "stacked", "resident"])
@pytest.mark.parametrize("way", WAYS)
def test_the_memory_of_the_state_is_reused_and_that_of_the_running_metrics_is_not(data, way, feed):
    parallel, optimizer = two(way), optax.adam(1e-3)
    function = train_function(MODEL, optimizer, Objective(), axis_name=parallel.axis_name, ema=0.9)
    training = feed.training(function, feed.place(data.train, parallel), parallel)
    state = parallel.place(create_state(MODEL, optimizer, seed=0, image_size=32, ema=True))
    empty = parallel.place(Metrics.empty(7))
    _, portion = next(training.portions(Batches(data.train, 16, seed=0), 0, 2))
    after, running, _ = training.run(state, empty, portion)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((after, running, empty)))


def device(platform="gpu", process_index=0, **stats):
    return SimpleNamespace(platform=platform, process_index=process_index, memory_stats=lambda: stats or None)


def test_images_stay_on_accelerators_that_have_room_for_them(data):
    needed = data.train.images.nbytes + data.val.images.nbytes
    roomy, tight = device(bytes_limit=2 * needed), device(bytes_limit=2 * needed - 2)
    assert isinstance(choose_feed(data, OneDevice(roomy)), ResidentFeed)
    assert isinstance(choose_feed(data, Sharded((roomy, roomy))), ResidentFeed)
    elsewhere = device(process_index=1)
    assert isinstance(choose_feed(data, Sharded((roomy, elsewhere))), ResidentFeed), "other processes see to theirs"
    assert choose_feed(data, Sharded((roomy, tight))) == HostFeed(16)
    assert choose_feed(data, OneDevice(device())) == HostFeed(16), "it does not say how much memory it has"
    assert choose_feed(data, OneDevice(device("cpu", bytes_limit=2 * needed))) == HostFeed()
    assert choose_feed(data, OneDevice()) == HostFeed()

    four_bytes = {
        name: dataclasses.replace(split, images=split.images.astype(np.float32) / 255)
        for name, split in data.splits.items()
    }
    assert choose_feed(dataclasses.replace(data, splits=four_bytes), OneDevice(roomy)) == HostFeed(16)

    class Streamed:
        shape = data.train.images.shape

    train = dataclasses.replace(data.train, images=Streamed())
    streamed = dataclasses.replace(data, splits={"train": train, "val": data.val})
    assert choose_feed(streamed, OneDevice(roomy)) == HostFeed(16)


@pytest.mark.parametrize("feed", [HostFeed, ResidentFeed])
@pytest.mark.parametrize("steps", [0, -3, 2.5, float("nan"), "3", None])
def test_a_dispatch_of_less_than_a_step_is_refused(feed, steps):
    with pytest.raises(UserError, match=r"steps a dispatch: pass a whole number from 1"):
        feed(steps=steps)
