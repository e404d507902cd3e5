"""Classify images: files, folders of images, or patterns such as 'photos/*.jpg'.

Prints the most likely classes of each image with their probabilities. What cannot be read is named and skipped, and makes the
exit status 1. Images are decoded and made square as in the preprocess stage, and classified as in the evaluate stage.

  python -m tools.classify photo.jpg
  python -m tools.classify photos --csv > classes.csv
  python -m tools.classify photos --rev accurate --unknown 0.6
"""

import argparse
import csv
import glob
import io
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from classifier.data.image_folder import UnreadableImage, fit_image, read_image
from classifier.data.image_pack import scan
from classifier.networks.device import as_tensor, choose_device
from classifier.networks.inference import predict
from classifier.results.predictions import load_predictions
from classifier.results.refusal import refusals
from classifier.runtime.console import log, progress_bar
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, check_folder
from tools.trained import PREDICTIONS, Trained, add_arguments, open_model

UNKNOWN = "unknown"
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # of the table of what --unknown costs
BATCH = 1000  # images that are decoded before the network sees them, at most
BATCH_BYTES = 2**26  # of their pixels
DECODERS = 8  # threads, at most: each may hold a large photo
TIMED = 10  # images of a batch that one thread decodes first ...
QUICK_SECONDS = 200e-6  # ... and the others too, if those took less than this each
NAME_WIDTH = 60  # characters of a file's name in the table, which may be longer and moves its row then
PHOTO_SIDE = 800  # pixels of a photo in a picture, at most

Probabilities = NDArray[np.float64]


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.classify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image, folder of images or pattern")
    add_arguments(parser)
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes of an image (default: %(default)s)")
    parser.add_argument(
        "--unknown",
        type=float,
        metavar="P",
        help=f"answer {UNKNOWN!r} below this probability, and show what that does to the test split",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    form.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--picture", type=Path, metavar="FOLDER", help="write each photo with bars of its classes there")
    arguments = parser.parse_args()
    try:
        sys.exit(classify(arguments))
    except KeyboardInterrupt:
        print("classify: interrupted", file=sys.stderr)
        sys.exit(130)


def classify(arguments: argparse.Namespace) -> int:
    """Classify as the command line says; return the exit status, 1 if anything could not be read."""
    if arguments.top < 1:
        raise InputError(f"--top {arguments.top}: should be 1 or more")
    if arguments.unknown is not None and not 0 <= arguments.unknown <= 1:
        raise InputError(f"--unknown {arguments.unknown:g}: should be a probability between 0 and 1")
    if arguments.picture:
        check_folder(arguments.picture)
    files, missing = find_images(arguments.paths)
    for path in missing:
        complain(path, "no such file")
    if not files:
        raise InputError("no image was found; PATH should be an image, a folder of images or a pattern such as 'photos/*.jpg'")
    with open_model(arguments) as trained:
        names = trained.model.dataset.class_names
        top = min(arguments.top, len(names))
        show = shower(arguments, max(len(shown(path)) for path in files), names, top)
        unreadable = 0
        pictures = picture_paths(files, arguments.picture) if arguments.picture else {}
        with progress_bar(len(files), "", " images") as bar:
            for path, result in predictions(files, trained):
                bar.update()
                if isinstance(result, UnreadableImage):
                    complain(path, str(result))
                    unreadable += 1
                    continue
                best = [(names[index], float(result[index])) for index in (-result).argsort(kind="stable")[:top]]
                answer = UNKNOWN if arguments.unknown is not None and best[0][1] < arguments.unknown else best[0][0]
                show(path, answer, best)
                if pictures:
                    write_picture(path, answer, best, pictures[path])
        if arguments.json:
            print("]" if unreadable < len(files) else "[]")
        if arguments.unknown is not None:
            print(refusal_table(trained, arguments.unknown), file=sys.stderr if arguments.csv or arguments.json else sys.stdout)
    if unreadable or missing:
        line = f"classify: {unreadable + len(missing)} of {len(files) + len(missing)} could not be read"
        print(line + ("; convert those of other formats, such as HEIC, to JPEG or PNG" if unreadable else ""), file=sys.stderr)
    return int(bool(unreadable or missing))


def find_images(paths: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Return the files that paths and patterns stand for, each once, and those paths that lead to nothing.

    In a folder, these are all files with an image's extension, at any depth, in the order of their names, and links that lead
    nowhere; a file that is named is taken whatever its extension.
    """
    files: dict[Path, None] = {}
    missing: list[Path] = []
    for text in paths:
        matches = [text] if os.path.lexists(text) else sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - may be absolute
        missing += [] if matches else [Path(text)]
        for path in map(Path, matches):
            if path.is_dir():
                listing = scan(path)
                files |= dict.fromkeys(path / name for name in sorted((*listing.names, *listing.broken)))
            else:
                files[path] = None
    return list(files), missing


def predictions(files: Sequence[Path], trained: Trained) -> Iterator[tuple[Path, Probabilities | UnreadableImage]]:
    """Yield for each file, in order, the probabilities of all classes, float64 [classes], or why it cannot be read.

    Threads decode a batch, which Pillow does outside of Python's lock, and then the network classifies it with all processors.
    Small images are decoded by one thread: several mostly wait for the lock (289 instead of 106 µs at 32x32 pixels).
    """
    model = trained.model
    shape = model.image_shape
    device = choose_device("auto", "float32")
    network = model.build().to(device.name)
    batch = max(1, min(BATCH, BATCH_BYTES // math.prod(shape)))

    def load(path: Path) -> NDArray[np.uint8] | UnreadableImage:
        try:
            image = read_image(path)
        except UnreadableImage as error:
            return error
        return fit_image(image.convert("L") if shape[2] == 1 else image, shape[0], model.dataset.fit)

    def load_all(paths: Sequence[Path]) -> list[NDArray[np.uint8] | UnreadableImage]:
        first, others = paths[:TIMED], paths[TIMED:]
        started = time.perf_counter()
        loaded = [load(path) for path in first]
        quick = time.perf_counter() - started < QUICK_SECONDS * len(first)
        return [*loaded, *(map if quick else pool.map)(load, others)]

    with warnings.catch_warnings(), ThreadPoolExecutor(min(DECODERS, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # here too: what threads do to the filters of warnings is not kept apart
        for start in range(0, len(files), batch):
            part = files[start : start + batch]
            loaded = load_all(part)
            images = [image for image in loaded if not isinstance(image, UnreadableImage)]
            if images:
                logits = predict(network, as_tensor(np.stack(images)), device, trained.views).cpu().double()
                rows = iter((logits / model.temperature).softmax(dim=1).numpy())
            for path, image in zip(part, loaded, strict=True):
                yield path, image if isinstance(image, UnreadableImage) else next(rows)


Row = Callable[[Path, str, Sequence[tuple[str, float]]], None]


def shower(arguments: argparse.Namespace, width: int, names: Sequence[str], top: int) -> Row:
    """Return the function that prints the answer and the most likely classes of an image, as CSV, JSON or a table."""
    printed = 0

    def csv_row(*cells: object) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(cells)
        return line.getvalue()

    def show_csv(path: Path, answer: str, best: Sequence[tuple[str, float]]) -> None:
        log(csv_row(path, answer, *(cell for name, probability in best for cell in (name, f"{probability:.6g}"))))

    def show_json(path: Path, answer: str, best: Sequence[tuple[str, float]]) -> None:
        nonlocal printed
        classes = [{"class": name, "probability": probability} for name, probability in best]
        line = json.dumps({"file": str(path), "answer": answer, "classes": classes})
        log(f"{', ' if printed else '[ '}{line}")
        printed += 1

    def show_table(path: Path, answer: str, best: Sequence[tuple[str, float]]) -> None:
        table_row(shown(path), answer, "".join(f"  {name:{widest}} {probability:6.1%}" for name, probability in best))

    def table_row(file: str, answer: str, classes: str) -> None:
        log(f"{file:{files}}" + (f"  {answer:{answers}}" if arguments.unknown is not None else "") + classes)

    if arguments.csv:
        log(
            csv_row(
                "file", "answer", *(f"{part}_{number}" for number in range(1, top + 1) for part in ("class", "probability"))
            )
        )
        return show_csv
    widest = max(map(len, names))
    answers = max(widest, len(UNKNOWN))
    files = max(len("file"), min(width, NAME_WIDTH))
    if arguments.json:
        return show_json
    table_row("file", "answer", "  most likely classes")
    return show_table


def shown(path: Path) -> str:
    """Return a path as text in one line."""
    return str(path) if str(path).isprintable() else repr(str(path))


def complain(path: Path, reason: str) -> None:
    """Name a file that cannot be read, on standard error."""
    tqdm.write(f"classify: {shown(path)}: {reason}", file=sys.stderr)


def refusal_table(trained: Trained, threshold: float) -> str:
    """Return how much of the test split thresholds would refuse, and how accurate the rest is."""
    path = trained.results / PREDICTIONS if trained.results else None
    if path is None or not path.exists():
        return f"classify: no table of what --unknown does to the test split: {trained.name} has no {PREDICTIONS}"
    found = load_predictions(path)
    if found.class_names.tolist() != list(trained.model.dataset.class_names):
        return f"classify: no table of what --unknown does to the test split: {PREDICTIONS} is of another data set"
    lines = [f"\n{len(found.labels):,} test images, as evaluated:", "below       refused   accuracy of the rest"]
    for row in refusals(found, [*THRESHOLDS, threshold]):
        accuracy = "-" if row.accuracy is None else f"{row.accuracy:.1%}"
        mark = "*" if row.threshold == threshold else ""
        lines.append(f"{row.threshold:<6.4g} {mark:1} {row.refused:10.1%} {accuracy:>13}")
    return "\n".join(lines)


def picture_paths(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return a different PNG in the folder for each file, named after it."""
    used: set[str] = set()
    places = {}
    for path in files:
        name, number = f"{path.name}.png", 1
        while name.lower() in used:
            number += 1
            name = f"{path.name}-{number}.png"
        used.add(name.lower())
        places[path] = folder / name
    return places


def write_picture(path: Path, answer: str, best: Sequence[tuple[str, float]], target: Path) -> None:
    """Write a photo with bars of its most likely classes."""
    from classifier.figures.prediction import prediction_figure
    from classifier.figures.style import save_figure

    photo = read_image(path)
    photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    names, probabilities = zip(*best, strict=True)
    title = f"{shown(Path(path.name))}: {answer}"
    with atomic_write(target) as temporary:
        save_figure(temporary, 150, lambda: prediction_figure(photo, title, names, probabilities))


if __name__ == "__main__":
    main()
