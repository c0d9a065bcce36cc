"""What a network is shown of each image, against the same by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import networks
import numpy as np
import pytest
import scipy.special

from jaxfer.data.dataset import Split
from jaxfer.data.transforms import crop
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.errors import UserError
from jaxfer.evaluation.predict import _compiled, predict_split
from jaxfer.models import checked_outputs
from jaxfer.models.views import distance

N = 21


class TwoHeads(nn.Module):
    """A network with a head beside its logits, which counts how often it is traced."""

    traced = 0

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        TwoHeads.traced += 1
        x = nn.relu(nn.Conv(8, (5, 5), strides=4)(images / 255)).mean((1, 2))
        return {"logits": nn.Dense(7)(x), "further": nn.Dense(3)(x)}


def by_hand(images, views):
    """Return the views of images, [n, h, w, c] each."""
    step = distance(min(images.shape[1:3]))
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (step, step), (step, step), (0, 0)), mode="reflect")
    moved = [
        padded[:, down : down + height, right : right + width]
        for down, right in ((step, step), (0, 0), (0, 2 * step), (2 * step, 0), (2 * step, 2 * step))
    ]
    mirrored = [one[:, :, ::-1] for one in moved]
    return {"one": moved[:1], "flip": [moved[0], mirrored[0]], "five": moved, "ten": moved + mirrored}[views]


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (N, 48, 48, 3), np.uint8)
    return Split("val", images, random.integers(0, 7, N).astype(np.int32))


@pytest.fixture(scope="module")
def variables(split):
    return networks.drawn(TwoHeads(), split.images)


@pytest.mark.few(4)
@pytest.mark.parametrize("parallel", [OneDevice, Sharded, Pmapped])
@pytest.mark.parametrize("views", ["flip", "five", "ten"])
def test_views_are_the_means_over_views_by_hand(split, variables, views, parallel):
    found = predict_split(TwoHeads(), variables, split, batch_size=6, parallel=parallel(), views=views)
    apply = jax.jit(lambda images: TwoHeads().apply(variables, images))
    each = [apply(images) for images in by_hand(split.images, views)]
    shares = [scipy.special.softmax(np.asarray(one["logits"], np.float64), axis=1) for one in each]
    assert min(np.abs(one - shares[0]).max() for one in shares[1:]) > 0.001, "views that say the same show nothing"
    np.testing.assert_allclose(found.probabilities, np.mean(shares, axis=0), rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(found.heads["further"], np.mean([one["further"] for one in each], axis=0), atol=1e-5)


@pytest.mark.parametrize("model", [networks.Convolutional(), networks.Linear()])
def test_a_mirror_image_beside_the_image_keeps_its_numbers_to_the_bit(split, model):
    drawn = networks.drawn(model, split.images)

    @jax.jit
    def before(variables, images, mask):  # as it was when there were no other views
        outputs, mirrored = (
            checked_outputs(model.apply(variables, x, train=False, mask=mask), len(mask))
            for x in (images, images[:, :, ::-1])
        )
        return jnp.logaddexp(*(jax.nn.log_softmax(one["logits"]) for one in (outputs, mirrored)))

    found = predict_split(model, drawn, split, batch_size=N, views="flip")
    np.testing.assert_array_equal(found.logits, before(drawn, split.images, np.ones(N, bool)))


def test_one_view_is_the_network_itself(split, variables):
    found = predict_split(TwoHeads(), variables, split, batch_size=N, views="one")
    expected = jax.jit(lambda variables, images: TwoHeads().apply(variables, images))(variables, split.images)
    np.testing.assert_array_equal(found.logits, expected["logits"])


@pytest.mark.parametrize("views", ["six", "Flip", "", None])
def test_views_that_there_are_none_of_are_refused(split, variables, views):
    with pytest.raises(UserError, match=rf"there are no views {views!r}: pass one, flip, five, ten"):
        predict_split(TwoHeads(), variables, split, batch_size=N, views=views)


@pytest.mark.parametrize(("views", "same"), [("five", False), ("ten", True), ("flip", True)])
def test_views_with_mirror_images_say_the_same_of_a_mirror_image(split, variables, views, same):
    mirrored = Split("val", split.images[:, :, ::-1], split.labels)
    one, other = (predict_split(TwoHeads(), variables, x, batch_size=N, views=views) for x in (split, mirrored))
    assert np.allclose(one.probabilities, other.probabilities, atol=1e-6) == same


def test_moved_views_are_the_extreme_crops_of_training(split):
    image = split.images[:1]
    crops = np.asarray(crop(jax.random.key(0), np.repeat(image, 400, axis=0), distance(48)))
    seen = {one.tobytes() for one in crops}
    assert len(seen) == 25
    assert {view[0].tobytes() for view in by_hand(image, "five")} <= seen


def test_ten_views_are_one_program_that_needs_the_memory_of_one(split, variables):
    traced, memory = {}, {}
    images = np.repeat(split.images, 4, axis=0)
    batch = {"image": images, "mask": np.ones(len(images), bool)}
    for views in ("one", "ten"):
        TwoHeads.traced = 0
        compiled = _compiled.__wrapped__(TwoHeads(), OneDevice(), views).lower(variables, batch).compile()
        traced[views], memory[views] = TwoHeads.traced, compiled.memory_analysis().temp_size_in_bytes
    assert traced["ten"] <= traced["one"] + 1
    assert memory["ten"] < 2 * memory["one"] + 4 * images.nbytes, "ten at once would take ten times as much"
