"""The tutorials: notebooks are what their programs say, they run, and an interrupt in a cell keeps the session."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SOURCES = sorted((DOCS / "tutorials").glob("*.py"))
NAMES = [source.stem for source in SOURCES]


def notebook_of(folder, name):
    return json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_notebook_has_the_cells_of_its_program_and_their_output(source, script):
    make_tutorials = script("make_tutorials")
    notebook = notebook_of(source.parent, source.stem)
    made = make_tutorials.cells(source.read_text(encoding="utf-8"))
    kept = [(cell["cell_type"], cell["source"], cell["id"]) for cell in notebook["cells"]]
    assert kept == [(cell["cell_type"], cell["source"], cell["id"]) for cell in made]
    outputs = [output for cell in code(notebook) for output in cell["outputs"]]
    assert outputs
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data"}
    assert source.with_suffix(".ipynb").stat().st_size < 500_000
    text = json.dumps(outputs)
    assert not any(place in text for place in ("/tmp/", "/home/", "/root/", "site-packages"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_runs_in_a_fresh_kernel(name, tmp_path):
    command = [sys.executable, DOCS / "make_tutorials.py", name, "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert ended.returncode == 0, ended.stderr
    # What it draws and prints differs in its times alone, and in last digits from processor to processor.
    shapes = [
        [[output["output_type"] for output in cell["outputs"]] for cell in code(notebook_of(folder, name))]
        for folder in (tmp_path, DOCS / "tutorials")
    ]
    assert shapes[0] == shapes[1]


TRAIN = """
import jaxfer
from jaxfer import Callback, Config, fit, load
from jaxfer.config import DataConfig

class Say(Callback):
    def epoch(self, row):
        print("epoch", row["epoch"], flush=True)

config = Config(data=DataConfig(drawn_train=64, drawn_val=14, image_size=32), epochs=100_000)
data = load(config.data)
fit(config, data, run_dir="run", callbacks=[Say()])
"""

GO_ON = """
class Enough(Callback):
    def epoch(self, row):
        raise RuntimeError(f"went on to epoch {row['epoch']}")

fit(config, data, run_dir="run", resume=True, callbacks=[Enough()])
"""


@pytest.mark.slow
def test_an_interrupt_in_a_cell_keeps_the_session_and_the_run_goes_on(tmp_path):
    from jupyter_client.manager import KernelManager

    kernel = KernelManager()
    kernel.start_kernel(cwd=str(tmp_path))
    client = kernel.client()
    client.start_channels()
    said = []

    def hear(message):
        said.append(message)
        if message["content"].get("text", "").startswith("epoch 2\n") and len(said) < 1000:
            kernel.interrupt_kernel()

    try:
        client.wait_for_ready(timeout=120)
        reply = client.execute_interactive(TRAIN, timeout=300, output_hook=hear)["content"]
        assert reply["ename"] == "Interrupted", reply
        assert "stopped by SIGINT" in reply["evalue"]
        stopped = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
        assert client.execute_interactive("print(len(data.train))", timeout=60)["content"]["status"] == "ok"
        reply = client.execute_interactive(GO_ON, timeout=300, output_hook=said.append)["content"]
        assert reply["ename"] == "RuntimeError", reply
        assert reply["evalue"] == f"went on to epoch {stopped + 1}"
        # A cell that trains nothing is interrupted as any other.
        begun = time.monotonic()
        client.execute("import time\nprint('asleep', flush=True)\ntime.sleep(600)")
        while client.get_iopub_msg(timeout=60)["content"].get("text") != "asleep\n":
            pass
        kernel.interrupt_kernel()
        assert client.get_shell_msg(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
        assert time.monotonic() - begun < 120
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
