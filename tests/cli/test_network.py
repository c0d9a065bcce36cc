"""A network of one's own, named on the command line: trained, resumed, swept over and evaluated."""

import json
import sys

import commands
import pytest

from jaxfer.cli.main import parse
from jaxfer.cli.start import StartUp
from jaxfer.config import Config, ModelConfig, from_json, to_json

MODULE = """
import flax.linen as nn


class Net(nn.Module):
    num_classes: int = 7

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.relu(nn.Conv(4, (5, 5), strides=4)(images / 255.0))
        return {"logits": nn.Dense(self.num_classes)(x.mean((1, 2)))}
"""
SMALL = ["--drawn-train", "14", "--drawn-val", "7", "--image-size", "32", "--batch-size", "7", "--l2", "0"]

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture
def jaxfer(tmp_path, monkeypatch, capsys):
    """Run the command in a folder with the network's module; return its exit code, what it printed and its errors."""
    (tmp_path / "my_networks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    for verb in ("train", "sweep", "evaluate"):
        monkeypatch.setattr(f"jaxfer.cli.{verb}.start_jax", lambda *_: StartUp())

    yield lambda *arguments: (commands.jaxfer(*arguments), *capsys.readouterr())
    sys.modules.pop("my_networks", None)


@pytest.mark.parametrize("flag", ["--network", "--variant"])
def test_who_names_a_network_has_it_imported_and_no_config_does(flag, tmp_path):
    flags = parse(["train", flag, "mine:Net"])
    assert (flags.network, flags.config.model.variant) == ("mine:Net", "mine:Net")
    assert parse(["train", "--variant", "resnet18"]).network is None
    assert parse(["train", flag, "mine:Net", "--preset", "small"]).config.model == ModelConfig(variant="mine:Net")
    (tmp_path / "config.json").write_text(to_json(Config(model=ModelConfig(variant="mine:Net", dropout=0.2))))
    resumed = parse(["train", "--run-dir", str(tmp_path), "--resume"])
    assert (resumed.network, resumed.config.model.variant) == (None, "mine:Net")
    assert resumed.config.model.dropout == 0.2, "a run of a release before goes on as it began"
    again = parse(["train", "--run-dir", str(tmp_path), "--resume", "--network", "mine:Net"])
    assert again.config == resumed.config
    assert "--resume --network mine:Net" in again.resume_command("jaxfer train")


@pytest.mark.long
def test_a_network_of_ones_own_is_trained_resumed_and_evaluated(jaxfer, tmp_path):
    code, _, error = jaxfer("train", "--run-dir", "run", "--network", "my_networks:Net", "--epochs", 1, *SMALL)
    assert code == 0, error
    config = from_json((tmp_path / "run/config.json").read_text())
    assert config.model.variant == "my_networks:Net"
    assert json.loads((tmp_path / "run/summary.json").read_text())["config"] == json.loads(to_json(config))
    for arguments in (["train", "--run-dir", "run", "--resume"], ["evaluate", "run"]):
        code, _, error = jaxfer(*arguments)
        assert code == 2
        assert "name it on the command line (--network my_networks:Net)" in error
        code, _, error = jaxfer(*arguments, "--network", "my_networks:Net")
        assert code == 0, error
        code, _, error = jaxfer(*arguments, "--network", "my_networks:Nets")
        assert code == 2
        assert "cannot be imported" in error


@pytest.mark.long
def test_a_network_of_ones_own_is_swept_over(jaxfer, tmp_path):
    over = ["--over", "learning_rate=0.01,0.001", "--sweep-dir", "sweep", "--epochs", 1, *SMALL]
    code, _, error = jaxfer("sweep", "--variant", "my_networks:Net", *over)
    assert code == 0, error
    for cell in (tmp_path / "sweep/cells").iterdir():
        assert from_json((cell / "config.json").read_text()).model.variant == "my_networks:Net"
    (cell / "summary.json").unlink()
    assert jaxfer("sweep", "--sweep-dir", "sweep", "--resume")[0] == 2
    assert jaxfer("sweep", "--sweep-dir", "sweep", "--resume", "--network", "my_networks:Net")[0] == 0
    assert (cell / "summary.json").exists()
    code, _, error = jaxfer("sweep", "--network", "my_networks:Net", *over, "--over", "variant=published,resnet18")
    assert code == 2
    assert "the sweep changes variant" in error
