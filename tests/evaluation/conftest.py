"""Runs to evaluate, and the command that does."""

import dataclasses
import shutil
import sys

import commands
import networks
import pytest
from formats import fer2013

from jaxfer.config import Config, DataConfig, LossConfig
from jaxfer.data import load
from jaxfer.training import fit

NETWORK = networks.Convolutional()


@pytest.fixture(scope="session")
def trained_runs(tmp_path_factory):
    """Two seeds on seven classes of FER2013's format, and one run of another image size."""
    root = tmp_path_factory.mktemp("evaluated")
    (root / "faces").mkdir()
    fer2013.npz(root / "faces", 5)
    config = Config(
        data=DataConfig(data_dir=root / "faces", image_size=32), loss=LossConfig(l2=0.0), epochs=2, batch_size=16
    )
    data = load(config.data)
    for seed in (0, 1):
        fit(dataclasses.replace(config, seed=seed), data, run_dir=root / f"seed-{seed}", model=NETWORK)
    return root


@pytest.fixture
def runs(trained_runs, tmp_path):
    for seed in (0, 1):
        shutil.copytree(trained_runs / f"seed-{seed}", tmp_path / f"seed-{seed}")
    return tmp_path


@pytest.fixture
def jaxfer(monkeypatch, capsys):
    """Return a function that runs the command here, where JAX has started, and returns its code and what it printed."""
    monkeypatch.setattr("jaxfer.cli.evaluate.start_jax", lambda: None)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the command looks for networks where the person is
    network = "--network", "networks:Convolutional"
    return lambda *arguments: (commands.jaxfer("evaluate", *arguments, *network), *capsys.readouterr())
