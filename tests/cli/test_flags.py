"""The flags of training programs."""

from pathlib import Path

import pytest

from jaxfer.cli.flags import TrainingFlags
from jaxfer.cli.main import parse
from jaxfer.config import PRESETS, AugmentConfig, Config, to_json
from jaxfer.errors import UserError


def test_the_published_run_is_one_preset_and_a_folder():
    flags = TrainingFlags.parse(["--data-dir", "faces", "--preset", "published"])
    assert flags.config.data.data_dir == Path("faces")
    assert (flags.config.epochs, flags.config.batch_size) == (50, 32)
    assert (flags.config.optimizer.optimizer, flags.config.optimizer.learning_rate) == ("adam", 0.001)
    assert flags.run_dir.parent == Path("runs")
    assert flags.run_dir.name.startswith("published-")


def test_flags_change_the_preset_field_by_field():
    flags = TrainingFlags.parse(["--flip", "--variant", "resnet18", "--step-epochs", "5", "8", "--ema", "0.99"])
    assert flags.config.augment.flip
    assert flags.config.model.variant == "resnet18"
    assert flags.config.optimizer.step_epochs == (5, 8)
    assert flags.config.optimizer.ema == 0.99
    assert flags.config.epochs == PRESETS["published"].epochs


def test_without_a_flag_it_is_the_config_without_an_argument():
    assert TrainingFlags.parse([]).config == Config() == PRESETS["published"]


def test_a_mistyped_flag_ends_with_those_that_are_like_it(capsys):
    with pytest.raises(SystemExit) as ended:
        TrainingFlags.parse(["--learning-rat", "0.1"])
    assert ended.value.code == 2
    assert "--learning-rate" in capsys.readouterr().err


def test_every_change_of_the_training_images_is_a_flag():
    flags = {
        "alternate_flip": (["--alternate-flip"], True),
        "resized_crop": (["--resized-crop", "0.2"], 0.2),
        "trivial": (["--trivial", "0.5"], 0.5),
        "geometric_probability": (["--geometric-probability", "0.5"], 0.5),
        "saturation": (["--saturation", "0.3"], 0.3),
        "hue": (["--hue", "15"], 15.0),
        "photometric_probability": (["--photometric-probability", "0.25"], 0.25),
        "erase_area": (["--erase-area", "0.25"], 0.25),
        "erase_fill": (["--erase-fill", "mean"], "mean"),
    }
    words = [word for arguments, _ in flags.values() for word in arguments]
    wanted = {name: value for name, (_, value) in flags.items()}
    assert TrainingFlags.parse(words).config.augment == AugmentConfig(**wanted)


def test_resuming_starts_from_the_configuration_of_the_run(tmp_path):
    (tmp_path / "config.json").write_text(to_json(Config(epochs=7, seed=3)))
    flags = TrainingFlags.parse(["--run-dir", str(tmp_path), "--resume", "--epochs", "9"])
    assert flags.config == Config(epochs=9, seed=3)
    assert flags.resume


def test_resuming_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="pass --run-dir"):
        TrainingFlags.parse(["--resume"])
    with pytest.raises(UserError, match="holds no run"):
        TrainingFlags.parse(["--resume", "--run-dir", str(tmp_path)])


def test_several_processes_are_told_who_they_are_and_share_a_folder(tmp_path):
    assert not TrainingFlags.parse([]).processes.several
    who = ["--coordinator", "host:5000", "--processes", "2", "--process-id", "1"]
    flags = TrainingFlags.parse(["--run-dir", str(tmp_path), *who])
    found = flags.processes
    assert (found.coordinator, found.processes, found.process_id, found.several) == ("host:5000", 2, 1, True)
    assert flags.resume_command("python train.py") == (
        f"python train.py --run-dir {tmp_path} --resume, and the same flags about the processes in each"
    )
    for flags in (["--cluster"], who):
        with pytest.raises(UserError, match="several processes need one folder in common: pass the same --run-dir"):
            TrainingFlags.parse(flags)


def test_help_explains_every_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as ended:
        TrainingFlags.parse(["--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "--learning-rate FLOAT",
        "(default: 0.001)",
        "--data-dir",
        "--preset {published,demo,fast,small,strong,finetune}",
        "--resume",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--learning-rate", "-1"], "learning_rate is -1.0: pass a number above 0"),
        (["--image-size", "20"], "image_size is 20: pass from 32 to 4096 pixels"),
        (["--erase-area", "0.01"], "erase_area is 0.01: pass a share from 0.02 to 1"),
        (["--trivial", "4"], "trivial is 4.0: pass a strength from 0 to 3"),
        (["--geometric-probability", "1.5"], "geometric_probability is 1.5: pass a probability from 0 to 1"),
        (["--crop", "64"], "crop is 64: pass fewer pixels than the images have, 64"),
        (["--cluster", "--process-id", "1"], "--cluster says itself who the processes are"),
    ],
)
def test_values_that_a_config_refuses_are_told_as_all_mistakes_are(arguments, sentence, capsys):
    for parsing in (TrainingFlags.parse, lambda arguments: parse(["train", *arguments])):
        with pytest.raises(UserError) as refused:
            parsing(arguments)
        assert str(refused.value).startswith(sentence)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--optimizer", "adan"], "adan"),
        (["--learning-rat", "1"], "--learning-rate"),
        (["--epochs", "many"], "--epochs"),
        (["--preset", "smal"], "invalid choice 'smal' for argument '--preset'"),
    ],
)
def test_flags_that_cannot_be_are_explained(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        TrainingFlags.parse(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
