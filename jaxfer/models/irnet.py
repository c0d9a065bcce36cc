"""IRNet: the residual networks of face recognition, whose published weights know hundreds of thousands of people.

The block is the "improved residual" one of Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face
Recognition" (2019), https://arxiv.org/abs/1801.07698; that of AdaFace (Kim et al. 2022,
https://arxiv.org/abs/2204.00964) has one more normalisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxfer.models.kernels import XLA, Kernels
from jaxfer.models.pixels import first_layers_view
from jaxfer.models.resnet import (
    Head,
    Outputs,
    Padding,
    bind_norm,
    conv_layer,
    he_normal,
    pooled_outputs,
    standard_norm,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, UInt8


class PReLU(nn.Module):
    """ReLU with a slope for each channel where values are negative (He et al. 2015), https://arxiv.org/abs/1502.01852."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Return x where it is positive, and elsewhere x times its channel's slope."""
        slope = self.param("slope", nn.initializers.constant(0.25), (x.shape[-1],), jnp.float32)
        return jnp.maximum(x, 0) + slope.astype(x.dtype)[None, None, None] * jnp.minimum(x, 0)


class IRBlock(nn.Module):
    """Normalisation, 3x3 convolution, PReLU, 3x3 convolution, normalisation, around a shortcut; no ReLU after the sum.

    Attributes:
        filters: Channels of the output.
        stride: Stride of the second convolution.
        conv: The convolution to build from, as `IRNet` binds it.
        norm: The normalisation to build from, as `IRNet` binds it.
        middle_norm: Whether there is a normalisation between the first convolution and PReLU.
    """

    filters: int
    stride: int
    conv: Callable[..., Any]
    norm: Callable[..., Any]
    middle_norm: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out filters"]:
        """Map x [b, h, w, c] to [b, ceil(h / stride), ceil(w / stride), filters]."""
        y = self.norm(name="norm1")(x)
        y = self.conv(self.filters, (3, 3), name="conv1")(y)
        y = self.norm(name="norm2")(y) if self.middle_norm else y
        y = PReLU(name="prelu")(y)
        y = self.conv(self.filters, (3, 3), strides=self.stride, name="conv2")(y)
        y = self.norm(name="norm3")(y)
        if x.shape[-1] == self.filters:
            return lax.slice(x, (0, 0, 0, 0), x.shape, (1, self.stride, self.stride, 1)) + y
        x = self.conv(self.filters, (1, 1), strides=self.stride, name="shortcut_conv")(x)
        return self.norm(name="shortcut_norm")(x) + y


class IRNet(nn.Module):
    """A residual network of face recognition that maps face images to one logit per expression.

    It is made for faces of 112 pixels, and takes others. In place of the embedding that recognition ends with, whose
    layer fits 112 pixels alone, it takes the mean over the last map. `IRNet18` and `IRNet50` have ArcFace's block,
    `AdaFace18` and `AdaFace50` that of AdaFace.

    Attributes:
        num_classes: Logits per image.
        stage_sizes: Blocks in each stage; each stage halves the map, and each after the first doubles the channels.
        width: Channels of the first convolution and of the first stage.
        middle_norm: Whether blocks have a third normalisation, see `IRBlock`.
        final_norm: Whether a normalisation follows the last block.
        gray: As in `ResNetFER`.
        standardize: As in `ResNetFER`.
        pixel_mean: As in `ResNetFER`; 0.5 for each of the three where these weights come from.
        pixel_std: As in `ResNetFER`; likewise 0.5.
        padding: As in `ResNetFER`.
        dropout: Share of the pooled features dropped in training.
        heads: Last layers besides that of the expression.
        dtype: As in `ResNetFER`.
        axis_name: As in `ResNetFER`.
        kernels: As in `ResNetFER`.
    """

    num_classes: int = 7
    stage_sizes: tuple[int, ...] = (3, 4, 14, 3)
    width: int = 64
    middle_norm: bool = False
    final_norm: bool = True
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
            images: As for `ResNetFER`.
            train: As for `ResNetFER`.
            mask: As for `ResNetFER`.

        Returns:
            `logits`, float32 [b, num_classes], and an entry for each of `heads`, float32 [b, size].

        Raises:
            UserError: The images have another number of channels, or are uint16.
        """
        options = {"mean": self.pixel_mean, "deviation": self.pixel_std, "dtype": self.dtype}
        x = first_layers_view(images, gray=self.gray, standardize=self.standardize, **options)
        layer = partial(conv_layer, self.padding, conv_general_dilated=self.kernels.convolution)
        conv = partial(layer, use_bias=False, kernel_init=he_normal, dtype=self.dtype)
        fields = {"dtype": self.dtype, "axis_name": self.axis_name}
        norm = partial(bind_norm, standard_norm, train=train, mask=mask, **fields)
        x = conv(self.width, (3, 3), name="stem_conv")(x)
        x = PReLU(name="stem_prelu")(norm(name="stem_norm")(x))
        for stage, size in enumerate(self.stage_sizes):
            for index in range(size):
                x = IRBlock(
                    filters=self.width * 2**stage,
                    stride=2 if index == 0 else 1,
                    conv=conv,
                    norm=norm,
                    middle_norm=self.middle_norm,
                    name=f"stage{stage + 1}_block{index + 1}",
                )(x)
        if self.final_norm:
            x = norm(name="final_norm")(x)
        return pooled_outputs(x, self.num_classes, self.heads, self.dropout, train=train)

    @nn.nowrap
    def layers(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the modules in groups, from the images on: the stem, each block, and the heads."""
        blocks = [
            (f"stage{stage + 1}_block{index + 1}",)
            for stage, size in enumerate(self.stage_sizes)
            for index in range(size)
        ]
        last = (*blocks.pop(), "final_norm") if self.final_norm else blocks.pop()
        heads = ("head", *(f"{head.name}_head" for head in self.heads))
        return ("stem_conv", "stem_norm", "stem_prelu"), *blocks, last, heads

    def l2_kernels(self, params: Any) -> list[jax.Array]:
        """Return the kernels of the first and of the last layer, as `ResNetFER` does."""
        return [params["stem_conv"]["kernel"], params["head"]["kernel"]]


IRNet18 = partial(IRNet, stage_sizes=(2, 2, 2, 2))
IRNet50 = partial(IRNet)
AdaFace18 = partial(IRNet, stage_sizes=(2, 2, 2, 2), middle_norm=True)
AdaFace50 = partial(IRNet, middle_norm=True)
