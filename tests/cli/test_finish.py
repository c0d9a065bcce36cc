"""`jaxfer train` after its last step, in processes of its own that a signal reaches there."""

import json
import os
import signal
import subprocess

import programs
import pytest
from formats import fer2013

pytestmark = pytest.mark.long


def train(cwd, *flags, place="", signum=0):
    """Run the command in a process, which sends itself a signal once the function at this place is called."""
    command = programs.forked("signalled", place, int(signum), "train", "--run-dir", "run", *flags)
    command += ["--network", "networks:Convolutional"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(programs.TESTS), os.environ.get("PYTHONPATH", "")])}
    options = {"capture_output": True, "text": True, "timeout": 600, "check": False}
    return subprocess.run(command, cwd=cwd, env=environment, **options)


# Slow: four processes one after another.
def test_a_signal_after_the_last_step_ends_the_program_and_resuming_does_what_is_left(tmp_path):
    (tmp_path / "faces").mkdir()
    fer2013.npz(tmp_path / "faces", 3)
    begin = ["--data-dir", "faces", "--image-size", "32", "--batch-size", "21", "--epochs", "2"]
    saving = {"place": "jaxfer.runs.history:History.__exit__", "signum": signal.SIGTERM}
    scoring = {"place": "jaxfer.evaluation.summary:intervals", "signum": signal.SIGTERM}
    reporting = {"place": "jaxfer.reports.run_page:render", "signum": signal.SIGINT}
    for flags, options in ((begin, saving), (["--resume"], scoring), (["--resume"], reporting)):
        ended = train(tmp_path, *flags, **options)
        signum = options["signum"]
        assert ended.returncode == 128 + signum, (options, ended.stderr)
        assert f"stopped by {signum.name} after step 2, all of it saved.\n" in ended.stderr
        assert "Continue with: jaxfer train --run-dir run --resume" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (tmp_path / "run" / "summary.json").exists()
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    finished = train(tmp_path, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 2
    assert (tmp_path / "run" / "report.html").exists()
