"""Measure the speed of training beside busy processes, with constant spin counts of OpenMP and with that of the train stage.

To be run on a machine that is otherwise idle, after `dvc repro preprocess` on CIFAR-10. A measurement is the train stage of a
variant on some images in a temporary folder, in alternating order of the counts, beside 0, 1 and 2 busy processes. The stage
keeps a count that is set, so 300000 (what libgomp takes by default) is the speed without adaptation; `ours` is the count that
the stage chooses. Prints every measurement and a table of medians, in images per second.

  python -m benchmarks.load
  python -m benchmarks.load --variant speedrun --images 22500 --runs 5
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from classifier.data.split import load_split, save_split
from classifier.params import read_yaml
from classifier.runtime.console import log
from classifier.variants import merge, read_variant

ROOT = Path(__file__).parents[1]
PROCESSED = Path("data/processed")
COUNTS = ("300000", "0", "2000", "200000", "ours")
BUSY_SECONDS = 3600  # after which a busy process ends by itself
BUSY = f"import time; end = time.monotonic() + {BUSY_SECONDS}\nwhile time.monotonic() < end: pass"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", default="augmented", help="default: %(default)s")
    parser.add_argument("--images", type=int, default=12_800, metavar="N", help="train on the first N (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each measurement (default: %(default)s)")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: %(default)s")
    parser.add_argument("--counts", nargs="+", default=COUNTS, metavar="COUNT", help="default: %(default)s")
    arguments = parser.parse_args()
    if not (PROCESSED / "train.safetensors").exists():
        sys.exit("load: data/processed is not there; run dvc repro preprocess on CIFAR-10 first")
    speeds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), arguments.variant, arguments.images, arguments.epochs)
        for run in range(arguments.runs):
            for busy in arguments.busy:
                for count in arguments.counts[:: -1 if run % 2 else 1]:
                    with busy_processes(busy):
                        speeds.setdefault((count, busy), []).append(speed(Path(name), count))
                    log(f"load: {count}, beside {busy}: {speeds[count, busy][-1]:,.0f} images/s")
    print(table(speeds))


def prepare(folder: Path, variant: str, images: int, epochs: int) -> None:
    """Make a folder in which the train stage of a variant runs on the first images."""
    values = merge(merge(read_yaml(Path("params.yaml")), read_variant(variant)), {"train": {"epochs": epochs}})
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    for name in ("train", "validation"):
        split = load_split(PROCESSED / f"{name}.safetensors")
        count = images if name == "train" else images // 10
        save_split(type(split)(split.images[:count], split.labels[:count]), folder / PROCESSED / f"{name}.safetensors")
    (folder / PROCESSED / "dataset.json").write_bytes((PROCESSED / "dataset.json").read_bytes())


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Run processes that use a processor each."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def speed(folder: Path, count: str) -> float:
    """Return the images per second of the train stage, with a spin count or with that which the stage chooses."""
    environment = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    environment |= {"PYTHONPATH": str(ROOT)} | ({} if count == "ours" else {"GOMP_SPINCOUNT": count})
    subprocess.run([sys.executable, "-m", "stages.train"], cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return float(json.loads((folder / "metrics/train.json").read_text(encoding="utf-8"))["images_per_second"])


def table(speeds: dict[tuple[str, int], list[float]]) -> str:
    """Return the medians as a table in Markdown, one row per count."""
    columns = sorted({busy for _, busy in speeds})
    lines = ["| spin count | " + " | ".join(f"beside {busy}" for busy in columns) + " |", "| --- |" + " --- |" * len(columns)]
    for count in dict.fromkeys(count for count, _ in speeds):
        medians = [statistics.median(speeds[count, busy]) for busy in columns]
        lines.append(f"| {count} | " + " | ".join(f"{median:,.0f}" for median in medians) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
