"""PyTorch with channels last, eager or compiled, with the settings its performance guides recommend.

On a GPU that is TF32, fused Adam, pinned host memory, cuDNN's own search for kernels, and autocast for bfloat16.
"""

# pyright: reportMissingImports=false
import os
from itertools import cycle, islice

import torch
from contenders.case import BLOCKS, CLASSES, EPSILON, LEARNING_RATE, SIDES, Case, Contender
from torch import nn
from torch._inductor import config as inductor
from torch.nn.functional import cross_entropy, relu

PACKAGES = ("torch", "numpy")


class Network(nn.Module):
    """The same network: PyTorch pads both sides alike, which costs the same and gives maps of the same sizes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        published, small = name == "published", name in ("small", "shipped")
        self.shipped = name == "shipped"
        self.stem = _conv(1 if self.shipped else 3, 64, 3 if small else 7, 2, published)
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        channels, blocks = 64, []
        for stage, size in enumerate(BLOCKS[name]):
            for index in range(size):
                block = Block(channels, 64 * 2**stage, 2 if stage > 0 and index == 0 else 1, name)
                blocks.append(block)
                channels = block.channels
        self.blocks = nn.Sequential(*blocks)
        self.final_pool = nn.MaxPool2d(3, 2, 1) if published else nn.Identity()
        self.head = nn.Linear(channels, CLASSES)
        self.votes = nn.Linear(channels, 10) if self.shipped else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map uint8 [b, h, w, 3] to logits [b, 7], the shipped network with ten votes after them."""
        # The axes of a channels-last tensor are only named differently: nothing is copied here.
        x = images.permute(0, 3, 1, 2).float() / 255
        if self.shipped:
            x = 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
            x = x - x.mean((1, 2, 3), keepdim=True)
            x = x * x.square().mean((1, 2, 3), keepdim=True).clamp_min((255 * SIDES["shipped"]) ** -2).rsqrt()
        x = self.pool(relu(self.stem(x)))
        x = self.final_pool(self.blocks(x))
        pooled = x.mean((2, 3))
        return self.head(pooled) if self.votes is None else torch.cat([self.head(pooled), self.votes(pooled)], 1)

    def penalty(self) -> torch.Tensor:
        """Return the sum of squares of the first and the last kernel."""
        return self.stem[0].weight.square().sum() + self.head.weight.square().sum()


class Block(nn.Module):
    """Two 3x3 convolutions, or in a ResNet-50 a 1x1, a 3x3 and a 1x1 one, around a shortcut."""

    def __init__(self, inputs: int, filters: int, stride: int, name: str) -> None:
        super().__init__()
        published = name == "published"
        if name == "resnet50":
            self.channels = 4 * filters
            first, middle = _conv(inputs, filters, 1, 1, published), _conv(filters, filters, 3, stride, published)
            layers = [first, nn.ReLU(), middle, nn.ReLU(), _conv(filters, self.channels, 1, 1, published)]
        else:
            self.channels = filters
            layers = [_conv(inputs, filters, 3, stride, published), nn.ReLU(), _conv(filters, filters, 3, 1, published)]
        self.layers = nn.Sequential(*layers)
        same = stride == 1 and inputs == self.channels
        self.shortcut = nn.Identity() if same else _conv(inputs, self.channels, 1, stride, published)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output."""
        return relu(self.layers(x) + self.shortcut(x))


def _conv(inputs: int, filters: int, kernel: int, stride: int, published: bool) -> nn.Sequential:
    momentum, epsilon = (0.01, 1e-3) if published else (0.1, 1e-5)
    return nn.Sequential(
        nn.Conv2d(inputs, filters, kernel, stride, kernel // 2, bias=published),
        nn.BatchNorm2d(filters, epsilon, momentum),
    )


def build(case: Case, way: str) -> Contender:
    """Return the training step or the network in evaluation mode; `way` is `eager`, `compiled` or `graphs`."""
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if way == "graphs" and device.type == "cpu":
        raise NotImplementedError("CUDA graphs need a GPU")
    network = Network(case.network).to(device, memory_format=torch.channels_last)
    make = inference if case.work == "infer" else training
    parameters = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    kind = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return Contender(make(case, network, device, way), parameters, kind, PACKAGES)


def compiled(function, way: str):
    """Return the function as `way` runs it."""
    if way == "eager":
        return function
    return torch.compile(function, mode="reduce-overhead" if way == "graphs" else "default")


def host_batches(case: Case, device: torch.device):
    """Yield batches without end from the host's memory."""
    tensors = [(torch.from_numpy(images), torch.from_numpy(labels).long()) for images, labels in case.batches()]
    return cycle([(x.pin_memory(), y.pin_memory()) for x, y in tensors] if device.type == "cuda" else tensors)


def training(case: Case, network: Network, device: torch.device, way: str):
    """Return what trains for so many steps."""
    adam = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True)
    batches = host_batches(case, device)

    def objective(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=case.dtype == "bfloat16"):
            logits = network(images)
        loss = cross_entropy(logits.float(), labels)
        if case.l2:
            loss = loss + case.l2 * network.penalty()
        return loss, (logits.argmax(1) == labels).float().mean()

    objective = compiled(objective, way)

    def run(steps: int) -> tuple[float, float]:
        losses, hits = torch.zeros((), device=device), torch.zeros((), device=device)
        for images, labels in islice(batches, steps):
            loss, accuracy = objective(images.to(device, non_blocking=True), labels.to(device, non_blocking=True))
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses += loss.detach()
            hits += accuracy
        return float(losses) / steps, float(hits) / steps

    return run


def inference(case: Case, network: Network, device: torch.device, way: str):
    """Return what applies the network to so many batches and reads each one's logits."""
    network.eval()
    if way != "eager" and device.type == "cpu":
        inductor.freezing = True  # folds the normalisation and packs the kernels
    apply = compiled(network, way)
    batches = host_batches(case, device)

    @torch.no_grad()
    def run(steps: int) -> tuple[float, float]:
        logits = torch.zeros(())
        for images, _ in islice(batches, steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=case.dtype == "bfloat16"):
                logits = apply(images.to(device, non_blocking=True)).cpu()
        return float(logits.float().abs().mean()), 0.0

    return run
