"""Class folders whose labels a csv corrects."""

from jaxfer.data.layouts.labels_csv.reader import LAYOUT, refuse_unknown, why_not

__all__ = ["LAYOUT", "refuse_unknown", "why_not"]
