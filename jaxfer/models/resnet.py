"""ResNetFER: residual networks for faces, from the published 158,919 values to ResNet-50.

The blocks are those of He et al., "Deep Residual Learning for Image Recognition" (2016), https://arxiv.org/abs/1512.03385.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from jaxfer.errors import UserError
from jaxfer.models.batch_norm import BatchNorm, Folded
from jaxfer.models.kernels import XLA, Kernels
from jaxfer.models.pixels import first_layers_view

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, UInt8

Padding = Literal["same", "symmetric"]
"""How strided layers are padded, see `ResNetFER.padding`."""

Outputs = dict[str, jax.Array]
"""What a network returns, one entry for each head: `logits` [b, classes] and, say, `affect` [b, 2]; all float32."""

Network = nn.Module
"""Any linen module with `apply(variables, images, *, train, mask) -> Outputs`.

- `images`: [b, h, w, c], integers from 0 to 255 or floating point from 0 to 1; `unit_range` turns both into the latter.
- `train`: whether to drop features and to normalise with the batch's statistics, kept in the collection `batch_stats`.
- `mask`: bool [b], False for padding; or None.

Five things are optional: the fields `kernels` and `axis_name` (see `compiled_for`), the methods
`l2_kernels(params)` and `folded(variables)` (see the functions of these names), and `layers()`, which returns the names
of its modules in groups, from the images on: the last group are its heads.
"""


@dataclass(frozen=True)
class Head:
    """A last layer besides that of the expression.

    Attributes:
        name: Its entry in the network's outputs.
        size: Numbers per image.
        activation: Applied to the layer's output; None for none.
    """

    name: str
    size: int
    activation: Callable[[jax.Array], jax.Array] | None = None


def checked_outputs(outputs: Any, rows: int) -> Outputs:
    """Return what a network returned for `rows` images.

    Raises:
        UserError: It is not what `Network` promises; shapes of other ranks would broadcast into numbers without sense.
    """
    promise = f"return {_OUTPUTS}"
    if not isinstance(outputs, Mapping) or "logits" not in outputs:
        # While it is traced, an array is an object of JAX whose class says nothing to a person.
        kind = "an array" if hasattr(outputs, "shape") else type(outputs).__name__
        found = f"a dict of {', '.join(outputs)}" if isinstance(outputs, Mapping) else kind
        raise UserError(f"the network returned {found} and so no logits: {promise}")
    for name, values in outputs.items():
        shape, dtype = jnp.shape(values), jnp.result_type(values)
        fits = shape[:1] == (rows,) and (name != "logits" or len(shape) == 2)
        if not fits or not jnp.issubdtype(dtype, jnp.floating) or jnp.finfo(dtype).bits < 32:
            raise UserError(f"the network returned {name} as {dtype} {list(shape)} for {rows} images: {promise}")
    return dict(outputs)


def variable_shapes(model: Network, image_size: int) -> Any:
    """Return the shapes of a network's variables; nothing is computed.

    Args:
        model: The network, which may be anything that somebody has passed for one.
        image_size: Height and width of the images in pixels.

    Raises:
        UserError: It is no network, or not one that can be called as `Network` promises.
    """
    if isinstance(model, type):
        raise UserError(
            f"the network {model.__module__}:{model.__qualname__} is a class: pass an instance of it, such as "
            f"{model.__name__}()"
        )
    if not isinstance(model, nn.Module):
        raise UserError(f"{type(model).__name__} was passed for a network: pass {_NETWORK}")
    try:
        # Its signature, and not what happens in a call: a TypeError can come from anywhere inside.
        inspect.signature(model.__call__).bind(None, train=False, mask=None)
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"the network {name_of(model)} cannot be called with images, train and mask ({error}): let it be {_NETWORK}"
        ) from error
    try:
        hash(model)  # since what is compiled of a network is kept by it
    except TypeError as error:
        raise UserError(
            f"the network {name_of(model)} has a field that cannot be hashed, such as a list: pass a tuple in its place"
        ) from error
    images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    return jax.eval_shape(initializer(model), jax.random.key(0), images)


_OUTPUTS = "a dict with the float32 logits [b, classes], and an entry [b, ...] for each further head"
_NETWORK = f"a linen module whose __call__(images, *, train, mask) returns {_OUTPUTS}"


def output_shapes(model: Network, variables: Any, images: Any) -> Any:
    """Return the shapes of what a network says of images in evaluation; nothing is computed.

    Args:
        model: The network.
        variables: Its variables, or their shapes. Of their collections it gets what training keeps.
        images: Images as it takes them [b, h, w, c], or their shape.

    Raises:
        UserError: As for `checked_outputs`; or it needs more collections than training keeps.
    """
    kept = {name: variables[name] for name in ("params", "batch_stats") if name in variables}
    try:
        found = jax.eval_shape(
            lambda variables, images: model.apply(variables, images, train=False, mask=None), kept, images
        )
    except FlaxError as error:
        others = [name for name in variables if name not in kept]
        if not others:
            raise
        raise UserError(
            f"the network {name_of(model)} needs the collection {others[0]!r}, and training keeps params and "
            "batch_stats alone: keep in batch_stats what changes besides the parameters"
        ) from error
    return checked_outputs(found, images.shape[0])


def count_classes(model: Network, variables: Any, images: Any) -> int:
    """Return how many classes the logits of a network stand for; nothing is computed.

    Args:
        model: The network.
        variables: Its variables, or their shapes.
        images: Images as it takes them [b, h, w, c], or their shape.

    Raises:
        UserError: As for `output_shapes`.
    """
    return output_shapes(model, variables, images)["logits"].shape[1]


@lru_cache(maxsize=8)
def initializer(model: Network) -> Callable[[jax.Array, Any], Any]:
    """Return `init(key, images) -> variables`, compiled, and traced, once for all runs of a network.

    For shapes alone take `jax.eval_shape` of it: tracing a large network takes a second.
    """
    return jax.jit(partial(model.init, train=False, mask=None))


def l2_kernels(model: Network, params: Any) -> list[jax.Array]:
    """Return the kernels whose squares the L2 term adds up.

    Args:
        model: The network. Its method `l2_kernels(params)`, if it has one, decides.
        params: Its parameters.

    Returns:
        The kernels, arrays of any shapes. Without such a method: all parameters of more than one axis.
    """
    if hasattr(model, "l2_kernels"):
        return model.l2_kernels(params)
    return [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]


def folded(model: Network, variables: Any) -> tuple[Network, Any]:
    """Return a network and its variables that answer in evaluation as these do, to rounding, with less to compute.

    Args:
        model: The network. Its method `folded(variables)`, if it has one, decides.
        variables: Its variables.

    Returns:
        Another network with variables of its own, which cannot be trained; or, without such a method, these.
    """
    return model.folded(variables) if hasattr(model, "folded") else (model, variables)


# Functions, here and of the normalisation, that have names: networks hold them, and are pickled and compared by them.


def _glorot_uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Return a kernel as Keras draws it: Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html."""
    return nn.initializers.glorot_uniform()(key, shape, dtype)


def he_normal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Return a kernel as PyTorch's ResNets draw it, by its fan out: He et al. 2015, https://arxiv.org/abs/1502.01852.

    Args:
        key: What it is drawn from.
        shape: Its shape, [h, w, c_in, c].
        dtype: Its dtype.
    """
    return nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")(key, shape, dtype)


@dataclass(frozen=True)
class Stem:
    """The first convolution.

    Attributes:
        kernel: Height and width of its kernel.
        stride: Its stride along both.
        pool: Whether a 3x3 max-pool of stride 2 follows.
    """

    kernel: int = 7
    stride: int = 2
    pool: bool = True


class SqueezeExcite(nn.Module):
    """Weighs the channels of a map by what the whole map holds: squeeze-and-excitation.

    From Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3, https://arxiv.org/abs/1709.01507: the mean of
    each channel goes through a layer with ReLU and one with a sigmoid, whose outputs are the channels' factors.

    Attributes:
        ratio: The paper's reduction ratio r: the layer between has channels / r values, and at least one.
    """

    ratio: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Multiply each channel of x [b, h, w, c] by a factor between 0 and 1, computed in float32."""
        channels = x.shape[-1]
        dense = partial(nn.Dense, kernel_init=_glorot_uniform)
        factors = x.astype(jnp.float32).mean((1, 2))  # [b, c]
        factors = nn.relu(dense(max(1, channels // self.ratio), name="reduce")(factors))
        factors = nn.sigmoid(dense(channels, name="expand")(factors))
        return x * factors[:, None, None].astype(x.dtype)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut.

    Attributes:
        filters: Channels between the convolutions and of the output.
        stride: Stride of the first convolution.
        conv: The convolution to build from, as `ResNetFER` binds it.
        norm: The normalisation to build from, as `ResNetFER` binds it.
        last_scale_init: Initialiser of the last normalisation's scale; zeros make the block the identity (after ReLU).
        squeeze: Reduction ratio of the squeeze-and-excitation before the addition; None leaves it out.
    """

    filters: int
    stride: int
    conv: Callable[..., Any]
    norm: Callable[..., Any]
    last_scale_init: Callable[..., jax.Array]
    squeeze: int | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out filters"]:
        """Map x [b, h, w, c] to [b, ceil(h / stride), ceil(w / stride), filters]."""
        y = self.conv(self.filters, (3, 3), strides=self.stride, name="conv1")(x)
        y = nn.relu(self.norm(name="norm1")(y))
        y = self.conv(self.filters, (3, 3), name="conv2")(y)
        y = self.norm(name="norm2", scale_init=self.last_scale_init)(y)
        return nn.relu(_shortcut(self, x, y) + _excited(self, y))


class BottleneckBlock(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution around a shortcut.

    The stride is in the 3x3 convolution, as in most implementations since the paper.

    Attributes:
        filters: Channels between the convolutions; the output has four times as many.
        stride: Stride of the 3x3 convolution.
        conv: The convolution to build from, as `ResNetFER` binds it.
        norm: The normalisation to build from, as `ResNetFER` binds it.
        last_scale_init: Initialiser of the last normalisation's scale; zeros make the block the identity (after ReLU).
        squeeze: Reduction ratio of the squeeze-and-excitation before the addition; None leaves it out.
    """

    filters: int
    stride: int
    conv: Callable[..., Any]
    norm: Callable[..., Any]
    last_scale_init: Callable[..., jax.Array]
    squeeze: int | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out 4*filters"]:
        """Map x [b, h, w, c] to [b, ceil(h / stride), ceil(w / stride), 4 * filters]."""
        y = self.conv(self.filters, (1, 1), name="conv1")(x)
        y = nn.relu(self.norm(name="norm1")(y))
        y = self.conv(self.filters, (3, 3), strides=self.stride, name="conv2")(y)
        y = nn.relu(self.norm(name="norm2")(y))
        y = self.conv(4 * self.filters, (1, 1), name="conv3")(y)
        y = self.norm(name="norm3", scale_init=self.last_scale_init)(y)
        return nn.relu(_shortcut(self, x, y) + _excited(self, y))


def _shortcut(block: BasicBlock | BottleneckBlock, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return x, projected by a strided 1x1 convolution where its shape differs from the block's output y."""
    if x.shape == y.shape:
        return x
    x = block.conv(y.shape[-1], (1, 1), strides=block.stride, name="shortcut_conv")(x)
    return block.norm(name="shortcut_norm")(x)


def _excited(block: BasicBlock | BottleneckBlock, y: jax.Array) -> jax.Array:
    """Return the block's output y before the addition, its channels weighed if the block does so."""
    return y if block.squeeze is None else SqueezeExcite(block.squeeze, name="excitation")(y)


class ResNetFER(nn.Module):
    """A residual network that maps face images to one logit per expression.

    The defaults are the published network: 158,919 values, of which 640 are running statistics. `ResNetFERSmall`
    and `ResNetFERStrong`, which is ResNet-18 without its pool and with the stem that is usual for small pictures, are
    made for faces of 40 to 64 pixels; `ResNetFER18`, `ResNetFER34` and `ResNetFER50` are the standard networks. Every
    field can be set apart.

    Attributes:
        num_classes: Logits per image.
        stage_sizes: Blocks in each stage; each stage after the first halves the map and doubles the channels.
        width: Channels of the stem and of the first stage's blocks.
        block: `BasicBlock` or `BottleneckBlock`.
        stem: The first convolution and pool.
        final_pool: Whether a 3x3 max-pool of stride 2 precedes the global average.
        use_bias: Whether convolutions have biases, which batch normalisation makes redundant.
        norm: The normalisation layer.
        kernel_init: Initialiser of the convolutions; the last layers always use Glorot's.
        zero_last_scale: Whether every block starts as the identity (Goyal et al. 2017, section 5.1,
            https://arxiv.org/abs/1706.02677).
        squeeze: Reduction ratio of a squeeze-and-excitation at the end of each block, such as 8 or 16 (see
            `SqueezeExcite`); None has none.
        gray: Whether the network sees one channel. It makes it from RGB, 0.299 R + 0.587 G + 0.114 B (the luma of ITU-R
            BT.601), and takes images of one channel as they are.
        standardize: Whether the network brings each image to mean 0 and deviation 1 over all its pixels and channels
            (see `standardized`), after what `gray` does; else the first layer sees values from 0 to 1.
        pixel_mean: The mean of red, green and blue, from 0 to 1, which the network subtracts from images of that range;
            empty for none.
        pixel_std: The deviation of each by which it then divides; empty for none.
        padding: How strided layers are padded: `same`, as TensorFlow and Keras do, or `symmetric`, as PyTorch does.
            On maps of an even side the two differ by a place; other layers are padded alike by both.
        dropout: Share of the pooled features dropped in training.
        heads: Last layers besides that of the expression, such as that of valence and arousal.
        dtype: Dtype of the computation. Parameters, statistics and outputs are always float32.
        axis_name: The mapped axis over which normalisation shares its statistics; `compiled_for` sets it.
        kernels: The functions that convolve and pool; `compiled_for` sets them.

    >>> model = ResNetFER()
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables))
    158919
    >>> model.apply(variables, jnp.zeros((5, 48, 48, 3), jnp.uint8))["logits"].shape
    (5, 7)
    """

    num_classes: int = 7
    stage_sizes: tuple[int, ...] = (2,)
    width: int = 64
    block: type[BasicBlock] | type[BottleneckBlock] = BasicBlock
    stem: Stem = Stem()
    final_pool: bool = True
    use_bias: bool = True
    norm: Callable[..., Any] = BatchNorm
    kernel_init: Callable[..., jax.Array] = _glorot_uniform
    zero_last_scale: bool = False
    squeeze: int | None = None
    gray: bool = False
    standardize: bool = False
    pixel_mean: tuple[float, ...] = ()
    pixel_std: tuple[float, ...] = ()
    padding: Padding = "same"
    dropout: float = 0.0
    heads: tuple[Head, ...] = ()
    dtype: Any = jnp.float32
    axis_name: str | None = None
    kernels: Kernels = XLA

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "b h w c"] | UInt8[Array, "b h w c"],
        *,
        train: bool = False,
        mask: Bool[Array, " b"] | None = None,
    ) -> Outputs:
        """Return what each head says of the images.

        Args:
            images: RGB, [b, h, w, 3], h and w at least 32; integers from 0 to 255, or floating point from 0 to 1.
                Where the network is `gray` also [b, h, w, 1].
            train: Whether to normalise with the batch's statistics and to drop features (needs the `dropout` key).
            mask: bool [b], False for padding, which does not count in the batch's statistics; None if there is none.

        Returns:
            `logits`, float32 [b, num_classes], and an entry for each of `heads`, float32 [b, size].

        Raises:
            UserError: The images have fewer than 32x32 pixels, another number of channels, or are uint16.
        """
        if min(images.shape[1:3]) < 32:
            raise UserError(f"images are {images.shape[1]}x{images.shape[2]}: pass at least 32x32 pixels")
        layer = partial(conv_layer, self.padding, conv_general_dilated=self.kernels.convolution)
        conv = partial(layer, use_bias=self.use_bias, kernel_init=self.kernel_init, dtype=self.dtype)
        norm = partial(bind_norm, self.norm, train=train, mask=mask, dtype=self.dtype, axis_name=self.axis_name)
        last_scale_init = nn.initializers.zeros if self.zero_last_scale else nn.initializers.ones

        options = {"mean": self.pixel_mean, "deviation": self.pixel_std, "dtype": self.dtype}
        x = first_layers_view(images, gray=self.gray, standardize=self.standardize, **options)
        x = conv(self.width, (self.stem.kernel, self.stem.kernel), strides=self.stem.stride, name="stem_conv")(x)
        x = nn.relu(norm(name="stem_norm")(x))
        if self.stem.pool:
            x = self.kernels.max_pool(x, 3, 2, self.padding)
        for stage, size in enumerate(self.stage_sizes):
            for index in range(size):
                x = self.block(
                    filters=self.width * 2**stage,
                    stride=2 if stage > 0 and index == 0 else 1,
                    conv=conv,
                    norm=norm,
                    last_scale_init=last_scale_init,
                    squeeze=self.squeeze,
                    name=f"stage{stage + 1}_block{index + 1}",
                )(x)
        if self.final_pool:
            x = self.kernels.max_pool(x, 3, 2, self.padding)
        return pooled_outputs(x, self.num_classes, self.heads, self.dropout, train=train)

    @nn.nowrap
    def layers(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the modules in groups, from the images on: the stem, each block, and the heads."""
        blocks = [
            (f"stage{stage + 1}_block{index + 1}",)
            for stage, size in enumerate(self.stage_sizes)
            for index in range(size)
        ]
        return ("stem_conv", "stem_norm"), *blocks, ("head", *(f"{head.name}_head" for head in self.heads))

    def l2_kernels(self, params: Any) -> list[Float[Array, " ..."]]:
        """Return the kernels of the stem and of the last layer, as in the published experiment."""
        return [params["stem_conv"]["kernel"], params["head"]["kernel"]]

    @nn.nowrap
    def folded(self, variables: Mapping[str, Any]) -> tuple[ResNetFER, Mapping[str, Any]]:
        """Return this network without normalisation, and its variables with that folded into the convolutions.

        In float32 alone: shorter floats would round the folded kernels. Blocks and normalisations that are not
        jaxfer's stay as they are, and the whole network with them.
        """
        norm, own = self.norm(), type(self) is ResNetFER and self.block in (BasicBlock, BottleneckBlock)
        if not own or type(norm) is not BatchNorm or self.dtype != jnp.float32:
            return self, variables
        params = _folded(norm, variables["params"], variables["batch_stats"])
        return self.clone(norm=Folded, use_bias=True), {"params": params}


def _folded(norm: BatchNorm, params: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters in which each convolution has taken in the normalisation after it, `norm1` into `conv1`."""
    found = {}
    for name, inner in params.items():
        after = name.replace("conv", "norm")
        if after != name:
            found[name] = norm.folded(inner, params[after], statistics[after])
        elif name not in statistics:  # what has no normalisation inside, as the last layers
            found[name] = inner
        elif "scale" not in inner:
            found[name] = _folded(norm, inner, statistics[name])
    return found


def bind_norm(layer: Callable[..., Any], *, train: bool, mask: jax.Array | None, **fields: Any) -> Callable[..., Any]:
    """Build a normalisation layer and bind what it is called with, so that blocks pass it their map alone.

    Args:
        layer: The layer, such as `BatchNorm`.
        train: As for the network.
        mask: As for the network.
        fields: Those of the layer.
    """
    module = layer(**fields)
    return lambda x: module(x, train=train, mask=mask)


def conv_layer(
    padding: Padding, features: int, kernel_size: tuple[int, int], strides: int = 1, **fields: Any
) -> nn.Conv:
    """Build a convolution that is padded as `ResNetFER.padding` says.

    Args:
        padding: How it is padded where it has a stride.
        features: Channels of its output.
        kernel_size: Height and width of its kernel.
        strides: Its stride, along both axes.
        fields: Further ones of `flax.linen.Conv`.
    """
    # Without a stride both are the same, and SAME has the fastest kernels.
    symmetric = padding == "symmetric" and strides > 1 and max(kernel_size) > 1
    pads = tuple((side // 2, side // 2) for side in kernel_size) if symmetric else "SAME"
    return nn.Conv(features, kernel_size, strides=strides, padding=pads, **fields)


def pooled_outputs(
    x: Float[Array, "b h w c"], num_classes: int, heads: tuple[Head, ...], dropout: float, *, train: bool
) -> Outputs:
    """Return what the last layers of a network say of its last map; to be called where its modules are made.

    Args:
        x: The map.
        num_classes: Logits per image.
        heads: Last layers besides that of the expression.
        dropout: Share of the pooled features dropped in training.
        train: As for the network.
    """
    # A mean of bfloat16 would lose digits that the float32 heads need.
    x = x.astype(jnp.float32).mean((1, 2))  # [b, channels]
    x = nn.Dropout(dropout, deterministic=not train)(x)
    dense = partial(nn.Dense, kernel_init=_glorot_uniform)
    outputs = {"logits": dense(num_classes, name="head")(x)}
    for head in heads:
        value = dense(head.size, name=f"{head.name}_head")(x)
        outputs[head.name] = value if head.activation is None else head.activation(value)
    return outputs


def standard_norm(**fields: Any) -> BatchNorm:
    """Return batch normalisation with PyTorch's numbers.

    Args:
        fields: Those of `BatchNorm` besides them.
    """
    return BatchNorm(momentum=0.9, epsilon=1e-5, **fields)


_standard = partial(
    ResNetFER,
    final_pool=False,
    use_bias=False,
    norm=standard_norm,
    kernel_init=he_normal,
    zero_last_scale=True,
)

# The stem halves the map: 64 channels on 24x24 places take a CPU 0.6 of the time that 32 channels on 48x48 take with as
# many values and as much arithmetic, since there most of a step is moving memory.
ResNetFERSmall = partial(_standard, stage_sizes=(2, 2, 1), stem=Stem(3, 2, pool=False))
ResNetFERStrong = partial(_standard, stage_sizes=(2, 2, 2, 2), stem=Stem(3, 1, pool=False))
ResNetFER18 = partial(_standard, stage_sizes=(2, 2, 2, 2))
ResNetFER34 = partial(_standard, stage_sizes=(3, 4, 6, 3))
ResNetFER50 = partial(_standard, stage_sizes=(3, 4, 6, 3), block=BottleneckBlock)


def import_network(name: str, num_classes: int) -> Network:
    """Import a network of the user's own. That runs the code of its module.

    Args:
        name: `module:attribute`. The attribute is a network, or makes one when it is called with `num_classes`.
        num_classes: Logits per image.

    Raises:
        UserError: There is no such module or attribute, or it is no network.
    """
    module, _, attribute = name.partition(":")
    if not attribute:
        raise UserError(
            f"the network {name} names a module alone (no colon): pass module:attribute, as {module}:Network"
        )
    try:
        found = attrgetter(attribute)(importlib.import_module(module))
    except (ImportError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"the network {name} cannot be imported ({error}): pass module:attribute") from error
    if isinstance(found, nn.Module) or not callable(found):
        network = found
    else:
        try:
            inspect.signature(found).bind(num_classes=num_classes)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{name} cannot be called with num_classes={num_classes} ({error}): let it take them, or name a network"
            ) from error
        network = found(num_classes=num_classes)
    if not isinstance(network, nn.Module):
        raise UserError(f"{name} is no network but {type(network).__name__}: pass a linen module, or what makes one")
    return network


def name_of(model: Network) -> str:
    """Return the `module:attribute` of a network's class, as a config names the network of a run."""
    return f"{type(model).__module__}:{type(model).__qualname__}"
