"""What a person can choose when a data set is prepared."""

from dataclasses import dataclass
from typing import Any, Literal

from jaxfer.config import DataConfig
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Options:
    """How faces are cut out and which are kept; `jaxfer.data.prepared.prepare` describes each.

    Raises `UserError` for values that make no sense.
    """

    num_classes: int = 7
    image_size: int = 64
    margin: float = 0.0
    label_order: str | None = None
    leaks: Literal["drop", "keep"] = "drop"
    duplicates: Literal["keep", "drop"] = "keep"

    def __post_init__(self) -> None:
        # What loading refuses is refused here already, in the same words.
        shared: Any = {name: getattr(self, name) for name in ("num_classes", "image_size", "margin", "label_order")}
        DataConfig(**shared)
        for name in ("leaks", "duplicates"):
            if getattr(self, name) not in ("drop", "keep"):
                raise UserError(f"{name} is {getattr(self, name)!r}: pass one of drop, keep")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that are kept, in the order of their labels."""
        return AFFECTNET_8[: self.num_classes]

    @property
    def config_name(self) -> str:
        """What tfds calls data sets with these classes, size and margin.

        >>> Options(num_classes=8, margin=0.1).config_name
        'affectnet8-64px-margin10'
        """
        margin = f"-margin{100 * self.margin:g}" if self.margin else ""
        return f"affectnet{self.num_classes}-{self.image_size}px{margin}"
