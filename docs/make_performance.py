"""Write docs/performance.md, its figure and README's table of speed from the files under benchmarks/results.

python docs/make_performance.py
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
RESULTS = DOCS.parent / "benchmarks" / "results"

Run = dict[str, Any]
Runs = list[Run]

RESIDENT = "jaxfer, images on the device"
TORCH = ("PyTorch", "PyTorch compiled", "PyTorch graphs")
FRAMEWORKS = (*TORCH, "Keras on TensorFlow", "Keras on JAX", "Flax")

BEGIN, END = "<!-- speed: written by docs/make_performance.py -->\n", "<!-- end of speed -->"
"""What stands around README's table."""

IN_SHORT = (
    ("a training step, the published network, batch 32", "train_step", "published", 32),
    ("a training step, ResNetFER18, batch 32", "train_step", "resnet18", 32),
    ("applying the published network to one image", "inference", "published", 1),
    ("applying ResNetFER18 to 256 images", "inference", "resnet18", 256),
)
"""The rows of README's table: what is compared, in which file, for which network and batch."""

TARGETS = [
    ("a training step of the published network, batch 32", "train_step", ("published", 32), FRAMEWORKS, 1.3),
    ("a training step of ResNetFER18, batch 32, beside PyTorch", "train_step", ("resnet18", 32), TORCH, 1.0),
    ("... beside plain Flax", "train_step", ("resnet18", 32), ("Flax",), 8.0),
    ("one image through the published network", "inference", ("published", 1), (*TORCH, "ONNX Runtime"), 1.0),
    ("256 images through the published network", "inference", ("published", 256), (*TORCH, "ONNX Runtime"), 1.0),
    ("a training step of ResNetFERSmall, batch 128", "train_step", ("small", 128), TORCH, 1.2),
    ("one face through the shipped network", "inference", ("shipped", 1), (*TORCH, "ONNX Runtime"), 1.0),
    ("256 faces through the shipped network", "inference", ("shipped", 256), (*TORCH, "ONNX Runtime"), 1.2),
    ("one image through ResNetFER18", "inference", ("resnet18", 1), (*TORCH, "ONNX Runtime"), 1.0),
    ("256 images through ResNetFER18", "inference", ("resnet18", 256), (*TORCH, "ONNX Runtime"), 1.0),
]
"""What is compared, in which file, for which network and batch, with the best of whom, and at least how many times."""

AT_LEAST, AT_MOST = "at least", "at most"

LOOP_TARGET, PREPARE_TARGET, STREAM_TARGET, FIFTY_TARGET = 1.05, 2.0, 1.1, 60.0
"""At most that many times the bare steps; at least that many times a loader's images a second; at most that many times a
step whose images are on the device; at most these seconds."""

SWEEP_TARGETS = {
    "rates": ("eight learning rates as one sweep", 0.9, 0.35),
    "grid": ("the published grid of 15 cells", 0.5, 0.5),
}
"""At most that many times as long as the separate runs of the command, on a CPU and on an accelerator."""

TITLES = {
    "train_step": "## A training step",
    "inference": "## Applying a network",
    "data": "## Gathering batches",
}

ACCELERATOR = (
    (
        "steps",
        "train_step",
        "training steps of four networks, two number formats, three batches, resident and streamed",
    ),
    ("runs", "fifty_epochs", "the published run whole"),
    ("runs", "side_by_side", "1, 2, 4 and 8 runs at once, beside one; target 0.35 for eight"),
    ("runs", "inference", "applying networks to 1, 32 and 1,024 images"),
    ("accuracy", "teach_fer2013", "teachers on FER2013, and the small network that learns from them"),
)
"""What is asked of an accelerator: the part of benchmarks/accelerator.py, the script whose files hold it, and words."""

NETWORKS = {
    "published": "the published network",
    "small": "ResNetFERSmall",
    "shipped": "the shipped network",
    "resnet18": "ResNetFER18",
    "resnet50": "ResNetFER50",
}


def main() -> None:
    """Read what was measured, and write the page and its figure."""
    (DOCS / "performance.md").write_text(page(measurements()))
    figure(measurements()["train_step"]).savefig(DOCS / "performance.png", dpi=110, facecolor="white")
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + in_short(measurements()) + END + rest.partition(END)[2])


def measurements() -> dict[str, Any]:
    """Return every measured file that the page shows, by its name; one that was not measured is missing."""
    names = (
        "train_step*",
        "inference*",
        "data",
        "epoch*",
        "sweep*",
        "fifty_epochs*",
        "side_by_side*",
        "teach_fer2013*",
        "prepare",
        "parts",
        "convolutions*",
        "bfloat16",
    )
    files = sorted((file for name in names for file in RESULTS.glob(f"{name}.json")), key=lambda file: file.stem)
    return {file.stem: json.loads(file.read_text(), object_hook=_today) for file in files}


def _today(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a measured object with today's name of the published network, which older files call `seed`."""
    return entry | {"network": "published"} if entry.get("network") == "seed" else entry


def every(measured: dict[str, Any], kind: str) -> list[Runs]:
    """Return the runs of each file of a kind: that of `make bench`, and those named after other machines."""
    return [file["runs"] for name, file in measured.items() if name.partition("-")[0] == kind]


def page(measured: dict[str, Any]) -> str:
    """Return docs/performance.md."""
    compared = [(name, file["runs"]) for name, file in measured.items() if name.partition("-")[0] in TITLES]
    sections = "\n\n".join(section(name, runs) for name, runs in compared)
    first = measured["train_step"]["runs"][0]
    return f"""# Performance

Every number of this page comes from the files in [`benchmarks/results`](../benchmarks/results): `make bench` and `make profile` write
them, and those named after another machine or an accelerator were measured there by the same scripts. `docs/make_performance.py`
made the page from them. [How it is measured](../benchmarks/README.md).

{machine(first)}; {versions(measured["train_step"]["runs"], measured["inference"]["runs"])}.
The machine is shared, so that a ratio within one run says more than milliseconds. Files named `-avx512` were measured with AVX-512,
before the kernel's gradient of the first convolution became a matrix product of our own.

## Targets

Where the target is "at least", the ratio is how many times as long the best of the others takes: above 1, jaxfer is faster. Where it is
"at most", it is how many times as long jaxfer takes as what the row names. Each is the median over a run's rounds; beside it, the
least and the greatest of the separate runs, or where there was one run, the rounds' quartiles (preparing and accelerators: the least
and the greatest round).

| what | target | with | measured | | runs | the best of the others |
|---|---|---|---|---|---|---|
{chr(10).join(targets(measured))}

![Images a second in training, by framework](performance.png)

{sections}

{sweeps({"rates": measured["sweep"]["runs"][-1], "grid": measured["sweep_grid"]["runs"][-1]})}

{parts(measured["parts"]["runs"][-1], measured["convolutions"]["runs"][-1]["shapes"][-1]["ms"])}

{convolutions(every(measured, "convolutions"))}

{bfloat16(measured["bfloat16"]["runs"][-1])}

{accelerators(measured)}
"""


def sweeps(asked: dict[str, Run]) -> str:
    """Return how long the sweep of each question and its separate runs took."""
    rows = []
    for name, (what, *_) in SWEEP_TARGETS.items():
        found = asked[name][name]
        runs, epochs = len(found["learning_rates"]) * len(found["epochs"]), ", ".join(map(str, found["epochs"]))
        sweep_s, runs_s = (statistics.median(found[way]) for way in ("sweep_s", "runs_s"))
        rows.append(f"| {what} | {runs} | {epochs} | {sweep_s:.0f} s | {runs_s:.0f} s | {found['ratio']:.2f} |")
    return f"""## Sweeps

Seconds from the start of the commands to their end, {asked["rates"]["images"]:,} drawn faces, batch 32, all programs kept from a run before.
Of the separate runs those of learning rate {asked["rates"]["rates"]["timed_rate"]:g} were timed, and count for all: a rate does not change the seconds.
What a sweep saves for each run is the start of Python, JAX and its programs: the shorter the runs, the more it weighs. Of long
runs the shared beginnings remain, 250 epochs in place of 525 in the published grid.

| what | runs | epochs of each | one sweep | separate runs | ratio |
|---|---|---|---|---|---|
{chr(10).join(rows)}"""


def parts(run: Run, first: dict[str, float]) -> str:
    """Return where a step's time goes, beside what the processor could do, and what was tried about it.

    `first` is each way's time for the first convolution.
    """
    rates = run["rates"]
    cases = {(case["work"], case["network"], case["batch"]): case for case in run["cases"]}
    small, large = (cases["train", "published", batch] for batch in (32, 256))
    least, most = (
        1e3 * sum(spent["rest"] for spent in case["parts"].values()) / case["batch"] for case in (small, large)
    )
    one = cases["infer", "resnet18", 1]
    reading, last = one["parameter_mb"] / rates["gb_s"], sum(one["parts"]["stage4"].values())
    return f"""## Where the time goes

XLA's own profile of jaxfer's steps by part of the network, in milliseconds: matrix products and convolutions of the forward and of the
backward pass, and all else (normalisation, Winograd's transforms, padding, pooling; the update is Adam's). The bound is what the
convolutions' operations, done directly, take at {rates["gflop_s"]:.0f} GFLOP/s, which a product of matrices of 2048 reaches on all cores: Winograd
needs fewer. Reading memory that no cache holds goes at {rates["gb_s"]:.0f} GB/s.

| what | part | forward | backward | all else | bound, direct |
|---|---|---|---|---|---|
{chr(10).join(row for case in run["cases"] for row in part_rows(case, rates))}

- **The first convolution** and its kernel's gradient take {first["XLA"]:.0f} ms for 32 images on one device where both are XLA's, and {first["direct"]:.0f} ms
  since the gradient is one matrix product of all that the kernel's places meet, laid out along the product's sum.
- **Large batches.** All but products takes {least:.0f} microseconds an image at batch 32 and {most:.0f} at batch 256: passes over maps and
  over Winograd's tiles, which outgrow the caches. Cutting the batch of each convolution into pieces of 32 images was tried: a little
  faster for the published network, slower for ResNetFER18.
- **One image.** ResNetFER18 reads {one["parameter_mb"]:.1f} MB of parameters for it, which takes the memory {reading:.2f} ms. {last:.2f} of the {one["ms"]:.2f} ms are spent in
  the last stage, where a kernel of 9.4 MB meets four positions. ONNX Runtime lays kernels out for its products once, when it loads them;
  here they are arguments of the program. Tried, and no faster in the whole network: cutting a product's sum in two, for both
  cores; one position at a time, or one place of the kernel at a time."""


def part_rows(case: dict[str, Any], rates: dict[str, float]) -> Iterable[str]:
    """Yield the rows of one step."""
    devices = "one device" if case["devices"] == 1 else f"{case['devices']} devices"
    work = {"train": "a training step", "infer": "applying"}[case["work"]]
    label = f"{work}, {NETWORKS[case['network']]}, batch {case['batch']}, {devices}: {case['ms']:.2f} ms"
    for name, spent in case["parts"].items():
        if sum(spent.values()) < 0.01 * case["ms"]:
            continue
        numbers = " | ".join(
            f"{spent[kind]:.2f}" if spent.get(kind) else "" for kind in ("forward", "backward", "rest")
        )
        bound = f"{1e3 * case['gflop'][name] / rates['gflop_s']:.2f}" if name in case["gflop"] else ""
        yield f"| {label} | {name} | {numbers} | {bound} |"
        label = ""


def convolutions(files: Sequence[Runs]) -> str:
    """Return the tables that `jaxfer.models.kernels.convolution` decides by."""
    ways = ("XLA", "direct", "patches", "places", "Winograd")
    text = """## Ways to convolve on a CPU

Milliseconds for the value and both gradients, float32, one device. The last row leaves out the gradient of the images, which
nothing needs; measured with AVX-512 it has it. `jaxfer.models.kernels.convolution` chooses by shape, and says what the ways are."""
    for run in (runs[-1] for runs in files):
        text += f"""

{machine(run)}, jax {run["versions"]["jax"]}, {run["batch"]} images, medians of {run["rounds"]} rounds:

| map | kernel | stride | {" | ".join(ways)} |
|---|---|---|{"---|" * len(ways)}"""
        for row in run["shapes"]:
            numbers = " | ".join(f"{row['ms'][way]:,.1f}" if way in row["ms"] else "" for way in ways)
            kernel = f"{row['kernel']}x{row['kernel']}, {row['in']} to {row['out']}"
            text += f"\n| {row['side']}x{row['side']} | {kernel} | {row['stride']} | {numbers} |"
    return text


def accelerators(measured: dict[str, Any]) -> str:
    """Return what is asked of accelerators, by which command, and on which ones it was measured."""
    rows = ""
    for part, script, what in ACCELERATOR:
        on = [runs for runs in every(measured, script) if runs[0]["machine"].get("accelerator")]
        cases = [f"{unit(runs)} ({len(different(runs))} cases)" if "cases" in runs[0] else unit(runs) for runs in on]
        rows += f"\n| {what} | `{part}` | {', '.join(cases) or 'not yet'} |"
    return f"""## What waits for an accelerator

No accelerator is needed to use or to test jaxfer, and one was at hand for minutes alone. What is asked of one, by which part of
`PYTHONPATH=. python benchmarks/accelerator.py PART NAME`, and where it was measured:

| what | part | measured on |
|---|---|---|{rows}

No command has yet: a profile of a step at batch 32 and 1,024 by kernel. Max-pool's gradient by the winner's index, and normalisation in
bfloat16 with fewer passes, were not tried on a GPU.

Until then the loop's way to feed an accelerator from the host (up to 16 steps a dispatch, see [training](training.md#devices)) is tested for its
numbers alone, on CPU devices, and the row `jaxfer` of the table with H200 above is that of one step a dispatch."""


def bfloat16(run: Run) -> str:
    """Return what bfloat16 is worth on a CPU."""
    case = run["case"]
    first, *_ = medians = {name: statistics.median(ms) for name, ms in case["ms"].items()}
    rows = "\n".join(f"| {name} | {ms:,.0f} | {medians[first] / ms:.2f} |" for name, ms in medians.items())
    return f"""## bfloat16 on a CPU

A training step of ResNetFERSmall at batch {case["batch"]}; {machine(run)}, which has matrix units (AMX); jaxlib
{run["versions"]["jaxlib"]}. XLA reaches these units through oneDNN, if it is asked to:
`XLA_FLAGS="{case["flags"]}"`.

| dtype | milliseconds | times float32's speed |
|---|---|---|
{rows}"""


def targets(measured: dict[str, Any]) -> Iterable[str]:
    """Yield the rows of the table of targets."""
    for what, kind, (network, batch), rivals, target in TARGETS:
        for runs in every(measured, kind):
            cases = cases_of(runs, "float32", network, batch)
            if cases and not runs[0]["machine"]["accelerator"]:
                best = best_of(cases, rivals)
                yield row(what, AT_LEAST, target, runs, [case["ratio_to"][best] for case in cases], best)
    for runs in every(measured, "epoch"):
        what = "an epoch of `fit` against the bare steps in it"
        yield row(what, AT_MOST, LOOP_TARGET, runs, [run["ratio"] for run in runs])
    for name, (what, *limits) in SWEEP_TARGETS.items():
        for runs in (*every(measured, "sweep"), *every(measured, "sweep_grid")):
            target = limits[1 if runs[0]["machine"]["accelerator"] else 0]
            ratios = [one(run[name]["ratio"]) for run in runs if name in run]
            if ratios:
                yield row(f"{what}, against its runs", AT_MOST, target, runs, ratios)
    prepared = measured["prepare"]
    for what, found in (
        ("preparing JPEG files", "ratio_to"),
        ("preparing JPEG files, by simplejpeg", "simplejpeg_ratio_to"),
        ("preparing JPEG files, processors' time", "processor_ratio_to"),
        ("preparing JPEG files, by simplejpeg, processors' time", "simplejpeg_processor_ratio_to"),
    ):
        if found in prepared:
            ratio = prepared[found]["peer float32"]
            rounds = {"median": ratio["median"], "low": ratio["least"], "high": ratio["greatest"]}
            yield row(what, AT_LEAST, PREPARE_TARGET, [prepared], [rounds], "PyTorch's ImageFolder, float32")
    yield from accelerator_targets(measured)


def accelerator_targets(measured: dict[str, Any]) -> Iterable[str]:
    """Yield the rows of what was measured on accelerators."""
    for runs in every(measured, "train_step"):
        if not runs[0]["machine"]["accelerator"]:
            continue
        for dtype in ("float32", "bfloat16"):
            cases = cases_of(runs, dtype, "published", 32)
            if cases:
                what = f"a training step fed from the host, batch 32, {dtype}"
                yield row(what, AT_LEAST, 1.0, runs, [case["ratio_to"]["Flax"] for case in cases], "Flax, fed alike")
            cases = cases_of(runs, dtype, "published", 256)
            if cases:
                fed = [one(1 / case["ratio_to"][RESIDENT]["median"]) for case in cases]
                what = f"a training step fed from the host, batch 256, {dtype}, against images on the device"
                yield row(what, AT_MOST, STREAM_TARGET, runs, fed)
    for runs in every(measured, "side_by_side"):
        for dtype in ("float32", "bfloat16"):
            seconds = [{few["runs"]: few["epoch_s"] for few in run["epochs"] if few["dtype"] == dtype} for run in runs]
            ratios = [one(each[8] / (8 * each[1])) for each in seconds if 8 in each]
            if ratios:
                what = f"eight runs side by side, {dtype}, against one after another"
                yield row(what, AT_MOST, SWEEP_TARGETS["rates"][2], runs, ratios)
    for runs in every(measured, "fifty_epochs"):
        for number, dtype in enumerate(("float32", "bfloat16")):
            seconds = [one(run["fits"][number]["seconds"]) for run in runs]
            yield row(f"the published 50 epochs, {dtype}, seconds", AT_MOST, FIFTY_TARGET, runs, seconds)


def unit(runs: Runs) -> str:
    """Return what did the work: the accelerator, or the processor's vector instructions, or its name in older files."""
    of = runs[0]["machine"]
    return of.get("accelerator") or of.get("vectors") or of["processor"]


def one(number: float) -> dict[str, float]:
    """Return a number as others stand that were measured in several rounds."""
    return dict.fromkeys(("median", "low", "high"), number)


def row(what: str, bound: str, target: float, runs: Runs, ratios: Sequence[dict[str, float]], rival: str = "") -> str:
    """Return a row of the table of targets."""
    found = statistics.median(ratio["median"] for ratio in ratios)
    met = found >= target if bound == AT_LEAST else found <= target
    cells = (what, f"{bound} {target:g}", unit(runs), spread(ratios), "" if met else "missed", str(len(ratios)), rival)
    return f"| {' | '.join(cells)} |"


def spread(ratios: Sequence[dict[str, float]]) -> str:
    """Return the median of the runs' ratios, and the least and greatest of them, or of one run its quartiles."""
    medians = [ratio["median"] for ratio in ratios]
    low, high = (min(medians), max(medians)) if len(ratios) > 1 else (ratios[0]["low"], ratios[0]["high"])
    return f"{statistics.median(medians):.2f}" + (f" ({low:.2f} to {high:.2f})" if low < high else "")


def cases_of(runs: Runs, dtype: str, network: str, batch: int) -> list[dict[str, Any]]:
    """Return this case of every run that has it."""
    key = (dtype, network, batch)
    return [case for run in runs for case in run["cases"] if key == (case["dtype"], case["network"], case["batch"])]


def different(runs: Runs) -> list[tuple[dict[str, Any], float]]:
    """Return the first of each case over all runs, which may go on where others ended, and its operations, if counted."""
    found: dict[tuple, tuple[dict[str, Any], float]] = {}
    for run in runs:
        for case, gflop in zip(run["cases"], run.get("gflop", [0.0] * len(run["cases"])), strict=False):
            found.setdefault((case["network"], case["dtype"], case["batch"]), (case, gflop))
    return list(found.values())


def best_of(cases: list[dict[str, Any]], rivals: Sequence[str]) -> str:
    """Return which rival is the fastest over all runs."""
    present = [name for name in rivals if all(name in case["ratio_to"] for case in cases)]
    return min(present, key=lambda name: statistics.median(case["ratio_to"][name]["median"] for case in cases))


def in_short(measured: dict[str, Any]) -> str:
    """Return README's table: images a second of jaxfer and of others in a few cases."""
    others = ("PyTorch", "Keras on TensorFlow", "Flax", "ONNX Runtime")
    lines = [f"| images a second | jaxfer | {' | '.join(others)} |", "|" + "---|" * (len(others) + 2)]
    for what, name, network, batch in IN_SHORT:
        cases = cases_of(measured[name]["runs"], "float32", network, batch)
        cells = []
        for who in ("jaxfer", *others):
            ms = [statistics.median(case["ms"][who]) for case in cases if who in case["ms"]]
            cells.append(f"{1e3 * batch / statistics.median(ms):,.0f}" if ms else "")
        lines.append(f"| {what} | {' | '.join(cells)} |")
    where = machine(measured["train_step"]["runs"][0])
    return (
        "\n".join(lines)
        + f"\n\nfloat32 on {where}. [All cases, GPUs, and the targets that were missed](docs/performance.md).\n"
    )


def section(name: str, runs: Runs) -> str:
    """Return a table of one file: a row for each case and contender."""
    kind, _, where = name.partition("-")
    title = TITLES[kind] + (f" with {unit(runs)}" if where else "")
    lines = [title, ""]
    if where:
        lines += [f"{machine(runs[0])}; {versions(runs)}.", ""]
    rates = runs[0].get("gflop_s")
    if rates:
        lines.append(accelerator_words(kind, rates))
    heads = [
        "what",
        "who",
        "ms",
        "images a second",
        "jaxfer is faster by",
        *(["of the product's rate"] if rates else []),
    ]
    lines += [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for first, gflop in different(runs):
        cases = cases_of(runs, first["dtype"], first["network"], first["batch"])
        what = f"{NETWORKS[first['network']]}, {first['dtype']}, " if first["work"] != "load" else ""
        for number, who in enumerate(first["ms"]):
            present = [case for case in cases if who in case["ms"]]
            ms = statistics.median(statistics.median(case["ms"][who]) for case in present)
            ratio = spread([faster_by(case, who) for case in present]) if number and who != RESIDENT else ""
            label = f"{what}batch {first['batch']}" if number == 0 else ""
            cells = [label, who, f"{ms:,.2f}", f"{1e3 * first['batch'] / ms:,.0f}", ratio]
            if rates:
                cells.append(f"{1e3 * gflop / ms / rates[first['dtype']]:.1%}")
            lines.append(f"| {' | '.join(cells)} |")
    missing = {f"{who} ({why})" for run in runs for case in run["cases"] for who, why in case["absent"].items()}
    if missing:
        lines += ["", "Left out: " + "; ".join(sorted(missing)) + "."]
    return "\n".join(lines)


def accelerator_words(kind: str, rates: dict[str, float]) -> str:
    """Return what to know of a table of an accelerator."""
    trained = """All take batches from the host's memory. jaxfer also has the images on the device and takes many steps a dispatch, as `fit` does where there is
room: that is what the others are compared with. Fed from the host, a step of a small network waits for its launches, in jaxfer longer than in
plain Flax. PyTorch's loss and backward pass are compiled.
"""
    reached = " and ".join(f"{rate / 1e3:,.0f} TFLOP/s in {dtype}" for dtype, rate in rates.items())
    return f"""{trained if kind == "train_step" else ""}Products of large matrices reach {reached}; the last column is what the network's products, with convolutions done
directly, make of that. PyTorch has channels last, autocast and TF32; its graphs are CUDA's.
"""


def faster_by(case: dict[str, Any], who: str) -> dict[str, float]:
    """Return how many times as long as ours another took: with images on the device, where that was measured."""
    if RESIDENT not in case["ms"]:
        return case["ratio_to"][who]
    each = sorted(theirs / own for theirs, own in zip(case["ms"][who], case["ms"][RESIDENT], strict=True))
    return {"median": statistics.median(each), "low": each[0], "high": each[-1]}


def machine(run: Run) -> str:
    """Return what a run was made on, in words."""
    of = run["machine"]
    vectors = f" with {of['vectors']}" if of.get("vectors") else ""
    accelerator = f", one {of['accelerator']}" if of["accelerator"] else ""
    return f"{of['cores']} cores of {of['processor']}{vectors}{accelerator}"


def versions(*files: Runs) -> str:
    """Return the versions of all packages that took part."""
    contenders = [
        words for runs in files for run in runs for case in run["cases"] for words in case["contenders"].values()
    ]
    found = {(package, number) for words in contenders for package, number in words["versions"].items()}
    return ", ".join(f"{package} {number}" for package, number in sorted(found))


def figure(train_step: dict[str, Any]) -> Figure:
    """Return bars of each contender's images a second, as shares of jaxfer's, one panel a case."""
    runs = train_step["runs"]
    cases = [case for case, _ in different(runs)]
    drawn = Figure(figsize=(8.5, 2.6 * -(-len(cases) // 2)), layout="constrained")
    panels = drawn.subplots(-(-len(cases) // 2), 2, squeeze=False).ravel()
    for panel, first in zip(panels, cases, strict=False):
        same = cases_of(runs, first["dtype"], first["network"], first["batch"])
        rates = {
            who: first["batch"] * 1e3 / statistics.median(statistics.median(case["ms"][who]) for case in same)
            for who in first["ms"]
        }
        names = sorted(rates, key=rates.__getitem__)
        bars = panel.barh(names, [rates[who] for who in names])
        for bar, who in zip(bars, names, strict=True):
            bar.set_color("tab:orange" if who == "jaxfer" else "tab:gray")
        panel.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=8)
        panel.margins(x=0.15)
        panel.set_title(f"{NETWORKS[first['network']]}, {first['dtype']}, batch {first['batch']}", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(cases) :]:
        panel.set_visible(False)
    drawn.supxlabel("images a second in training", fontsize=9)
    return drawn


if __name__ == "__main__":
    main()
