"""The card of a model: what hubs and people read of it is what its run says, and nothing else."""

import json

import numpy as np
import pytest
import yaml
from made_runs import HISTORY, SUMMARY, VAL, with_intervals, write_run
from networks import drawn

from jaxfer.config import PRESETS
from jaxfer.errors import UserError
from jaxfer.inference import FaceModel
from jaxfer.reports import model_card
from jaxfer.runs.load import Trained
from jaxfer.tasks import make_network


def model_of(folder, step=240):
    config = PRESETS["demo"]
    network = make_network(config.model, 7)
    variables = drawn(network, np.zeros((1, 64, 64, 3), np.uint8))
    trained = Trained(folder, config, network, variables, step, step // 60, step % 60 == 0, "last", "9f2c")
    return FaceModel.of_run(trained)


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "first", with_intervals(SUMMARY))


def front_matter(card):
    empty, said, _ = card.split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(said)


def test_hubs_read_its_results_with_their_split(folder):
    said = front_matter(model_card(folder, model_of(folder)))
    assert (said["library_name"], said["pipeline_tag"]) == ("jaxfer", "image-classification")
    assert "license" not in said
    [model] = said["model-index"]
    [result] = model["results"]
    assert model["name"] == "first"
    assert result["dataset"] == {
        "name": "AffectNet folder",
        "type": "affectnet-folder",
        "split": "val",
        "args": {"examples": 211},
    }
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert values == {"accuracy": round(VAL["accuracy"], 4), "macro F1": round(VAL["macro_f1"], 4)}


def test_people_read_scores_data_and_settings(folder):
    card = model_card(folder, model_of(folder))
    for words in (
        "On the split val, n = 211",
        f"| Macro F1 | {VAL['macro_f1']:.3f} | {VAL['macro_f1'] - 0.031:.3f} to {VAL['macro_f1'] + 0.032:.3f} |",
        "- Data: AffectNet folder; 1,905 training images (train), 211 of validation (val). Fingerprint `9f2c`.",
        "- Left out: unreadable, 1 image.",
        "- Checkpoint: after epoch 4, step 240; the last one.",
        "`published`, 158,279 parameters, for faces of 64 x 64 pixels",
        "Do not use it to judge",
    ):
        assert words in card
    assert "faces/12.jpg" not in card, "names of files are the user's"
    for name, of in VAL["per_class"].items():
        assert f"| {name} | {of['precision']:.4f} | {of['recall']:.4f} |" in card


def test_of_a_run_that_has_not_ended_it_says_so(folder):
    (folder / "summary.json").unlink()
    card = model_card(folder, model_of(folder, 150))
    assert "**The run has not ended.** After epoch 2 its accuracy on the validation images was 0.400" in card
    assert "Checkpoint: after epoch 2, step 150, within epoch 3; the last one." in card
    assert "model-index" not in front_matter(card)
    (folder / "metrics.jsonl").write_text("")
    assert "nor has its first epoch: there are no scores" in model_card(folder, model_of(folder, 30))


def test_names_do_nothing_but_show_themselves(folder):
    config = json.loads((folder / "config.json").read_text())
    summary = with_intervals(SUMMARY) | {"data": SUMMARY["data"] | {"source": 'a "b"\n---\nlicense: mit: faces'}}
    write_run(folder, summary, HISTORY, config)
    said = front_matter(model_card(folder, model_of(folder)))
    assert "license" not in said
    assert said["model-index"][0]["results"][0]["dataset"]["name"] == 'a "b"\\n---\\nlicense'


def test_a_damaged_summary_is_a_sentence(folder):
    (folder / "summary.json").write_text((folder / "summary.json").read_text()[:900])
    with pytest.raises(UserError, match=r"summary\.json is damaged: it is not JSON"):
        model_card(folder, model_of(folder))


def test_it_says_which_weights_the_run_began_with_and_not_where_they_lay(folder):
    begun = {"kind": "pretrained", "step": 0, "source": "/home/ada/r18.pth", "origin": "a ResNet", "sha256": "1f2e"}
    for summary in (with_intervals(SUMMARY), None):
        write_run(folder, summary, [begun, *HISTORY])
        if summary is None:
            (folder / "summary.json").unlink()
        card = model_card(folder, model_of(folder))
        assert "- Begun with other weights: a ResNet, SHA-256 `1f2e`.\n- Checkpoint" in card
        assert "r18" not in card
    write_run(folder, with_intervals(SUMMARY), [{"kind": "pretrained", "step": 0}, *HISTORY])
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged: it lacks origin, sha256"):
        model_card(folder, model_of(folder))
