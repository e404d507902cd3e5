"""Measure the speed of this program and of a conventional training loop (benchmarks/notebook.py), and write docs/benchmarks.

The short form takes about three minutes. It estimates the conventional loop's time to 82 % from its speed, measured now, and
from the number of epochs that it needed in the committed full form. The full form measures everything, alternating between both
programs, and draws the cost. Figures are medians over runs. Results are written after every run, so that an interrupted
benchmark keeps them.

  python -m benchmarks.run
  python -m benchmarks.run --full --runs 3
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure

from classifier.data.split import load_split, save_split
from classifier.figures.style import save_figure
from classifier.params import read_yaml
from classifier.results.table import write_json
from classifier.runtime.console import log
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs, atomic_write
from classifier.variants import merge, read_variant

ROOT = Path(__file__).parents[1]
OUTPUT = Path("docs/benchmarks")
PROCESSED = Path("data/processed")
TARGET = 0.82  # the test accuracy of the original study
IMAGES = 12_800  # of a measurement of images a second: 200 steps
TRAINING_IMAGES = 45_000
ALL_ARITHMETIC = ["--set-param=train.image_sizes=[]", "--set-param=train.freeze=[]"]  # which is what is counted an image


@dataclasses.dataclass
class Bench:
    """Measurements; each list has one entry per run."""

    notebook: list[dict[str, float]] = dataclasses.field(default_factory=list)
    engine: list[dict[str, float]] = dataclasses.field(default_factory=list)
    fast: list[dict[str, float]] = dataclasses.field(default_factory=list)
    speedrun: list[dict[str, float]] = dataclasses.field(default_factory=list)
    notebook_to_target: list[dict[str, float]] = dataclasses.field(default_factory=list)
    cost: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    pipeline: dict[str, float] = dataclasses.field(default_factory=dict)


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--full", action="store_true", help="also time the conventional loop to 82 %%, the cost and the pipeline"
    )
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="of each measurement (default: 1)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="of the trainings to 82 %% (default: 0)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help=f"default: {OUTPUT}")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error(f"argument --runs: should be 1 or more, got {arguments.runs}")
    if not (PROCESSED / "train.safetensors").exists():
        raise InputError("data/processed is not there; run dvc repro preprocess on CIFAR-10 first")
    name = "full" if arguments.full else "short"
    for bench in measure(arguments.full, arguments.runs, arguments.first_seed):
        values = dataclasses.asdict(bench) | {"hardware": hardware(), "summary": summarize(bench)}
        with atomic_outputs() as place:
            write_json(place(arguments.output / f"{name}.json"), values)
            place(arguments.output / f"{name}.md").write_text(as_markdown(values), encoding="utf-8")
    if arguments.full:
        with atomic_write(arguments.output / "cost.png") as temporary:
            save_figure(temporary, 150, lambda: cost_figure(bench.cost))
    print(as_markdown(values))
    print(f"bench: {name}.md and {name}.json are in {arguments.output}")


def measure(full: bool, runs: int, first_seed: int) -> Iterator[Bench]:
    """Measure everything, alternating between both programs; yield all results so far after every run and at the end."""
    bench = Bench()
    for run in range(runs):
        bench.notebook.append(child("benchmarks.notebook", f"--images={IMAGES}"))
        bench.engine.append(child("benchmarks.engine", "augmented", f"--images={IMAGES}"))
        bench.fast.append(child("benchmarks.engine", "speedrun", f"--images={IMAGES}", *ALL_ARITHMETIC))
        bench.speedrun.append(pipeline_training("speedrun", first_seed + run))
        if full:
            bench.notebook_to_target.append(child("benchmarks.notebook", f"--until={TARGET}", f"--seed={first_seed + run}"))
        yield bench
    if full:
        bench.cost = cost()
        bench.pipeline = whole_pipeline()
        yield bench


def child(module: str, *arguments: str) -> dict[str, float]:
    """Run a module of this program in a separate process, and return the JSON of its last line."""
    log(f"bench: {module} {' '.join(arguments)}")
    result = ""
    with subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            if line.startswith("{"):
                result = line
            else:
                print(line, end="", file=sys.stderr)
    if running.returncode != 0:
        raise InputError(f"{module} failed; see the output above")
    figures: dict[str, float] = json.loads(result)
    return figures


def pipeline_training(variant: str, seed: int) -> dict[str, float]:
    """Run the stages train and evaluate of a variant as a user does, and return seconds of training and test accuracy."""
    log(f"bench: the stages train and evaluate of {variant}, seed {seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = merge(merge(read_yaml(Path("params.yaml")), read_variant(variant)), {"train": {"seed": seed}})
        (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        (folder / "data").mkdir()
        (folder / "data/processed").symlink_to(PROCESSED.resolve())
        for stage in ("train", "evaluate"):
            command = [sys.executable, "-m", f"stages.{stage}"]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            if subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=False).returncode != 0:
                raise InputError(f"the stage {stage} failed; see the output above")
        trained, tested = (json.loads((folder / f"metrics/{name}.json").read_text()) for name in ("train", "test"))
    return {"seed": seed, "seconds": trained["seconds"], "accuracy": tested["accuracy"]}


def cost() -> list[dict[str, Any]]:
    """Measure one epoch of the default network with other numbers of images, widths and threads."""
    threads = torch.get_num_threads()
    points: list[tuple[str, float, list[str]]] = []
    widths = read_yaml(Path("params.yaml"))["network"]["widths"]
    for factor in (0.5, 1.0, 2.0):
        wider = [round(width * factor) for width in widths]
        points.append(("width", factor, [f"--set-param=network.widths={wider}", f"--images={IMAGES}"]))
    points += [("threads", count, [f"--threads={count}", f"--images={IMAGES}"]) for count in sorted({1, threads})]
    measured = [{"of": of, "value": value} | child("benchmarks.engine", "augmented", *more) for of, value, more in points]
    train = load_split(PROCESSED / "train.safetensors")
    for share in (0.25, 0.5, 1.0):
        with tempfile.TemporaryDirectory() as name:  # fewer images from the file on, or the memory would be that of all
            shutil.copytree(PROCESSED, name, dirs_exist_ok=True)
            save_split(train.take(np.arange(round(len(train) * share))), Path(name, "train.safetensors"))
            measured.append({"of": "images", "value": share} | child("benchmarks.engine", "augmented", f"--data={name}"))
    return measured


def whole_pipeline() -> dict[str, float]:
    """Run `dvc repro` in a clone with an empty cache and again with nothing to do; return seconds of the stages and of both."""
    log("bench: dvc repro from nothing, in a clone")
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for place in ("data/archives", "../shared"):  # where the data set may be, as data.sources says
            if (ROOT / place).exists():
                (clone / place).symlink_to((ROOT / place).resolve())
        seconds: dict[str, float] = {}
        start = last = time.perf_counter()
        stage = "start"
        command = [sys.executable, "-m", "dvc", "repro"]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        # --force: the clone has the pictures from Git, which DVC would not draw again.
        with subprocess.Popen([*command, "--force"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True) as running:
            for line in running.stdout or ():
                print(line, end="", file=sys.stderr)
                if line.startswith("Running stage"):
                    now = time.perf_counter()
                    seconds[stage], stage, last = now - last, line.split("'")[1], now
        if running.returncode != 0:
            raise InputError("dvc repro failed in a clone; see the output above")
        end = time.perf_counter()
        seconds |= {stage: end - last, "from nothing": end - start}
        subprocess.run(command, cwd=clone, stdout=subprocess.DEVNULL, check=True)
        return seconds | {"nothing to do": time.perf_counter() - end}


def hardware() -> dict[str, Any]:
    """Return the hardware and versions that the figures depend on."""
    models = [line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


def summarize(bench: Bench) -> dict[str, Any]:
    """Return the figures that the table shows: medians over runs, and their ratios."""
    notebook, engine, fast = (
        {key: median(runs, key) for key in runs[0] if isinstance(runs[0][key], int | float)}
        for runs in (bench.notebook, bench.engine, bench.fast)
    )
    accuracies = [run["accuracy"] for run in bench.speedrun]
    seconds = median(bench.speedrun, "seconds")
    if bench.notebook_to_target:
        notebook_seconds, epochs = (median(bench.notebook_to_target, key) for key in ("seconds", "epochs"))
    else:
        committed = json.loads(_read(str(OUTPUT / "full.json")) or "{}").get("summary", {})
        epochs = committed.get("notebook_epochs")
        notebook_seconds = epochs and epochs * TRAINING_IMAGES / notebook["images_per_second"]
    return {
        "runs": len(bench.engine),
        "precision": bench.engine[0]["precision"],
        "notebook_images_per_second": notebook["images_per_second"],
        "engine_images_per_second": engine["images_per_second"],
        "engine_ratio": statistics.median(
            ours["images_per_second"] / theirs["images_per_second"]
            for ours, theirs in zip(bench.engine, bench.notebook, strict=True)
        ),
        "matrix_gigaflops": engine["matrix_gigaflops"],
        "engine_share": engine["images_per_second"] * engine["megaflop_per_image"] / 1000 / engine["matrix_gigaflops"],
        "speedrun_share": fast["images_per_second"] * fast["megaflop_per_image"] / 1000 / fast["matrix_gigaflops"],
        "notebook_megabytes": notebook["peak_megabytes"],
        "engine_megabytes": engine["peak_megabytes"],
        "notebook_seconds": notebook_seconds,
        "notebook_epochs": epochs,
        "notebook_measured": bool(bench.notebook_to_target),
        "speedrun_seconds": seconds,
        "speedrun_accuracy": statistics.mean(accuracies),
        "speedrun_lowest": min(accuracies),
        "target_ratio": notebook_seconds / seconds if notebook_seconds and statistics.mean(accuracies) >= TARGET else None,
    }


def median(runs: Sequence[dict[str, Any]], key: str) -> float:
    """Return the median of one figure over the runs."""
    return float(statistics.median(run[key] for run in runs))


def as_markdown(values: dict[str, Any]) -> str:
    """Return the table."""
    summary, machine = values["summary"], values["hardware"]
    if summary["notebook_seconds"]:
        how = "" if summary["notebook_measured"] else " (projected)"
        notebook_target = f"{summary['notebook_seconds']:.0f} s{how}, {summary['notebook_epochs']:.0f} epochs"
    else:
        notebook_target = "not measured"
    ratio = f"{summary['target_ratio']:.0f} times" if summary["target_ratio"] else ""
    reached = "" if summary["speedrun_accuracy"] >= TARGET else f"{TARGET:.0%} not reached: "
    lowest = f", lowest {summary['speedrun_lowest']:.1%}" if summary["runs"] > 1 else ""
    lines = [
        f"{machine['processor']}, {machine['threads']} threads, {summary['precision']}, no GPU, torch {machine['torch']}; "
        f"{'medians over ' + str(summary['runs']) + ' runs' if summary['runs'] > 1 else 'one run'}.",
        "",
        "| | conventional loop | this program | ratio |",
        "| --- | --- | --- | --- |",
        f"| images per second, the study's design | {summary['notebook_images_per_second']:,.0f} | "
        f"{summary['engine_images_per_second']:,.0f} | {summary['engine_ratio']:.2f} times |",
        f"| seconds of training to {TARGET:.0%} on the test split | {notebook_target} | "
        f"{reached}{summary['speedrun_seconds']:.1f} s (`speedrun`, {summary['speedrun_accuracy']:.1%}{lowest}) | {ratio} |",
        f"| peak memory, the study's design | {summary['notebook_megabytes']:,.0f} MB, without worker processes | "
        f"{summary['engine_megabytes']:,.0f} MB | |",
        f"| share of the matrix-multiplication rate ({summary['matrix_gigaflops']:.0f} GFLOP/s) | | "
        f"{summary['engine_share']:.0%} (`speedrun` {summary['speedrun_share']:.0%}) | |",
    ]
    if pipeline := values["pipeline"]:
        lines += ["", "| `dvc repro` | seconds |", "| --- | --- |"]
        lines += [f"| {stage} | {seconds:.1f} |" for stage, seconds in pipeline.items() if stage != "start"]
    return "\n".join(lines) + "\n"


def cost_figure(points: Sequence[dict[str, Any]]) -> Figure:
    """Draw time and memory against images, width and threads."""
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.subplots(2, 3, sharey="row")
    labels = {"images": "share of the training images", "width": "width, as a factor", "threads": "threads"}
    for column, (of, label) in enumerate(labels.items()):
        chosen = [point for point in points if point["of"] == of]
        x = [point["value"] for point in chosen]
        scale = [point["value"] if of == "images" else 1.0 for point in chosen]
        seconds = [TRAINING_IMAGES * share / point["images_per_second"] for point, share in zip(chosen, scale, strict=True)]
        axes[0, column].plot(x, seconds, "o-")
        axes[1, column].plot(x, [point["peak_megabytes"] / 1024 for point in chosen], "o-")
        axes[1, column].set_xlabel(label)
        for axis in axes[:, column]:
            axis.set_xticks(x)
            axis.grid(alpha=0.3)
    for row in axes:
        highest = max(max(line.get_ydata()) for axis in row for line in axis.lines)
        row[0].set_ylim(0, 1.08 * highest)  # of the whole row, which shares it
    axes[0, 0].set_ylabel("seconds an epoch")
    axes[1, 0].set_ylabel("peak memory (GB)")
    return figure


if __name__ == "__main__":
    main()
