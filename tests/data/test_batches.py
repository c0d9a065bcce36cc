import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxfer.data.batches import Batches, Shard, columns, evaluation_batches, turns
from jaxfer.data.dataset import Split


def numbered(count, *, affect=False):
    """Return a split whose image i holds i in every pixel and whose other columns follow from i."""
    numbers = np.arange(count)
    images = np.broadcast_to(numbers[:, None, None, None], (count, 4, 4, 3)).astype(np.uint8)
    if not affect:
        return Split("train", images, (numbers % 7).astype(np.int32))
    valence = np.where(numbers % 3 == 0, np.nan, numbers / count).astype(np.float32)
    return Split("train", images, (numbers % 7).astype(np.int32), {"valence": valence, "arousal": -valence})


def examples(batch):
    """Return the numbers of the real examples of a batch of a numbered split."""
    return batch["image"][batch["mask"]][:, 0, 0, 0].tolist()


def epoch_of(batches, epoch):
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    return [number for step in steps for number in examples(batches[step])]


def assert_same(batch, other):
    assert batch.keys() == other.keys()
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name])


COUNTS = st.integers(1, 40)
SIZES = st.integers(1, 12)


@given(COUNTS, SIZES, st.integers(0, 2**32 - 1), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_every_epoch_holds_every_example_once(count, batch_size, seed, epoch):
    batches = Batches(numbered(count), batch_size, seed)
    assert sorted(epoch_of(batches, epoch)) == list(range(count))


@given(COUNTS, SIZES)
@settings(max_examples=50, deadline=None)
def test_only_the_last_batch_of_an_epoch_is_padded(count, batch_size):
    batches = Batches(numbered(count), batch_size, seed=0)
    real = [int(batches[step]["mask"].sum()) for step in range(batches.steps_per_epoch)]
    assert real[:-1] == [batch_size] * (len(real) - 1)
    assert real[-1] == (count - 1) % batch_size + 1
    last = batches[batches.steps_per_epoch - 1]["mask"]
    np.testing.assert_array_equal(last, np.arange(batch_size) < real[-1])


@given(COUNTS, SIZES)
@settings(max_examples=50, deadline=None)
def test_evaluation_sees_every_example_once_and_in_order(count, batch_size):
    batches = list(evaluation_batches(numbered(count), batch_size))
    assert [number for batch in batches for number in examples(batch)] == list(range(count))
    assert {len(batch["mask"]) for batch in batches} == {batch_size}


def test_the_batch_at_a_step_depends_on_data_seed_and_step_alone():
    batches = Batches(numbered(19), 4, seed=3)
    sequence = [batches[step] for step in range(15)]
    for step in np.random.default_rng(0).permutation(15):
        assert_same(batches[int(step)], sequence[step])
        assert_same(Batches(numbered(19), 4, seed=3)[int(step)], sequence[step])


def test_epochs_and_seeds_have_orders_of_their_own():
    first = Batches(numbered(50), 8, seed=0)
    orders = [epoch_of(first, epoch) for epoch in range(4)] + [epoch_of(Batches(numbered(50), 8, seed=1), 0)]
    assert len(set(map(tuple, orders))) == 5
    assert list(range(50)) not in orders


@pytest.mark.parametrize("affect", [False, True])
def test_batches_keep_the_contract_and_each_image_its_columns(affect):
    split = numbered(11, affect=affect)
    names = {"valence", "arousal"} if affect else set()
    for batch in (*map(Batches(split, 4, seed=0).__getitem__, range(6)), *evaluation_batches(split, 4)):
        assert batch.keys() == {"image", "label", "mask"} | names
        assert (batch["image"].dtype, batch["image"].shape) == (np.uint8, (4, 4, 4, 3))
        assert (batch["label"].dtype, batch["label"].shape) == (np.int32, (4,))
        assert (batch["mask"].dtype, batch["mask"].shape) == (bool, (4,))
        numbers = batch["image"][:, 0, 0, 0]
        np.testing.assert_array_equal(batch["label"], numbers % 7)
        for name in names:
            assert batch[name].dtype == np.float32
            np.testing.assert_array_equal(batch[name], split.columns[name][numbers])


def test_a_split_smaller_than_a_batch_makes_one_batch_an_epoch():
    batches = Batches(numbered(3), 8, seed=0)
    assert batches.steps_per_epoch == 1
    assert [sorted(examples(batches[step])) for step in range(3)] == [[0, 1, 2]] * 3


def test_batches_leave_the_split_alone():
    split = numbered(5, affect=True)
    batch = Batches(split, 8, seed=0)[0]
    batch["image"][:], batch["label"][:], batch["valence"][:] = 0, 0, 0
    assert_same(columns(split), columns(numbered(5, affect=True)))


# Mirror images in turn


def sides_of(batches, epoch):
    """Return which sides each example shows in an epoch, in order: a list of truth values by number."""
    sides = {}
    for step in range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch):
        batch = batches[step]
        for number, side in zip(examples(batch), batch["mirrored"][batch["mask"]].tolist(), strict=True):
            sides.setdefault(number, []).append(side)
    return sides


@given(COUNTS, SIZES, st.integers(0, 2**32 - 1), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_an_example_is_seen_both_ways_within_two_epochs(count, batch_size, seed, epoch):
    batches = Batches(numbered(count), batch_size, seed, alternate=True)
    one, other = (sides_of(batches, epoch + more) for more in range(2))
    assert one.keys() == other.keys() == set(range(count))
    assert all(one[number] == [not other[number][0]] for number in one)


def test_about_half_of_an_epoch_is_mirrored_and_which_half_is_the_seeds():
    firsts = [sides_of(Batches(numbered(200), 16, seed, alternate=True), 0) for seed in range(3)]
    for first in firsts:
        assert 70 < sum(side for (side,) in first.values()) < 130  # four standard deviations
    for one, other in itertools.pairwise(firsts):
        assert 60 < sum(one[number] != other[number] for number in one) < 140


@pytest.mark.parametrize("sampling", ["balanced", "sqrt"])
def test_an_example_that_comes_several_times_in_an_epoch_takes_turns_within_it(sampling):
    split = numbered(60)
    split = Split("train", split.images, (np.arange(60) < 4).astype(np.int32))
    batches = Batches(split, 8, seed=0, sampling=sampling, alternate=True)
    sides = sides_of(batches, 0)
    assert max(map(len, sides.values())) > 3
    for seen in sides.values():
        assert all(one != other for one, other in itertools.pairwise(seen))


def test_turns_change_nothing_else_of_a_batch_and_are_a_function_of_the_step():
    with_turns, plain = Batches(numbered(19), 4, 3, alternate=True), Batches(numbered(19), 4, 3)
    for step in (14, 3, 9, 4):
        batch = with_turns[step]
        assert (batch["mirrored"].dtype, batch["mirrored"].shape) == (bool, (4,))
        assert_same(batch, Batches(numbered(19), 4, 3, alternate=True)[step])
        assert_same({name: values for name, values in batch.items() if name != "mirrored"}, plain[step])
        shards = [Batches(numbered(19), 4, 3, alternate=True, shard=Shard(index, 2))[step] for index in range(2)]
        np.testing.assert_array_equal(np.concatenate([shard["mirrored"] for shard in shards]), batch["mirrored"])
    assert "mirrored" not in plain.rows(0)


def test_turns_of_an_epoch_by_hand():
    order = np.array([2, 0, 2, 1, 2, 0])
    first = turns(order, 3, seed=5, epoch=0)
    np.testing.assert_array_equal(turns(order, 3, seed=5, epoch=1), ~first)
    np.testing.assert_array_equal(turns(order, 3, seed=5, epoch=2), first)
    assert first[0] == (not first[2]) == first[4]
    assert first[1] == (not first[5])
