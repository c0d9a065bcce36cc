"""Tables of images and labels, such as the csv that corrects the labels of class folders."""

from jaxfer.data.layouts.labels_csv.reader import LAYOUT, have_last_word, match_of, refuse_unknown, unknown

__all__ = ["LAYOUT", "have_last_word", "match_of", "refuse_unknown", "unknown"]
