"""A conventional training loop for the study's network, as in many notebooks: the baseline of every benchmark.

torchvision's reader of CIFAR-10, a DataLoader with worker processes, transforms of one image at a time, float32, Adam; the same
design, split, augmentation and seed as params.yaml. Prints one line of JSON.

  python -m benchmarks.notebook --images 12800
  python -m benchmarks.notebook --until 0.82
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR10

from benchmarks import WARM_UP, peak_megabytes

RAW = Path("data/raw")  # as downloaded by the pipeline, in the layout that torchvision expects
WORKERS = 2  # which is faster here than 0 and than 1


def main() -> None:
    """Train until so many images have been seen, or until the test accuracy is reached."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.notebook", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--images", type=int, metavar="N", help="stop after N training images")
    goal.add_argument("--until", type=float, metavar="ACCURACY", help="stop after the first epoch with this test accuracy")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(train(RAW, arguments.images, arguments.until, arguments.seed)))


def train(folder: Path, images: int | None, until: float | None, seed: int) -> dict[str, float]:
    """Train, and return images a second, seconds of training (without those of testing), test accuracy and peak memory."""
    torch.manual_seed(seed)
    normalize = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    augment = transforms.Compose(
        [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalize]
    )
    plain = transforms.Compose([transforms.ToTensor(), normalize])
    train_set = CIFAR10(folder, train=True, transform=augment)
    test_set = CIFAR10(folder, train=False, transform=plain)
    indices, _ = train_test_split(np.arange(len(train_set)), test_size=0.1, stratify=train_set.targets, random_state=0)
    batches: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        Subset(train_set, indices.tolist()), batch_size=64, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    test_batches: DataLoader[tuple[Tensor, Tensor]] = DataLoader(test_set, batch_size=1000, num_workers=WORKERS)

    network = study_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    seconds, seen, steps, accuracy = 0.0, 0, 0, 0.0
    warm = (0, 0.0)
    for epoch in itertools.count(1):
        network.train()
        start = time.perf_counter()
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss = criterion(network(inputs), labels)
            loss.backward()
            optimizer.step()
            seen, steps = seen + len(labels), steps + 1
            if steps == WARM_UP:
                warm = (seen, seconds + time.perf_counter() - start)
            if images and seen >= images:
                break
        seconds += time.perf_counter() - start
        if until:
            accuracy = test_accuracy(network, test_batches)
            print(f"notebook: epoch {epoch}: {seconds:.0f} s, test accuracy {accuracy:.4f}", flush=True)
        if (images and seen >= images) or (until and accuracy >= until):
            break
    return {
        "images_per_second": (seen - warm[0]) / (seconds - warm[1]),
        "seconds": seconds,
        "epochs": epoch,
        "accuracy": accuracy,
        "peak_megabytes": peak_megabytes(),
    }


def study_network() -> nn.Sequential:
    """Build the study's third design."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise([3, 8, 16, 32, 64, 128, 256]), start=1):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        if number % 2 == 0:
            layers += [nn.MaxPool2d(2), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 10))


@torch.no_grad()
def test_accuracy(network: nn.Module, batches: DataLoader[tuple[Tensor, Tensor]]) -> float:
    """Return the share of the images that the network gets right."""
    network.eval()
    right = torch.cat([network(inputs).argmax(1) == labels for inputs, labels in batches])
    return right.float().mean().item()


if __name__ == "__main__":
    main()
