"""All that an accelerator is asked, in calls that end within minutes: `python benchmarks/accelerator.py PART NAME`.

`accuracy` trains teachers on FER2013 and the small network that learns from them, `steps` times training steps beside
the peers, and `runs` the published run whole, several runs side by side, and applying networks. Results go to
`results/...-NAME.json`, NAME being that of the device. A call that is repeated goes on: what a file holds is not
measured again, and no measurement begins that would likely not end in time.

With `--try` each script does as little as it can, on a CPU too, and writes to the folder that is named.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TIGHT = 0.8
"""The share of the minutes after which the scripts that measure case by case begin none."""

PARTS = {
    "accuracy": ["teach_fer2013"],
    "steps": ["train_step"],
    "runs": ["fifty_epochs", "side_by_side", "inference"],
}
"""The scripts of each part, in order."""

ONCE = {"fifty_epochs", "side_by_side"}
"""Scripts that do not go on from the file that they wrote."""

LITTLE = {
    "teach_fer2013": "--images 256 --teacher small --teachers 1 --teacher-epochs 1 --student-epochs 2",
    "train_step": "--network published --batch 32 --rounds 1 --contender jaxfer",
    "fifty_epochs": "--epochs 1 --images 512",
    "inference": "--network published --batch 1 --rounds 1 --contender jaxfer",
}
"""As little as each script can do; the others need an accelerator."""


def main() -> None:
    """Run the scripts of a part one after another while there is time."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("part", choices=PARTS)
    made.add_argument("name", help="what the files are called after, such as h100")
    made.add_argument("--minutes", type=float, default=8)
    made.add_argument("--peers", default=sys.executable, help="the Python of the peers, by default this one")
    made.add_argument("--data", help="an npz of FER2013, for accuracy")
    made.add_argument("--runs", help="folder of the runs, for accuracy")
    made.add_argument("--try", dest="tried", type=Path, help="folder to write to, having done as little as possible")
    asked = made.parse_args()
    if asked.part == "accuracy" and not (asked.data and asked.runs):
        made.error("accuracy is that of runs on FER2013: pass its npz (--data) and a folder for the runs (--runs)")
    if asked.data and not Path(asked.data).exists():
        made.error(f"{asked.data} does not exist: pass an npz of FER2013 (--data)")
    if asked.minutes <= 0:
        made.error(f"--minutes is {asked.minutes:g}: pass how many to measure for")
    results = asked.tried or HERE / "results"
    results.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for script in PARTS[asked.part]:
        if asked.tried and script not in LITTLE:
            continue
        out = results / f"{script}-{asked.name}.json"
        if script in ONCE and out.exists():
            print(f"{out} is there: remove it to measure it again", flush=True)
            continue
        if script in ONCE:
            options = []
        elif script == "teach_fer2013":
            options = ["--data", asked.data, "--runs", asked.runs, "--minutes", f"{asked.minutes:g}"]
        else:
            options = ["--peers", asked.peers, "--append", "--missing", "--minutes", f"{TIGHT * asked.minutes:g}"]
        little = LITTLE[script].split() if asked.tried else []
        try:
            left = 60 * asked.minutes - (time.monotonic() - begun)
            command = [sys.executable, HERE / f"{script}.py", out, *options, *little]
            done = subprocess.run(command, timeout=left, check=False)
        except subprocess.TimeoutExpired:
            kept = f"what it had measured by then is in {out}" if out.exists() else "nothing was measured by then"
            sys.exit(f"{script}.py did not end in time: {kept}")
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
