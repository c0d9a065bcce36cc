"""The peer of `prepare.py`: PyTorch's ImageFolder and DataLoader, which decode and resize, and keep nothing.

`python prepare_peer.py FOLDER SIZE WORKERS float32|uint8` reads the whole folder once for each line on standard input
and answers with the seconds that took, and the processors' seconds. It needs torch and torchvision only.
"""

# pyright: reportMissingImports=false
import json
import resource
import sys
import time

BATCH = 128


def main() -> None:
    """Say which versions these are, then read the folder as often as asked."""
    # Imported here, so that the other side, which has none of them, can share the clock below.
    import PIL
    import torch
    import torchvision
    from torchvision import transforms

    folder, size, workers, kind = sys.argv[1:]
    to_tensor = transforms.ToTensor() if kind == "float32" else transforms.PILToTensor()
    resize = transforms.Resize((int(size), int(size)))
    images = torchvision.datasets.ImageFolder(folder, transforms.Compose([resize, to_tensor]))
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__}
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        start, used = time.perf_counter(), processor_seconds()
        batches = torch.utils.data.DataLoader(images, batch_size=BATCH, num_workers=int(workers))
        count = sum(len(labels) for _, labels in batches)
        del batches  # ends its workers, so that they are counted
        seconds = time.perf_counter() - start
        print(json.dumps({"images": count, "seconds": seconds, "processor": processor_seconds() - used}), flush=True)


def processor_seconds() -> float:
    """Return the time that processors worked for this process and those it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
