"""How fast the training engine is with a variant, without accuracy: one pass over some images. Prints one line of JSON.

python -m benchmarks.engine augmented --images 12800
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import WARM_UP, peak_megabytes
from classifier.data.split import load_dataset_info, load_split
from classifier.networks.build import build_network, fit_whitening
from classifier.networks.device import choose_device
from classifier.params import parse_params, read_yaml
from classifier.training.trainer import Training
from classifier.variants import merge, parse_override, read_variant


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variant")
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="override a value")
    parser.add_argument("--images", type=int, metavar="N", help="train on the first N images (default: all)")
    parser.add_argument("--data", type=Path, default=Path("data/processed"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--threads", type=int, metavar="N", help="of PyTorch (default: one a core)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    values = merge(read_yaml(Path("params.yaml")), read_variant(arguments.variant))
    for override in ["train.epochs=1", *arguments.set_param]:
        values = merge(values, parse_override(override))
    params = parse_params(values, "the variant")
    train, validation = load_split(arguments.data / "train.safetensors"), load_split(arguments.data / "validation.safetensors")
    train = type(train)(train.images[: arguments.images], train.labels[: arguments.images])
    device = choose_device(params.train.device, params.train.precision)
    network = build_network(
        params.network, train.images.shape[1:], load_dataset_info(arguments.data / "dataset.json"), params.train.seed
    )
    fit_whitening(network, torch.from_numpy(train.images))
    with FlopCounterMode(display=False) as counter:
        network(torch.from_numpy(train.images[:8])).sum().backward()
    network.zero_grad()
    training = Training(network, train, validation, params.augmentation, params.train, device)
    steps: list[tuple[int, float]] = []

    training.run_epoch(lambda images: steps.append((images, time.perf_counter())))
    warm, *timed = steps[WARM_UP - 1 :]
    print(
        json.dumps(
            {
                "images_per_second": sum(images for images, _ in timed) / (timed[-1][1] - warm[1]),
                "peak_megabytes": peak_megabytes(),
                "megaflop_per_image": counter.get_total_flops() / 8 / 1e6,
                "precision": device.precision,
                "matrix_gigaflops": matrix_rate(device.precision),
            }
        )
    )


def matrix_rate(precision: str, size: int = 2048, seconds: float = 2.0) -> float:
    """Return the best rate of a square matrix multiplication within this time, in GFLOP/s."""
    left, right = torch.randn(2, size, size, dtype=getattr(torch, precision))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        left @ right
        best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
    return best


if __name__ == "__main__":
    main()
