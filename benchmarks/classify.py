"""Measure how long tools.classify takes for many files, beside decoding alone and the network alone.

To be run on a machine that is otherwise idle, with a trained model. Files of random images are written to a temporary folder.
Measured in the same run, alternating: decoding and fitting them, in one thread and in several (the faster counts); the network
on the decoded images; and the whole command, whose start (that of one file) is subtracted. Prints every measurement and the
ratio of the medians, which should be at most 1.2.

  python -m benchmarks.classify
  python -m benchmarks.classify --files 1000 --pixels 1024 --format jpg
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.data.image_folder import fit_image, read_image
from classifier.networks.device import as_tensor, choose_device
from classifier.networks.inference import predict
from classifier.networks.model_file import load_model
from classifier.runtime.console import log
from classifier.runtime.errors import InputError

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.classify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/classifier.pt"), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--files", type=int, default=10_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--pixels", type=int, default=32, metavar="N", help="side of the images in them (default: %(default)s)")
    parser.add_argument("--format", choices=("png", "jpg"), default="png", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each measurement (default: %(default)s)")
    arguments = parser.parse_args()
    if not arguments.model.exists():
        raise InputError(f"{arguments.model}: no such file; make repro trains a model")
    model = load_model(arguments.model)
    device = choose_device("auto", "float32")
    network = model.build().to(device.name)

    def load(path: Path) -> NDArray[np.uint8]:
        image = read_image(path)
        return fit_image(image if model.image_shape[2] == 3 else image.convert("L"), model.image_shape[0], model.dataset.fit)

    def load_in_threads() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(load, files))

    def command(path: Path) -> None:
        line = [sys.executable, "-m", "tools.classify", str(path), "--csv", "--model", str(arguments.model.resolve())]
        subprocess.run(line, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)

    with tempfile.TemporaryDirectory() as name:
        files = write_files(Path(name), arguments.files, arguments.pixels, arguments.format)
        images = as_tensor(np.stack([load(path) for path in files]))
        work: dict[str, Callable[[], object]] = {
            "decoding, one thread": lambda: [load(path) for path in files],
            "decoding, threads": load_in_threads,
            "network": lambda: predict(network, images, device).cpu(),
            "command, one file": lambda: command(files[0]),
            "command": lambda: command(Path(name)),
        }
        times: dict[str, list[float]] = {part: [] for part in work}
        for _ in range(arguments.runs):
            for part, do in work.items():
                times[part].append(seconds(do))
                log(f"classify: {part}: {times[part][-1]:.2f} s")
    medians = {part: statistics.median(values) for part, values in times.items()}
    whole = medians["command"] - medians["command, one file"]
    parts = min(medians["decoding, one thread"], medians["decoding, threads"]) + medians["network"]
    print(f"{arguments.files:,} files: {whole:.2f} s; decoding and network alone: {parts:.2f} s; ratio {whole / parts:.2f}")


def write_files(folder: Path, number: int, pixels: int, suffix: str) -> list[Path]:
    """Write random images, smooth enough that they compress like photos."""
    random = np.random.default_rng(0)
    files = [folder / f"{index:06}.{suffix}" for index in range(number)]
    for path in files:
        coarse = Image.fromarray(random.integers(256, size=(9, 9, 3), dtype=np.uint8))
        coarse.resize((pixels, pixels), Image.Resampling.BICUBIC).save(path)
    return files


def seconds(do: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
