"""What PyTorch's networks make of images: for the tests of pre-trained weights, which run without PyTorch.

    python benchmarks/torch_activations.py small tests/models/torch_activations.safetensors
    python benchmarks/torch_activations.py live FOLDER

Run it where torch, torchvision, timm and safetensors are (benchmarks/requirements-peers.txt); jaxfer is not needed.

`small` writes, for networks of one block a stage, the mean over the channels of each stage's map and the mean over the
places of the last one. Their weights are not kept: whoever draws them again with `drawn` has the same. `live` writes
the same for the networks that people use, with their weights, in both of the forms that weights come in.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

SIDES = (224, 112, 64)


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Return weights by their keys, float32, in the range of those of trained networks."""
    rng = np.random.RandomState(seed)  # whose numbers no release of NumPy may change
    found = {}
    for key, shape in sorted(shapes.items()):
        values = rng.standard_normal(shape)
        if len(shape) > 1:
            values *= np.sqrt(1 / np.prod(shape[1:]))
        elif key.endswith("running_var"):
            values = np.exp(0.2 * values)
        else:
            values = 0.1 * values + (0 if key.endswith(("bias", "running_mean")) else 1)
        found[key] = values.astype(np.float32)
    return found


def images(side: int, count: int = 1) -> np.ndarray:
    """Return images of noise that is smooth in places, uint8 [count, side, side, 3]."""
    rng = np.random.RandomState(side)
    coarse = rng.randint(0, 256, (count, side // 8, side // 8, 3)).repeat(8, 1).repeat(8, 2)
    return np.clip(coarse + rng.randint(-40, 41, coarse.shape), 0, 255).astype(np.uint8)


def ir_network(stage_sizes: tuple[int, ...], middle_norm: bool) -> Any:
    """Return an IR network of ArcFace (Deng et al. 2019), or of AdaFace with `middle_norm`, up to its last map."""
    from torch import nn  # pyright: ignore[reportMissingImports]

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            norm = [nn.BatchNorm2d(outputs)] if middle_norm else []
            self.res_layer = nn.Sequential(
                nn.BatchNorm2d(inputs),
                nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
                *norm,
                nn.PReLU(outputs),
                nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            self.shortcut_layer = nn.MaxPool2d(1, stride) if inputs == outputs else projection

        def forward(self, x: Any) -> Any:
            return self.res_layer(x) + self.shortcut_layer(x)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
            blocks, before = [], 64
            for stage, size in enumerate(stage_sizes):
                for index in range(size):
                    blocks.append(Block(before, 64 * 2**stage, 2 if index == 0 else 1))
                    before = 64 * 2**stage
            self.body = nn.Sequential(*blocks)
            self.output_layer = nn.Sequential(nn.BatchNorm2d(before))

        def forward(self, x: Any) -> Any:
            return self.output_layer(self.body(self.input_layer(x)))

    return Network()


def resnet_stages(network: Any) -> list[Any]:
    """Return the modules whose outputs are compared."""
    return [network.layer1, network.layer2, network.layer3, network.layer4]


def ir_stages(network: Any, stage_sizes: tuple[int, ...]) -> list[Any]:
    """Return the modules whose outputs are compared: the last block of each stage, and the last normalisation."""
    ends = np.cumsum(stage_sizes) - 1
    return [*(network.body[int(end)] for end in ends), network.output_layer]


def activations(network: Any, stages: list[Any], side: int, mean: float, deviation: float) -> dict[str, np.ndarray]:
    """Return the mean over the channels of each stage's map, [h, w], and that over the places of the last one, [c]."""
    import torch  # pyright: ignore[reportMissingImports]

    x = (images(side).astype(np.float32) / 255 - mean) / deviation
    maps: list[Any] = []
    hooks = [stage.register_forward_hook(lambda _, __, output: maps.append(output)) for stage in stages]
    with torch.no_grad():
        network.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    for hook in hooks:
        hook.remove()
    found = {f"stage{number + 1}": values[0].mean(0).numpy() for number, values in enumerate(maps)}
    return found | {"features": maps[-1][0].mean((1, 2)).numpy()}


def shapes_of(network: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's arrays by their keys, without its counters of batches."""
    return {key: tuple(value.shape) for key, value in network.state_dict().items() if value.ndim}


def fill(network: Any, seed: int) -> None:
    """Give a network the weights that `drawn` draws."""
    import torch  # pyright: ignore[reportMissingImports]

    weights = {key: torch.from_numpy(value) for key, value in drawn(shapes_of(network), seed).items()}
    network.load_state_dict(network.state_dict() | weights)


def calm(network: Any) -> None:
    """Let the blocks of an IR network add less, so that its maps keep the size that those of trained ones have."""
    import torch  # pyright: ignore[reportMissingImports]

    with torch.no_grad():
        for block in network.body:
            block.res_layer[-1].weight *= 0.3


def small(out: Path) -> None:
    """Write the file of the suite: activations, and in its metadata the shapes of the weights of each network."""
    from safetensors.numpy import save_file
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet  # pyright: ignore[reportMissingImports]

    ones = (1, 1, 1, 1)
    networks: dict[str, tuple[Any, Callable[[Any], list[Any]]]] = {
        "basic": (ResNet(BasicBlock, list(ones), num_classes=5), resnet_stages),
        "bottleneck": (ResNet(Bottleneck, list(ones), num_classes=5), resnet_stages),
        "ir": (ir_network(ones, False), lambda network: ir_stages(network, ones)),
        "adaface": (ir_network(ones, True), lambda network: ir_stages(network, ones)),
    }
    arrays, shapes = {}, {}
    for seed, (name, (network, stages)) in enumerate(networks.items()):
        fill(network, seed)
        shapes[name] = {"seed": seed, "shapes": shapes_of(network)}
        for side in SIDES:
            found = activations(network, stages(network), side, 0.5, 0.25)
            arrays |= {f"{name}/{side}/{key}": np.ascontiguousarray(values) for key, values in found.items()}
    save_file(arrays, out, metadata={"networks": json.dumps(shapes)})
    saved(out.with_name("torch_saved.pth"), out.with_name("torch_legacy.pth"))


def saved(archive: Path, legacy: Path) -> None:
    """Write the same small tensors in both forms of `torch.save`: of each kind, in other orders, and in dicts."""
    import torch  # pyright: ignore[reportMissingImports]

    numbers = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    state |= {"1.num_batches_tracked": torch.tensor(7)}
    for key in state:
        if state[key].dtype == torch.float32:
            state[key] = torch.linspace(0, 1, state[key].numel()).reshape(state[key].shape)
    state |= {"turned": numbers.permute(2, 0, 1), "part": numbers[1, 1:], "half": numbers.half()}
    state |= {"brain": numbers.bfloat16(), "none": torch.zeros(0, 4)}
    whole = {"epoch": 3, "arch": "tiny", "best": 0.5, "done": True, "lists": [1, (2, None)], "state_dict": state}
    torch.save(whole, archive)
    torch.save(whole, legacy, _use_new_zipfile_serialization=False)


def live(folder: Path) -> None:
    """Write weights and activations of whole networks of torchvision and timm, and of IR networks."""
    import timm  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]
    import torchvision  # pyright: ignore[reportMissingImports]
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"ir18": (2, 2, 2, 2), "ir50": (3, 4, 14, 3), "adaface18": (2, 2, 2, 2), "adaface50": (3, 4, 14, 3)}
    for variant in ("resnet18", "resnet34", "resnet50", *sizes):
        if variant in sizes:
            network = ir_network(sizes[variant], variant.startswith("adaface"))
            made = {"published": (network, ir_stages(network, sizes[variant]))}
        else:
            made = {"torchvision": getattr(torchvision.models, variant)(), "timm": timm.create_model(variant)}
            made = {library: (network, resnet_stages(network)) for library, network in made.items()}
        for number, (library, (network, stages)) in enumerate(made.items()):
            fill(network, number)
            if variant in sizes:
                calm(network)
            path = folder / f"{variant}-{library}"
            state = network.state_dict()
            save_file({key: value.contiguous() for key, value in state.items()}, path.with_suffix(".safetensors"))
            prefixed = {f"module.{key}": value for key, value in state.items()}
            torch.save({"epoch": 3, "state_dict": prefixed}, path.with_suffix(".pth"))
            found = {
                f"{side}/{key}": values
                for side in SIDES
                for key, values in activations(network, stages, side, 0.5, 0.25).items()
            }
            np.savez(path.with_suffix(".npz"), allow_pickle=False, **found)


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("small", "live"))
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    (small if arguments.what == "small" else live)(arguments.out)


if __name__ == "__main__":
    main()
