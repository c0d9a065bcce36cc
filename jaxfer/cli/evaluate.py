"""`jaxfer evaluate`: what the networks of runs are worth on a split, with intervals, errors and a page."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from jaxfer.cli.flags import own_network
from jaxfer.cli.start import start_jax
from jaxfer.config import VARIANTS, DataConfig, LabelOrder, Views
from jaxfer.emotions import merged_further
from jaxfer.errors import UserError
from jaxfer.json_text import read

if TYPE_CHECKING:
    from jaxfer.data.dataset import Dataset
    from jaxfer.evaluation.evaluate import Evaluation
    from jaxfer.models import Network
    from jaxfer.runs.load import Trained


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Evaluate the networks of runs on a split, and write a page with their errors into each run's folder.

    jaxfer evaluate runs/first

    jaxfer evaluate runs/first --data fer2013 --split PrivateTest --views ten

    jaxfer evaluate runs/seed-0 runs/seed-1 runs/seed-2 --by valence --json

    jaxfer evaluate runs/seed-0 runs/seed-1 runs/seed-2 --ensemble

    jaxfer evaluate runs/first --columns people.csv --by age

    jaxfer evaluate /shared/runs/first --out evaluations
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, finished or not. Several are compared on the same images."""
    data: Path | None = None
    """Folder (or file) with the labelled faces; by default what each run was trained with."""
    val_dir: Path | None = None
    """Folder (or file) of the validation split, where it does not lie with the rest of the data; by default the
    run's."""
    test_dir: Path | None = None
    """Likewise, of the test split: with --split test, nothing else is read."""
    classes: tuple[str, ...] = ()
    """Compare these of the network's classes alone, as happy,sad, among which it then chooses; by default all."""
    merge: tuple[str, ...] = ()
    """Count some of the network's classes as another, as contempt=disgust, adding their probabilities."""
    class_names: tuple[str, ...] = ()
    """What words for classes in --data mean, as suprise=surprise,sleepy=none; by default what the run was told."""
    label_order: LabelOrder | None = None
    """What digits in folder names of --data mean; by default what the run was told."""
    group_by: str | None = None
    """What says which images were held out together, see `jaxfer train`; by default what the run was told."""
    follow_links: bool = False
    """Follow symbolic links out of the data's folder; what a run was told counts for nothing here."""
    split: str = "val"
    """The split: train, val, test, or the data's own name, such as PublicTest."""
    epoch: Literal["last", "best"] | int = "last"
    """The checkpoint: after the last step, of the best validation accuracy, or after this epoch, where it is kept."""
    views: Views = "one"
    """What the networks are shown of each image, to average their probabilities: the image itself; flip, its mirror
    image too; five, itself and moved a little towards each corner; ten, those five and their mirror images."""
    ensemble: bool = False
    """Evaluate the runs as one network too, by the mean of their log-probabilities."""
    without_copies: bool = False
    """Score the images apart that have no exact copy among those that the run was trained on."""
    statistics_images: int = 0
    """Measure the statistics of batch normalisation anew on so many of the run's training images, before evaluating."""
    by: str | None = None
    """Score the groups of a column apart: valence, arousal, agreement, face_size or folder, where the data has it, or
    one of --columns."""
    columns: Path | None = None
    """A csv with more columns to divide by: one of image names, as predictions.csv has them, and any of words."""
    network: str | None = None
    """Your own network as module:attribute, which is imported, for runs that were trained with one."""
    images: tuple[int, ...] | None = None
    """Rows of predictions.csv to explain by Grad-CAM; by default the most confident errors and a few others."""
    out: Path | None = None
    """Write the folders of the evaluations into this one, made if need be, in place of the runs' own."""
    json: bool = False
    """Print all numbers as JSON, and nothing else, to the standard output."""

    def run(self) -> None:
        """Evaluate, print, and write the folders.

        Raises:
            UserError: No run is named or one twice, what is asked for cannot be evaluated, or there is nowhere to
                write it.
        """
        if not self.runs:
            raise UserError("no run was named: pass the folder of at least one")
        folders = [path.resolve() for path in self.runs]
        if len(set(folders)) < len(folders):
            raise UserError("a run is named twice: pass each once")
        if self.ensemble and len(folders) < 2:
            raise UserError("an ensemble is of two runs or more: pass their folders")
        if self.test_dir is not None and self.split == "val" and self.val_dir is None:
            raise UserError("--test-dir is for the test split, and --split says val: pass --split test")
        start_jax()
        # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
        from jaxfer.evaluation import compare, ensemble
        from jaxfer.reports import print_comparison, print_evaluation, print_tests, write_evaluation

        evaluations = self._evaluations()
        comparison = compare(evaluations) if len(evaluations) > 1 else None
        together = ensemble(evaluations) if self.ensemble else None
        written = [write_evaluation(evaluation, comparison, out=self.out) for evaluation in evaluations]
        page = together and write_evaluation(together, together.comparison, out=self.out)
        if self.json:
            found = {"evaluations": [_written(folder) for folder in written], "comparison": comparison}
            print(json.dumps(found | ({"ensemble": _written(page)} if page else {}), indent=2))
            return
        for evaluation, folder in zip(evaluations, written, strict=True):
            print_evaluation(evaluation)
            print(f"Page: {folder / 'evaluation.html'}")
        if comparison:
            print_comparison(comparison)
        if together and page:
            print_evaluation(together)
            print_tests(together.comparison)
            print(f"Page: {page / 'evaluation.html'}")

    def _evaluations(self) -> "list[Evaluation]":
        from jaxfer.data import load
        from jaxfer.data.groups import read_groups
        from jaxfer.evaluation.evaluate import evaluate, refuse_classes, refuse_other_images
        from jaxfer.reports import images_bar, place_of_evaluations
        from jaxfer.runs.load import load_run

        trained = [load_run(run_dir, self.epoch, model=self._network(run_dir)) for run_dir in self.runs]
        for one in trained:  # now, and not after the work
            place_of_evaluations(one.run_dir, self.out)
            refuse_classes(one, self.classes, self.merge)
        loaded: dict[DataConfig, Dataset] = {}
        configs = [self._data_config(one) for one in trained]
        for config in configs:
            if config not in loaded:
                # A run may be somebody else's: what its config names is read and never written to.
                loaded[config] = load(config, only=self.split, keep=self.data is not None, watch=images_bar)
        if len(loaded) > 1:
            splits = [(loaded[config], loaded[config].split(self.split)) for config in configs]
            prints = [(split.name, data.fingerprint_of(split)) for data, split in splits]
            refuse_other_images([(one.name, *found) for one, found in zip(trained, prints, strict=True)])
        evaluations = []
        for one, config in zip(trained, configs, strict=True):
            data, split = loaded[config], loaded[config].split(self.split)
            groups = read_groups(self.columns, split.names) if self.columns else {}
            if not self.json:
                print(f"evaluating {one.name} on {len(split):,} images", file=sys.stderr)
            options = {"views": self.views, "by": self.by, "images": self.images, "more_groups": groups}
            options |= {"statistics_images": self.statistics_images, "without_copies": self.without_copies}
            options |= {"merge": self.merge}
            evaluations.append(evaluate(one, data, self.split, own=self._own(one, config, data), **options))
        return evaluations

    def _own(self, trained: "Trained", config: DataConfig, data: "Dataset") -> "Dataset | None":
        """Return the data that a run was trained on, where they are needed; `data` are those that `config` names."""
        from jaxfer.data import load
        from jaxfer.reports import images_bar

        if not (self.statistics_images or self.without_copies):
            return None
        own = dataclasses.replace(trained.config.data, follow_links=self.follow_links)
        if self.data is not None and own.data_dir is not None and not own.data_dir.exists():
            own = dataclasses.replace(own, **self._elsewhere(own))  # whose fingerprint says whether it has moved there
        if config == own and "train" in data.splits:
            return data
        return load(own, keep=False, watch=images_bar)

    def _elsewhere(self, config: DataConfig) -> dict[str, Any]:
        """Return where `config` finds data in --data: all of it there, and the table if that is there, too."""
        # What a table says of the run's own images, it does not say of others.
        places: dict[str, Any] = {"data_dir": self.data, "val_dir": None, "test_dir": None}
        place, named = config.data_dir, config.table
        if self.data is not None and place is not None and named is not None and named.is_relative_to(place):
            table = self.data / named.relative_to(place)
            if table.exists():
                return places | {"table": table}
        return places | {"table": None, "image_column": None, "label_column": None}

    def _network(self, run_dir: Path) -> "Network | None":
        """Return the network of the run in a folder, where it is none of jaxfer's and --network says which."""
        from jaxfer.runs.folder import read_config

        config = read_config(run_dir)
        return None if config.model.variant in VARIANTS else own_network(self.network, len(config.data.vocabulary))

    def _data_config(self, one: "Trained") -> DataConfig:
        """Return where to evaluate: the data that the network was trained on, or --data read in the same way."""
        options = {"sampling": "uniform", "soft_labels": False, "follow_links": self.follow_links}
        if self.data is not None:
            options |= self._elsewhere(one.config.data)
        options |= {name: path for name in ("val_dir", "test_dir") if (path := getattr(self, name)) is not None}
        if self.label_order is not None:
            options |= {"label_order": self.label_order}
        if self.class_names:
            options |= {"class_names": self.class_names}
        if self.group_by is not None:
            options |= {"group_by": self.group_by}
        trained = one.config.data
        if self.merge:
            from jaxfer.evaluation.evaluate import classes_of

            trained = dataclasses.replace(trained, merge=merged_further(trained.merge, self.merge))
            trained = trained.of_classes(classes_of(one, self.merge))
        return dataclasses.replace(trained.of_classes(self.classes) if self.classes else trained, **options)


def _written(folder: Path) -> Any:
    return read(folder / "evaluation.json")
