"""Image folders: images as people keep them, decoded to RGB and made square, in several processes."""

import errno
import hashlib
import io
import multiprocessing
import os
import signal
import struct
import threading
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from classifier.data.image_pack import SPLITS, Division, ImageFile, divide, moved_lines, read_manifest, shown
from classifier.data.partition import count_values, statistics_of
from classifier.data.registry import PACK
from classifier.data.split import DatasetInfo, SplitWriter
from classifier.params import DataParams, Fit
from classifier.runtime.console import log, progress_bar
from classifier.runtime.download import lack_of_space
from classifier.runtime.errors import InputError

# What Pillow may open: no format for which it starts another program (EPS) or reads other files.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM")
WHITE = (255, 255, 255, 255)
TASK_SIZE = 32  # images that a process decodes at a time at most ...
TASK_BYTES = 2**20  # ... and bytes of the result, which bound the memory
POOLED = 200  # images from which several processes are worth their start
NAMED = 5  # of unreadable images, in one line
Places = list[tuple[int, int, str]]  # start, size and SHA-256 of files in a pack
Task = TypeVar("Task")
Result = TypeVar("Result")


class UnreadableImage(ValueError):  # noqa: N818 - the name that says what it is
    """An image that cannot be decoded; the message says why in a few words."""


def read_image(source: Path | IO[bytes]) -> Image.Image:
    """Decode an image as a person sees it: the first frame, turned as its EXIF data say, in RGB.

    Transparency is drawn on white. Values of 16 bits are scaled to 8; Pillow's own conversion would clip them. Whole numbers
    of 32 bits count as 16 bits where they fit, floating-point values as 0 to 1 where they lie in that range, otherwise as 0 to
    255.

    Parameters
    ----------
    source
        A file, or its bytes as a stream.

    Returns
    -------
    image
        Of the mode RGB, of any size.

    Raises
    ------
    UnreadableImage
        When it is no image that Pillow can decode, a part is missing, or it has more pixels than Pillow admits.
    """
    try:
        with warnings.catch_warnings():
            Image.init()  # registers the formats, once
            warnings.simplefilter("ignore")  # of images that are large, but below the limit, and of odd metadata
            with Image.open(source, formats=FORMATS) as image:
                raw_mode = _raw_mode(image)
                image.load()
                with suppress(Exception):  # damaged EXIF data leave an image as it is
                    ImageOps.exif_transpose(image, in_place=True)
                return _as_rgb(image, raw_mode)
    except Image.DecompressionBombError:
        raise UnreadableImage(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, Pillow's limit") from None
    except UnidentifiedImageError:
        raise UnreadableImage("no format that Pillow can open") from None
    except OSError as error:
        if error.errno and isinstance(source, Path):
            raise UnreadableImage((error.strerror or str(error)).lower()) from None
        raise UnreadableImage(_in_few_words(error)) from None
    except (ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, struct.error, OverflowError) as error:
        raise UnreadableImage(_in_few_words(error)) from None  # as Pillow's decoders raise for damaged bytes


def fit_image(image: Image.Image, size: int, fit: Fit) -> NDArray[np.uint8]:
    """Make an image square, with antialiasing.

    Parameters
    ----------
    image
        Of the mode RGB, or L for grey.
    size
        Of the result, in pixels.
    fit
        `crop` cuts off what is too much of the longer side, `pad` adds black, `stretch` changes the proportions. An image of
        the right size stays unchanged.

    Returns
    -------
    pixels
        uint8 [size, size, 3], or [size, size, 1] for grey.
    """
    if fit == "crop":
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    elif fit == "stretch":
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    else:
        width, height = (max(1, round(length * size / max(image.size))) for length in image.size)
        canvas = Image.new(image.mode, (size, size))
        canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), ((size - width) // 2, (size - height) // 2))
        image = canvas
    return np.array(image, dtype=np.uint8).reshape(size, size, -1)


def preprocess_folder(raw: Path, data: DataParams, paths: Mapping[str, Path]) -> tuple[DatasetInfo, list[int]]:
    """Write the splits of a packed folder, with a progress bar; return what is known of it and the number of images of each.

    Raises
    ------
    InputError
        As `write_splits`.
    OSError
        When the disk has no room.
    """
    count = len(read_manifest(raw))
    folder = next(iter(paths.values())).parent
    if lack := lack_of_space(folder, 2 * count * data.image_size**2 * 3):
        raise OSError(errno.ENOSPC, f"{lack} for the processed images and the copy that DVC keeps", str(folder))
    with progress_bar(count, "preprocess", "image") as bar:
        info, counts, lines = write_splits(raw, data, paths, bar.update)
    for line in lines:
        log(f"preprocess: {line}")
    return info, counts


def write_splits(
    raw: Path,
    data: DataParams,
    paths: Mapping[str, Path],
    advance: Callable[[int], object],
    processes: int | None = None,
) -> tuple[DatasetInfo, list[int], list[str]]:
    """Decode the images of a pack and write each split, one image after another, so that they need not fit in memory.

    Parameters
    ----------
    raw
        The folder with the pack and its manifest.
    paths
        Of the file of each split.
    advance
        Called with the number of images that are done.
    processes
        That decode; the number of processors by default. Any number gives the same bytes.

    Returns
    -------
    info
        Class names and statistics of the training images.
    counts
        Number of images of each split.
    lines
        What is to be said: images that were skipped, equal images in different splits.

    Raises
    ------
    InputError
        When the folder cannot be divided, an image cannot be decoded and is not to be skipped, the pack is damaged, or images
        in different splits are equal and must not be.
    """
    manifest = read_manifest(raw)
    division = divide(manifest, data)
    written = _write(raw / PACK, manifest, division, data, paths, advance, processes)
    lines = _unreadable_lines(written.unreadable, manifest, data)
    if lines:
        _check_classes(division, written.labels)
        again = divide(manifest, data, written.unreadable)
        if (again.splits != division.splits)[again.order].any():  # in a small class, another image is moved
            division = again
            lines += moved_lines(division)
            written = _write(raw / PACK, manifest, division, data, paths, lambda _: None, processes)
    lines += _equal_lines(written.equal, division.splits.tolist(), manifest, data)
    for split, labels in zip(SPLITS, written.labels, strict=True):
        if not labels:
            raise InputError(f"the {split} split has no image that can be decoded")
    info = DatasetInfo(division.class_names, *statistics_of(written.values), data.fit)
    return info, [len(labels) for labels in written.labels], lines


@dataclass(frozen=True)
class _Written:
    """What was written.

    labels
        Of the images of each split.
    values
        int64 [3, 256], how often each value occurs in each channel of the training images.
    equal
        Indices of the images whose pixels are equal.
    unreadable
        Why an image cannot be decoded, by its index.
    """

    labels: list[list[int]]
    values: NDArray[np.int64]
    equal: list[list[int]]
    unreadable: dict[int, str]


def _write(
    pack: Path,
    manifest: Sequence[ImageFile],
    division: Division,
    data: DataParams,
    paths: Mapping[str, Path],
    advance: Callable[[int], object],
    processes: int | None,
) -> _Written:
    shape = (data.image_size, data.image_size, 3)
    order, splits, labels = division.order.tolist(), division.splits.tolist(), division.labels.tolist()
    values = np.zeros((3, 256), np.int64)
    unreadable: dict[int, str] = {}
    seen: dict[bytes, list[int]] = defaultdict(list)  # images by a hash of their pixels
    with ExitStack() as stack:
        writers = [
            stack.enter_context(_writer(paths[name], shape, division, manifest, number)) for number, name in enumerate(SPLITS)
        ]
        decoded = decode_pack(pack, manifest, order, data.image_size, data.fit, processes)
        for index, image in zip(order, decoded, strict=True):
            if isinstance(image, str):
                unreadable[index] = image
                log(f"preprocess: cannot decode {shown(manifest[index].name)} ({image})")
            else:
                seen[hashlib.blake2b(image.data, digest_size=16).digest()].append(index)
                if SPLITS[splits[index]] == "train":
                    count_values(image, values)
                writers[splits[index]].append(image, labels[index], manifest[index].name)
            advance(1)
    equal = [group for group in seen.values() if len(group) > 1]
    return _Written([writer.labels for writer in writers], values, equal, unreadable)


def _writer(
    path: Path, shape: tuple[int, int, int], division: Division, manifest: Sequence[ImageFile], split: int
) -> SplitWriter:
    chosen = division.order[division.splits[division.order] == split]
    return SplitWriter(path, shape, division.labels[chosen], [manifest[index].name for index in chosen])


def _unreadable_lines(unreadable: Mapping[int, str], manifest: Sequence[ImageFile], data: DataParams) -> list[str]:
    if not unreadable:
        return []
    names = [f"{shown(manifest[index].name)} ({reason})" for index, reason in sorted(unreadable.items())]
    named = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
    line = f"{len(names):,} of {len(manifest):,} images cannot be decoded: {named}"
    if data.unreadable == "stop":
        raise InputError(
            f"{line}; convert them to JPEG or PNG (as HEIC of phones), or remove them, or leave them out: data.unreadable: skip"
        )
    return [f"{line}; left out"]


def _equal_lines(
    groups: Iterable[Sequence[int]], splits: Sequence[int], manifest: Sequence[ImageFile], data: DataParams
) -> list[str]:
    equal = [group for group in groups if len({splits[index] for index in group}) > 1]
    if not equal:
        return []
    names = ", ".join(f"{shown(manifest[index].name)} ({SPLITS[splits[index]]})" for index in sorted(equal[0])[:NAMED])
    line = f"{len(equal):,} image{'s' if len(equal) > 1 else ''} with equal pixels in several splits, as {names}"
    if data.duplicates == "error":
        raise InputError(f"{line}; keep one of them, or let it be a warning: data.duplicates: warn")
    return [f"warning: {line}"]


def _check_classes(division: Division, labels: Sequence[Sequence[int]]) -> None:
    """Check that what was skipped leaves every class with images."""
    if lost := set(range(len(division.class_names))).difference(*labels):
        raise InputError(f"the class {division.class_names[min(lost)]} has no image that can be decoded")


def decode_pack(
    pack: Path,
    manifest: Sequence[ImageFile],
    order: Sequence[int],
    size: int,
    fit: Fit,
    processes: int | None = None,
) -> Iterator[NDArray[np.uint8] | str]:
    """Yield the images of a pack in this order, uint8 [size, size, 3], or the reason why one cannot be decoded.

    Raises
    ------
    InputError
        When the pack has other bytes than its manifest says.
    """
    ends = np.cumsum([file.size for file in manifest]).tolist()
    count = max(1, min(TASK_SIZE, TASK_BYTES // (3 * size**2)))
    tasks = (
        [
            (ends[index] - manifest[index].size, manifest[index].size, manifest[index].sha256)
            for index in order[start : start + count]
        ]
        for start in range(0, len(order), count)
    )
    decode = partial(_decode_task, pack, size, fit)
    processes = processes or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if processes == 1 or len(order) < POOLED:
        results: Iterable[list[NDArray[np.uint8] | str]] = map(decode, tasks)
    else:
        results = _in_processes(decode, tasks, processes)
    for result in results:
        yield from result


def _in_processes(function: Callable[[Task], Result], tasks: Iterable[Task], processes: int) -> Iterator[Result]:
    """Yield the results in order; only a few tasks are under way at a time, which bounds the memory."""
    context = multiprocessing.get_context("spawn")  # a copy of a process with threads or a GPU may hang
    executor = ProcessPoolExecutor(processes, context, _prepare_process)
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(executor.submit(function, task))
            if len(waiting) >= 4 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError("a process that decodes images was killed, perhaps for lack of memory; run it again") from None
    finally:
        executor.shutdown(cancel_futures=True)


def _prepare_process() -> None:
    """Leave an interruption to the main process, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _decode_task(pack: Path, size: int, fit: Fit, places: Places) -> list[NDArray[np.uint8] | str]:
    results: list[NDArray[np.uint8] | str] = []
    with pack.open("rb") as file:
        for start, length, sha256 in places:
            file.seek(start)
            content = file.read(length)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise InputError(f"{pack}: damaged; run the download stage again: dvc repro --force download")
            try:
                results.append(fit_image(read_image(io.BytesIO(content)), size, fit))
            except UnreadableImage as error:
                results.append("empty file" if not length else str(error))
    return results


def _raw_mode(image: Image.Image) -> str:
    """Return how the values lie in the file, such as "L;4", where Pillow tells."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _as_rgb(image: Image.Image, raw_mode: str) -> Image.Image:
    transparent = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        grey = Image.fromarray(_in_8_bits(values))
        return _on_white(grey, values != transparent) if isinstance(transparent, int) else grey.convert("RGB")
    if image.mode in {"1", "L"} and isinstance(transparent, int):
        # Pillow compares the value in the file with pixels that it has scaled to 8 bits.
        scale = {"1": 255, "L;2": 85, "L;4": 17}.get(raw_mode, 1)
        grey = image.convert("L")
        return _on_white(grey, np.asarray(grey) != transparent * scale)
    if image.mode == "RGB" and isinstance(transparent, tuple):
        value = [each >> 8 if "16" in raw_mode else each for each in transparent]
        return _on_white(image, (np.asarray(image) != value).any(axis=2))
    if image.mode in {"La", "RGBa"}:  # colours multiplied by their opacity
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), colours).convert("RGB")
    return image.convert("RGB")


def _on_white(image: Image.Image, opaque: NDArray[np.bool_]) -> Image.Image:
    return Image.composite(image.convert("RGB"), Image.new("RGB", image.size, WHITE[:3]), Image.fromarray(opaque))


def _in_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    numbers = np.nan_to_num(values.astype(np.float64))
    greatest = numbers.max(initial=0)
    ranges = (1, 255, 65535) if values.dtype.kind == "f" else (65535, 2**31 - 1)
    full = next((full for full in ranges if greatest <= full), greatest)
    return np.rint(numbers.clip(min=0) * (255 / full)).astype(np.uint8)


def _in_few_words(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words[:100] if words else type(error).__name__
