"""Write docs/scale.md from the files under benchmarks/results: `python docs/make_scale.py`.

What was measured is read from them; what nobody measured is computed from that by the formulas here, and said to be.
"""

import json
import math
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxfer.files import MOST_LINES
from jaxfer.training.feed import SHARE

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"

CHIPS, FACES = (8, 64, 512), (300_000, 10_000_000, 1_000_000_000)
CHIPS_OF_A_HOST, BATCH_OF_A_CHIP, SIDE = 8, 1024, 64

DOLLARS, PRICED_BY = 4.5, "https://www.mercatus-ai.com/blog/cloud-gpu-pricing"
"""An hour of one H200, and who says so: rented by the hour, $2.50 to $7.00 in May 2026."""
LINK, HOP = 50e9, 5e-6
"""Bytes a second of a chip to others (400 Gb/s), and seconds of a message: assumed, as nothing here had such a network."""
DEVICE_BYTES, GIVEN = 139 * 2**30, 0.75
"""Memory of an H200, and the share of it that JAX takes unless told otherwise."""
NAME_BYTES, ORDERS = 90, 2
"""A name of 30 letters as Python keeps it, and how many epochs' orders a process keeps."""

FACE_BYTES = SIDE * SIDE * 3


@dataclass(frozen=True)
class Parts:
    """What was measured.

    resident_s, host_s: A step of a chip, its images on it or fed from the host.
    gathered: Faces a second that one process gathers into batches from a mapped file.
    prepared: Faces a second prepared from JPEG files, and seconds of a processor for one.
    jpeg_bytes: Of such a file.
    growth: How many times as long preparing ten times as many files took.
    record_bytes: By which the memory of preparing grows with each face.
    saves: Megabytes of a training state and the seconds until its checkpoint is on the disk, by network.
    sums: All-reduces of a step on an accelerator.
    exchanged: Their bytes: with XLA's convolutions, and with those for CPUs.
    parameters: Bytes of the parameters.
    statistics: Bytes of the batch's statistics among those exchanged.
    small_epoch: Seconds of an epoch of the published run, and its faces.
    """

    resident_s: float
    host_s: float
    gathered: float
    prepared: float
    processor_s: float
    jpeg_bytes: float
    growth: float
    record_bytes: float
    saves: dict[str, tuple[float, float]]
    sums: int
    exchanged: int
    exchanged_cpu: int
    parameters: int
    statistics: int
    small_epoch: tuple[float, int]
    scaling: dict[str, Any]


def main() -> None:
    """Write the page."""
    (DOCS / "scale.md").write_text(page(measured()))


def measured() -> Parts:
    """Read all that was measured."""
    files = ("train_step-h200", "data", "prepare", "data_memory", "saving", "scaling", "fifty_epochs-h200")
    found = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in files}
    steps = case(found["train_step-h200"], batch=BATCH_OF_A_CHIP, dtype="float32")
    gathering = case(found["data"], batch=256)
    prepare, scaling = found["prepare"], found["scaling"]["runs"][-1]
    jpeg = re.search(r"([\d.]+) kB", prepare["what"])
    assert jpeg is not None
    few, many = (run for run in found["data_memory"]["runs"] if run["verb"] == "prepare")
    exchange = {row["kernels"]: row for row in scaling["exchange"]}
    run = found["fifty_epochs-h200"]["runs"][-1]
    return Parts(
        resident_s=steps["jaxfer, images on the device"] / 1e3,
        host_s=steps["jaxfer"] / 1e3,
        gathered=256 / gathering["jaxfer, mapped file"] * 1e3,
        prepared=prepare["images_per_second"]["jaxfer"]["median"],
        processor_s=prepare["processor_ms_per_image"]["jaxfer"]["median"] / 1e3,
        jpeg_bytes=1e3 * float(jpeg[1]),
        growth=many["seconds"] / few["seconds"],
        record_bytes=(many["memory_mib"] - few["memory_mib"]) * 2**20 / (many["images"] - few["images"]),
        saves={row["network"]: (row["megabytes"], row["synced"]) for row in found["saving"]["runs"][-1]["saves"]},
        sums=exchange["xla"]["sums"],
        exchanged=exchange["xla"]["bytes"],
        exchanged_cpu=exchange["cpu"]["bytes"],
        parameters=exchange["xla"]["parameter_bytes"],
        statistics=exchange["xla"]["statistics_bytes"],
        small_epoch=(run["fits"][0]["last"]["seconds"] / run["epochs"], run["images"]),
        scaling=scaling,
    )


def case(file: dict[str, Any], **wanted: Any) -> dict[str, float]:
    """Return the median milliseconds of each contender of a case of the published network, in the last run."""
    for one in file["runs"][-1]["cases"]:
        if one["network"] in ("published", "seed") and all(one[name] == value for name, value in wanted.items()):
            return {name: statistics.median(values) for name, values in one["ms"].items()}
    raise ValueError(f"no case has {wanted}")


def ring(size: float, count: int) -> float:
    """Return the bytes that each of `count` has to send at least, to know the sum of arrays of `size` bytes."""
    return 2 * (count - 1) / count * size


def step_s(parts: Parts, chips: int, *, resident: bool) -> float:
    """Return the seconds of a step of many chips: one chip's, and an exchange that hides behind nothing."""
    exchange = ring(parts.exchanged, chips) / LINK + parts.sums * 2 * math.log2(chips) * HOP
    return (parts.resident_s if resident else parts.host_s) + exchange


def epoch_s(parts: Parts, faces: int, chips: int) -> float:
    """Return the seconds of an epoch of so many faces on many chips."""
    return math.ceil(faces / chips / BATCH_OF_A_CHIP) * step_s(parts, chips, resident=is_resident(faces))


def saving(parts: Parts, chips: int) -> str:
    """Return what to say where saving the published network takes longer than an epoch of the fewest faces."""
    longer = parts.saves["published"][1] > epoch_s(parts, FACES[0], chips)
    return ", but saving takes longer than an epoch" if longer else ""


def is_resident(faces: int) -> bool:
    """Return whether all faces find room on each chip."""
    return faces * FACE_BYTES <= SHARE * GIVEN * DEVICE_BYTES


def page(parts: Parts) -> str:
    """Return docs/scale.md."""
    largest = math.floor(SHARE * GIVEN * DEVICE_BYTES / FACE_BYTES / 1e5) / 10
    seconds, images = parts.small_epoch
    batch = max(CHIPS) * BATCH_OF_A_CHIP
    last = FACES[-1]
    return f"""# Beyond one machine

What 8, 64 and 512 chips would do with 300,000, 10 million and 1 billion faces, and what breaks first. Nobody ran that: `docs/make_scale.py`
computes it from parts that were measured, by the formulas that stand beside each table. **Measured** numbers name their file of
[`benchmarks/results`](../benchmarks/results); all others are **computed** or **assumed**. `make docs` writes the page anew.

## What was measured

| part | measured | file |
|---|---|---|
| a step of the published network on one H200, {BATCH_OF_A_CHIP:,} faces of {SIDE} pixels, float32, images on the chip | {1e3 * parts.resident_s:.2f} ms | `train_step-h200.json` |
| the same, fed from the memory of the host | {1e3 * parts.host_s:.2f} ms | `train_step-h200.json` |
| an epoch of the published run on one H200, batch 32, {images:,} faces, its validation included | {seconds:.2f} s | `fifty_epochs-h200.json` |
| gathering batches of 256 from a mapped file, one process on two cores | {parts.gathered:,.0f} faces/s | `data.json` |
| preparing JPEG files of {parts.jpeg_bytes / 1e3:.1f} kB, two cores | {parts.prepared:,.0f} faces/s, {1e3 * parts.processor_s:.2f} ms of a core each | `prepare.json` |
| memory of preparing, by which it grows a face | {parts.record_bytes:.0f} bytes | `data_memory.json` |
| a checkpoint of {parts.saves["published"][0]:.1f} MB (published), of {parts.saves["resnet18"][0]:.0f} MB (ResNetFER18), synced | {parts.saves["published"][1]:.2f} s, {parts.saves["resnet18"][1]:.2f} s | `saving.json` |
| what a step sums over the chips | {parts.exchanged:,} bytes in {parts.sums} all-reduces | `scaling.json` |

## What a step exchanges

Counted in the program that XLA compiles for devices of a CPU, from the operands of its all-reduces; 2 and 8 devices give the same. A GPU's
compiler may gather them into fewer, and has the same bytes to sum. The ring's lower bound for n chips is
2(n-1)/n times the bytes that are summed, here the {parts.parameters:,} bytes of the gradients.

| kernels | summed | of it gradients | statistics of normalisation | metrics, loss, counts | times the gradients |
|---|---|---|---|---|---|
| XLA's convolution, as on accelerators | {parts.exchanged:,} | {parts.parameters:,} | {parts.statistics:,} | {parts.exchanged - parts.parameters - parts.statistics:,} | {parts.exchanged / parts.parameters:.3f} |
| those for CPUs | {parts.exchanged_cpu:,} | {parts.exchanged_cpu - parts.exchanged + parts.parameters:,} | {parts.statistics:,} | {parts.exchanged - parts.parameters - parts.statistics:,} | {parts.exchanged_cpu / parts.parameters:.3f} |

On accelerators a step is within {100 * (parts.exchanged / parts.parameters - 1):.1f}% of the bound, as long as the network sums by a ring. On CPUs the gradients of 3x3 kernels are
summed as Winograd has them, 36 numbers for 9. The sums of normalisation come in the middle of the
step, two a layer, and wait for each other: with few faces a chip they are what a network of machines is slow at.

### Processes of one machine

{table_of_scaling(parts.scaling)}

## What many chips would do

Computed: seconds of a step = one chip's + 2(n-1)/n x {parts.exchanged:,} bytes / {LINK / 1e9:.0f} GB/s + {parts.sums} sums x 2 log2(n) x {1e6 * HOP:.0f} µs. Assumed: the {LINK / 1e9:.0f} GB/s (400 Gb/s a
chip), the {1e6 * HOP:.0f} µs of a message, sums along a tree, and that nothing of it hides behind the backward pass. {CHIPS_OF_A_HOST} chips a host, {BATCH_OF_A_CHIP:,} faces a chip.

| chips | hosts | batch | sent by a chip, at least | exchange | step, images on the chips | faces/s | dollars/h |
|---|---|---|---|---|---|---|---|
{chr(10).join(chips_row(parts, chips) for chips in CHIPS)}

The price is an input: ${DOLLARS:.2f} an hour for an H200, in the middle of [what is asked by the hour]({PRICED_BY}) ($2.50 to $7.00, May 2026).
Whether a batch of {batch:,} still learns is another question, and nothing here answers it.

## What many faces ask for

Computed: {FACE_BYTES:,} bytes a prepared face ({SIDE} x {SIDE} x 3); JPEG files and seconds of a core as measured; {ORDERS} orders of 8 bytes a face in every
process; labels of 4 bytes; assumed, {NAME_BYTES} bytes a name. Images stay on the chips, each of which holds all, up to {largest:.1f} million faces (half of
what JAX takes, {GIVEN:.0%} of {DEVICE_BYTES / 2**30:.0f} GiB). Preparing was measured with 12,000 files on a disk's cache; 200,000 took {parts.growth:.1f} times as long as a tenth of them, so
that the hours of a billion are at least so many.

| faces | JPEG files | prepared | preparing, as measured | core-hours | memory of preparing | orders, a process | names and labels, a process | images |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(faces_row(parts, faces) for faces in FACES)}

## Both

Computed: steps = faces / batch, rounded up; readers = faces a second of a host / {parts.gathered:,.0f}, which was measured with 20,000 faces
that the memory held: where the disk is slower, its GB/s decide; bytes = faces a second x {FACE_BYTES:,}. Where images stay on the chips
nothing is read after the start. A checkpoint of the published network takes {parts.saves["published"][1]:.2f} s whatever the faces and chips; training waits for it only
where the next is due sooner.

| faces | chips | readers a host | GB/s a host | GB/s of the store | steps | an epoch | checkpoint / epoch | dollars, an epoch | 50 epochs |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(both_row(parts, faces, chips) for faces in FACES for chips in CHIPS)}

Decoding JPEG files while training (`--stream`) would keep {math.ceil(CHIPS_OF_A_HOST * BATCH_OF_A_CHIP / parts.host_s * parts.processor_s):,} cores of each host busy: prepare first.

## What breaks first

In jaxfer as it is:

| faces | 8 chips | 64 chips | 512 chips |
|---|---|---|---|
| {FACES[0]:,} | nothing{saving(parts, 8)} | the batch: {math.ceil(FACES[0] / 64 / BATCH_OF_A_CHIP)} steps an epoch{saving(parts, 64)} | the batch of {batch:,} is more than there are faces |
| {FACES[1]:,} | the host: beyond {largest:.1f} million faces nothing stays on the chips, and one process a host must gather {rate(parts, 8):,.1f} GB/s | the store, which all hosts read at {rate(parts, 64):,.0f} GB/s unless each has its copy of {size(FACES[1] * FACE_BYTES)} | likewise, {rate(parts, 512):,.0f} GB/s; {math.ceil(FACES[1] / batch)} steps an epoch |
| {FACES[2]:,} | reading the data: every process does, all of it, and keeps {size(last * (NAME_BYTES + 4))} of names and labels, beside {size(ORDERS * 8 * last)} of orders | the same, 8 times | the same, 64 times |

In the order in which it comes as faces grow:

1. **One table of images.** A csv list may have {MOST_LINES:,} lines, and parquet files that many rows in all; more is refused. Class folders have no such bound.
2. **One process a host gathers** what {CHIPS_OF_A_HOST} chips need ([one process sees all GPUs](devices.md)); a process a chip, as under SLURM, needs no other code.
3. **One folder.** A prepared data set is one folder, `.jaxfer` lies beside it, and every process compares a fingerprint of all data at its start.
4. **One ledger.** Preparing decides about copies in one place, in order: {size(parts.record_bytes * last)} of memory for {last:,} faces, and more in the pipeline of Beam, where a list of all records passes
   through one worker.
5. **Names, labels and the order of an epoch** lie in the memory of every process.
6. **Evaluation.** Validation is shared by all chips, but every process ends with the predictions of the whole split: keep it to some 100,000 faces.
7. **One run folder** that all hosts share; process 0 writes its report while the others wait.

## Which engine then takes over

| engine | how jaxfer plugs in | today |
|---|---|---|
| Grain, on many hosts | reads prepared data by slices, with an order that is computed and not stored; `make_train_step(..., parallel=Sharded())` takes the batches | the program below runs in the tests, in one process; `fit` reads ahead by Grain's threads, from data that every process knows whole |
| Apache Beam, through tfds | `jaxfer data prepare --beam-pipeline-options ...` ([how](data.md#prepared-by-a-pipeline)) | DirectRunner, in threads and in two processes, writes the bytes that one process writes (`make test-beam`); no other runner was tried |
| SLURM | `srun ... --cluster` ([how](devices.md#slurm)) | two processes with SLURM's environment on one machine are in the tests; no SLURM was |
| GKE with XPK or JobSet, TPU slices, Open MPI | `--cluster`, by `jax.distributed`, which recognises them | not tried |
| Ray | an actor a host calls `join_processes("HOST:PORT", hosts, index)` and `fit` | these two calls are tested; with Ray not tried |
| Orbax, to object stores | a `TrainState` has arrays alone, so that Orbax saves it wherever it can write, in a loop of your own | `fit` writes to a folder of a file system alone, with locks and syncs, and takes `gs://...` for the name of one: mount the bucket or copy the run. Not tried |

Grain in place of jaxfer's own batches, in every process of `join_processes`:

```python
{PROGRAM}```

What it gives up: a step's batch is no longer the one that `fit` would have, and saving, resuming and reports are yours.
"""


PROGRAM = """import grain
import jax
import numpy as np
import tensorflow_datasets as tfds

from jaxfer import ResNetFER, make_train_step
from jaxfer.config import OptimizerConfig
from jaxfer.devices import Sharded
from jaxfer.training import Objective, create_state, make_optimizer

PREPARED, BATCH = "prepared/facial_expressions/affectnet7-64px/1.0.0", 16  # of all processes together


def row(face):
    return {"image": face["image"], "label": np.int32(face["label"]), "mask": np.bool_(True)}


faces = tfds.builder_from_directory(PREPARED).as_data_source(split="train")
mine = grain.MapDataset.source(faces).shuffle(seed=0)[jax.process_index() :: jax.process_count()]
batches = mine.repeat().map(row).batch(BATCH // jax.process_count(), drop_remainder=True)
batches = batches.to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))

model, parallel = ResNetFER(), Sharded()
optimizer = make_optimizer(OptimizerConfig(), 1e-3)
step = make_train_step(model, optimizer, Objective(), parallel=parallel)
state = parallel.place(create_state(model, optimizer, seed=0, image_size=64))
for _, batch in zip(range(2), batches):
    state, metrics = step(state, batch)
print(int(state.step), int(metrics.count))
"""


def table_of_scaling(run: dict[str, Any]) -> str:
    """Return what processes of one machine took, in words and rows."""
    machine, versions = run["machine"], run["versions"]
    two = next(row for row in run["exchange"] if row["kernels"] == "cpu")
    pair = next(row for row in run["scaling"] if row["processes"] == 2)
    per_sum = (pair["together"]["processor_ms"] - pair["alone"]["processor_ms"]) / two["sums"]
    rows = []
    for row in run["scaling"]:
        together, alone = row["together"], row["alone"]
        more = together["processor_ms"] - alone["processor_ms"]
        shared = "" if row["processes"] <= machine["cores"] else " (shared cores)"
        rows.append(
            f"| {row['way']} | {row['processes']}{shared} | {row['batch'] // row['processes']} "
            f"| {alone['processor_ms']:.0f} | {together['processor_ms']:.0f} | {max(0.0, more / alone['processor_ms']):.2f} "
            f"| {ring(exchange_of(run), row['processes']) / 1e6:.2f} | {alone['wall_ms']:.0f}, {together['wall_ms']:.0f} | {row['memory_mib']:,} |"
        )
    return f"""Measured by `benchmarks/scaling.py` (`scaling.json`): the published network at {run["side"]} pixels, processes that `join_processes` joins over loopback, one
device each, on {machine["cores"]} cores of an {machine["processor"]} that other work shared; jax {versions["jax"]}. Strong: {run["scaling"][0]["batch"]} faces for all; weak: as many for each. In turns each process
takes steps with the others and alone, on the same rows: what the first take more of its processor is communication, and waiting for it.
With one process both are the same work, and differ by what the measurement is worth. More processes than cores wait for a core in each
sum, so that milliseconds of the clock say nothing of more machines. Two processes spend {per_sum:.1f} ms of a processor on each of the {two["sums"]} sums: on
this network, and such machines, more processes gain nothing; one process uses all cores of a machine ([how](devices.md)).

| scaling | processes | faces of each | alone, ms of a processor | together | communication / work | sent by each, at least, MB | alone, together, ms of the clock | memory, MiB |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}"""


def exchange_of(run: dict[str, Any]) -> int:
    """Return the bytes that a step on CPUs sums."""
    return next(row["bytes"] for row in run["exchange"] if row["kernels"] == "cpu")


def chips_row(parts: Parts, chips: int) -> str:
    """Return what so many chips do."""
    step = step_s(parts, chips, resident=True)
    exchange, batch = step - parts.resident_s, chips * BATCH_OF_A_CHIP
    return (
        f"| {chips} | {chips // CHIPS_OF_A_HOST} | {batch:,} | {ring(parts.exchanged, chips) / 1e6:.2f} MB | {1e3 * exchange:.2f} ms "
        f"({exchange / step:.0%}) | {1e3 * step:.2f} ms | {batch / step / 1e6:.1f} million | {chips * DOLLARS:,.0f} |"
    )


def faces_row(parts: Parts, faces: int) -> str:
    """Return what so many faces ask for."""
    return (
        f"| {faces:,} | {size(faces * parts.jpeg_bytes)} | {size(faces * FACE_BYTES)} | {clock(faces / parts.prepared)} "
        f"| {faces * parts.processor_s / 3600:,.1f} | {size(faces * parts.record_bytes)} | {size(ORDERS * 8 * faces)} "
        f"| {size(faces * (NAME_BYTES + 4))} | {'on the chips' if is_resident(faces) else 'from the host'} |"
    )


def both_row(parts: Parts, faces: int, chips: int) -> str:
    """Return how so many chips train on so many faces."""
    resident, batch, hosts = is_resident(faces), chips * BATCH_OF_A_CHIP, chips // CHIPS_OF_A_HOST
    step, epoch = step_s(parts, chips, resident=resident), epoch_s(parts, faces, chips)
    steps = math.ceil(faces / batch)
    dollars = epoch / 3600 * chips * DOLLARS
    fed = batch / step / hosts
    reading = (
        "0 | 0 | 0"
        if resident
        else f"{math.ceil(fed / parts.gathered)} | {fed * FACE_BYTES / 1e9:.1f} | {fed * hosts * FACE_BYTES / 1e9:,.0f}"
    )
    return (
        f"| {faces:,} | {chips} | {reading} | {steps:,} | {clock(epoch)} | {parts.saves['published'][1] / epoch:.2g} "
        f"| {money(dollars)} | {money(50 * dollars)} |"
    )


def rate(parts: Parts, chips: int) -> float:
    """Return the GB/s that chips which are fed from their hosts read, all together."""
    return chips * BATCH_OF_A_CHIP / step_s(parts, chips, resident=False) * FACE_BYTES / 1e9


def size(count: float) -> str:
    """Return bytes in words."""
    unit = next(unit for unit in ("TB", "GB", "MB", "kB") if count >= {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 0}[unit])
    return f"{count / {'TB': 1e12, 'GB': 1e9, 'MB': 1e6, 'kB': 1e3}[unit]:.3g} {unit}"


def clock(seconds: float) -> str:
    """Return seconds in words."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def money(dollars: float) -> str:
    """Return dollars in words."""
    return f"{dollars:,.0f}" if dollars >= 100 else f"{dollars:,.2f}" if dollars >= 1 else f"{dollars:.2g}"


if __name__ == "__main__":
    main()
