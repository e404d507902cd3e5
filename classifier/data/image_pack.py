"""Image packs: a folder of images as one file with a manifest, and its division into classes and splits.

60,000 files as an output of DVC take 26 s, the same bytes in one file 2 s. The pack has the bytes of all files one after
another, in the order of the manifest, which is that of their names by code point, whatever the locale.
"""

import errno
import hashlib
import json
import os
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.data.registry import MANIFEST, PACK
from classifier.params import DataParams
from classifier.runtime.console import log, progress_bar
from classifier.runtime.download import lack_of_space
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs, atomic_write, read_output

TIMES = Path("checkpoints/folder.json")  # times of files, which only save hashing, from the root of the repository
SPLITS = ("train", "validation", "test")
SPLIT_FOLDERS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
# Of image files. The last line are formats that Pillow cannot open, so that they are named and not merely left out.
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".heic", ".heif", ".jxl"),
}
IGNORED = {"thumbs.db", "__macosx"}  # besides hidden files and folders
BLOCK = 2**20  # bytes
NAMED = 5  # of many files or classes, in one line
Stamp = list[int | str]  # size and times of a file
SETTLED = 2 * 10**9  # nanoseconds; a file that changed so recently may change again without another time


@dataclass(frozen=True)
class ImageFile:
    """An image file: its path in the folder, its size in bytes, the SHA-256 of its bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """What a folder contains.

    names
        Paths of the image files in the folder, with "/", in the order of their code points.
    empty
        Folders at the top without an image.
    others
        Number of files that have no image's extension, by their extension.
    broken
        What has an image's extension and is no file, such as a link that leads nowhere.
    """

    names: tuple[str, ...]
    empty: tuple[str, ...]
    others: Mapping[str, int]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class Division:
    """The class and the split of every image of a manifest.

    splits
        int64 [N], indices into SPLITS.
    labels
        int64 [N], indices into the class names.
    order
        int64 [N] or less, the images in an order that has nothing to do with their names.
    layout
        `classes` or `splits`.
    moved
        Class, name and split of each image that was moved, since its class is so small that the hash left that split empty.
    lacking
        Class and split, where the folder itself has splits and one lacks a class.
    """

    class_names: tuple[str, ...]
    splits: NDArray[np.int64]
    labels: NDArray[np.int64]
    order: NDArray[np.int64]
    layout: str
    moved: tuple[tuple[str, str, str], ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()


def image_folder(location: str, root: Path) -> Path:
    """Return the folder that `data.folder` names: ~ and $NAME are replaced, and a relative path counts from `root`.

    Raises
    ------
    InputError
        When there is no such folder.
    """
    folder = root / os.path.expandvars(Path(location).expanduser())
    if not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such folder"
        raise InputError(f"params.yaml: data.folder: {folder}: {problem}; it should be that of your images: PATH/CLASS/…")
    return folder


def scan(folder: Path) -> Listing:
    """List the image files of a folder: those with an image's extension, in any case, at any depth, also through links.

    Hidden files and folders, Thumbs.db and __MACOSX are ignored.

    Raises
    ------
    OSError
        When a folder cannot be read.
    """
    names: list[str] = []
    others: Counter[str] = Counter()
    broken: list[str] = []
    tops = {entry.name for entry in os.scandir(folder) if entry.is_dir() and not _is_ignored(entry.name)}
    for path, is_file in _walk(folder, ()):
        name, suffix = path.relative_to(folder).as_posix(), path.suffix.lower()
        if suffix not in SUFFIXES:
            others[suffix] += 1
        elif is_file:
            names.append(name)
        else:
            broken.append(name)
    empty = tops - {name.partition("/")[0] for name in names}
    return Listing(tuple(sorted(names)), tuple(sorted(empty)), dict(sorted(others.items())), tuple(sorted(broken)))


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[Path, bool]]:
    """Yield all that is no folder, with whether it is a file; a link to a folder that contains it is left out."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        found = [(Path(entry.path), entry.is_dir(), entry.is_file()) for entry in entries if not _is_ignored(entry.name)]
    for path, is_folder, is_file in found:
        if is_folder:
            yield from _walk(path, (*above, here))
        else:
            yield path, is_file


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in IGNORED


def check_listing(listing: Listing, folder: Path, data: DataParams) -> None:
    """Check that there are images, in every folder at the top, and that every image can be read at all.

    Raises
    ------
    InputError
        Saying in one line what to do.
    """
    if not listing.names:
        others = _counted(sum(listing.others.values()), "other file")
        raise InputError(f"{folder}: no image in it ({others}); it should have a folder for each class: PATH/CLASS/photo.jpg")
    if listing.broken and data.unreadable == "stop":
        raise InputError(
            f"{folder}: {_some(listing.broken)}: no file, or a link that leads nowhere; remove it, or set data.unreadable: skip"
        )
    if listing.empty:
        raise InputError(
            f"{folder}: no image in {_some(listing.empty)}, though each folder should be a class or a split; remove "
            f"{'it' if len(listing.empty) == 1 else 'them'}, or put images there"
        )


def pack(folder: Path, names: Sequence[str], target: Path, advance: Callable[[int], object]) -> list[ImageFile]:
    """Write the files of a folder into a pack with its manifest.

    Parameters
    ----------
    names
        Of the files, in their order.
    target
        An empty folder, or one to be made; the same files give the same bytes.
    advance
        Called with the number of bytes after every file.

    Returns
    -------
    manifest
        A file each, in the same order.
    """
    target.mkdir(parents=True, exist_ok=True)
    manifest: list[ImageFile] = []
    with (target / PACK).open("wb") as output:
        for name in names:
            digest, size = hashlib.sha256(), 0
            with (folder / name).open("rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    size += output.write(block)
            manifest.append(ImageFile(name, size, digest.hexdigest()))
            advance(size)
    with (target / MANIFEST).open("w", encoding="ascii") as text:
        text.write("[\n" + ",\n".join(json.dumps(astuple(file)) for file in manifest) + "\n]\n")
    return manifest


def read_manifest(raw: Path) -> list[ImageFile]:
    """Read the manifest that `pack` wrote; a missing or damaged one raises InputError."""
    with read_output(raw / MANIFEST, "download"):
        return parse_manifest((raw / MANIFEST).read_text(encoding="ascii"))


def parse_manifest(text: str) -> list[ImageFile]:
    """Read the text of a manifest."""
    return [ImageFile(*values) for values in json.loads(text)]


def divide(manifest: Sequence[ImageFile], data: DataParams, left_out: Collection[int] = frozenset()) -> Division:
    """Give every image its class and its split.

    Which split an image falls into follows from its bytes and `data.seed`, not from its place in a list: adding images moves
    no other one, and equal files stay together. The fractions hold on average. Only where the hash leaves a split of a class
    empty is one image moved there. Those that are left out (indices) fill no split, and are not in `order`.

    Raises
    ------
    InputError
        Saying in one line what is wrong with the folder: no or a single class, too few images in one, a layout that does not
        fit.
    """
    layout = _layout([file.name for file in manifest], data)
    parts = [PurePosixPath(file.name).parts for file in manifest]
    level = 1 if layout == "splits" else 0
    classes = [unicodedata.normalize("NFC", part[level]) for part in parts]
    class_names = sorted(set(classes))
    if odd := [name for name in class_names if not name.isprintable()]:
        raise InputError(f"the name of the class {shown(odd[0])} has characters that cannot be printed; rename its folder")
    if len(class_names) == 1:
        deeper = {part[level + 1] for part in parts if len(part) > level + 2}
        hint = f"; are the classes the folders in it? Then add {class_names[0]} to data.folder" if len(deeper) > 1 else ""
        raise InputError(f"a single class, {class_names[0]}, with nothing to tell it from{hint}")
    given = [SPLIT_FOLDERS[part[0].casefold()] if layout == "splits" else "train" for part in parts]
    carved = ["train", *(split for split in SPLITS[1:] if split not in given)]  # splits that are taken from the training images
    shares = [_share(file.sha256, data.seed) for file in manifest]
    splits = [split if split != "train" else _carve(share, carved, data) for split, share in zip(given, shares, strict=True)]
    moved: list[tuple[str, str, str]] = []
    pools: dict[str, list[int]] = defaultdict(list)
    for index, (name, split) in enumerate(zip(classes, given, strict=True)):
        if split == "train" and index not in left_out:
            pools[name].append(index)
    for name in class_names:
        moved += _fill_empty_splits(name, pools[name], splits, carved, manifest, shares)
    present = set(zip(classes, splits, strict=True))
    order = np.lexsort([shares])
    return Division(
        class_names=tuple(class_names),
        splits=np.array([SPLITS.index(split) for split in splits]),
        labels=np.searchsorted(class_names, classes).astype(np.int64),
        order=order[~np.isin(order, list(left_out))],
        layout=layout,
        moved=tuple(moved),
        lacking=tuple((name, split) for name in class_names for split in SPLITS if (name, split) not in present),
    )


def _layout(names: Sequence[str], data: DataParams) -> str:
    """Return the layout of a folder: with splits only if all that is in it looks like that, unless `data.layout` forces one."""
    parts = [name.split("/") for name in names]
    tops = {part[0] for part in parts if len(part) > 1}
    split_folders = {top for top in tops if top.casefold() in SPLIT_FOLDERS}
    fits = tops == split_folders and "train" in {top.casefold() for top in tops}
    shallow = [name for name, part in zip(names, parts, strict=True) if len(part) < 3]
    layout = data.layout if data.layout != "auto" else "splits" if fits and not shallow else "classes"
    loose = shallow if layout == "splits" else [name for name, part in zip(names, parts, strict=True) if len(part) < 2]
    if layout == "splits" and not fits:
        raise InputError(
            f"data.layout is splits, so the folders in data.folder should be train and, if there are such, val (or valid, "
            f"validation) and test, got {_some(sorted(tops))}"
        )
    if loose:
        raise InputError(
            f"{_counted(len(loose), 'image')} in no class: {_some(loose)}; it should be "
            f"{'SPLIT/' if layout == 'splits' else ''}CLASS/…"
        )
    twice = Counter(SPLIT_FOLDERS[top.casefold()] for top in tops) if layout == "splits" else Counter[str]()
    if several := [split for split, count in twice.items() if count > 1]:
        raise InputError(f"two folders for the {several[0]} split: {_some(sorted(tops))}; make them one")
    return layout


def _share(sha256: str, seed: int) -> float:
    """Return a number from 0 to 1 that follows from the bytes of a file and the seed."""
    digest = hashlib.sha256(f"{seed} {sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _carve(share: float, carved: Sequence[str], data: DataParams) -> str:
    """Return the split of a training image: first the test split is taken, then the validation split from what remains."""
    test = data.test_fraction if "test" in carved else 0.0
    validation = (1 - test) * data.validation_fraction if "validation" in carved else 0.0
    return "test" if share < test else "validation" if share < test + validation else "train"


def _fill_empty_splits(
    name: str,
    pool: Sequence[int],
    splits: list[str],
    carved: Sequence[str],
    manifest: Sequence[ImageFile],
    shares: Sequence[float],
) -> Iterator[tuple[str, str, str]]:
    """Move an image of a class into each split that lacks one, from the class's largest; equal files move together."""
    members: dict[str, list[int]] = defaultdict(list)
    for index in pool:
        members[manifest[index].sha256].append(index)
    if len(members) < len(carved):
        names = " and ".join(filter(None, [", ".join(carved[:-1]), carved[-1]]))
        count = _counted(len(members), "different image") if members else "no image"
        raise InputError(f"the class {name} has {count} to train on, and needs at least {len(carved)}: one for {names}")
    for empty in carved:
        counts = Counter(splits[indices[0]] for indices in members.values())
        if counts[empty]:
            continue
        largest = max(carved, key=lambda split: counts[split])
        digest = min((digest for digest, i in members.items() if splits[i[0]] == largest), key=lambda d: shares[members[d][0]])
        for index in members[digest]:
            splits[index] = empty
        yield name, manifest[members[digest][0]].name, empty


def describe(
    division: Division, previous: Division | None, manifest: Sequence[ImageFile], before: Sequence[ImageFile]
) -> list[str]:
    """Return what is to be said of a division: its layout, small classes, and images in another split than before.

    `previous` is the division of the files `before`, those of the last manifest.
    """
    found = "train, validation and test folders" if division.layout == "splits" else "a folder for each class"
    lines = [f"{found}, {_counted(len(division.class_names), 'class', 'classes')}, {_counted(len(manifest), 'image')}"]
    lines += moved_lines(division)
    lines += [f"the class {name} has no image in the {split} split" for name, split in division.lacking]
    if previous:
        then = {file.sha256: SPLITS[split] for file, split in zip(before, previous.splits, strict=True)}
        for file, split in zip(manifest, division.splits, strict=True):
            old = then.get(file.sha256, SPLITS[split])
            if old != SPLITS[split]:
                lines.append(f"{shown(file.name)} was in the {old} split, and is now in the {SPLITS[split]} split")
    return lines


def moved_lines(division: Division) -> list[str]:
    """Return what is to be said of images that were moved into an empty split."""
    return [
        f"the class {name} is so small that no image fell into the {split} split by its hash: {shown(image)} is moved there"
        for name, image, split in division.moved
    ]


def download_folder(data: DataParams, root: Path, raw: Path) -> None:
    """Pack the folder of images that `data.folder` names, and log what it contains; the stage `download` for folders.

    Raises
    ------
    InputError
        When the folder has nothing from which a classifier could be trained.
    OSError
        When a file cannot be read, or the disk has no room.
    """
    folder = image_folder(data.folder, root)
    listing = scan(folder)
    check_listing(listing, folder, data)
    stamps = [stamp_of(folder / name) for name in listing.names]
    size = sum(int(stamp[0]) for stamp in stamps)
    raw.parent.mkdir(parents=True, exist_ok=True)
    if lack := lack_of_space(raw.parent, 2 * (size + len(listing.names) * data.image_size**2 * 3)):
        raise OSError(errno.ENOSPC, f"{lack} for the packed images, the processed ones and the copies that DVC keeps", str(raw))
    times = Times.read(root)
    before = times.manifest(folder)
    with atomic_outputs() as place:
        target = place(raw)
        with progress_bar(size, "download", "B") as bar:
            manifest = pack(folder, listing.names, target, bar.update)
        division = divide(manifest, data)
    previous = None
    with suppress(InputError):
        previous = divide(before, data) if before else None
    for line in describe(division, previous, manifest, before):
        log(f"download: {line}")
    if listing.others:
        kinds = ", ".join(suffix or "none" for suffix in listing.others)
        log(f"download: {_counted(sum(listing.others.values()), 'file')} without an image's extension left out ({kinds})")
    if listing.broken:
        log(f"download: {_some(listing.broken)}: no file, or a link that leads nowhere; left out")
    times.remember_pack(folder, manifest, stamps)
    times.write()
    log(f"download: packed {_counted(len(manifest), 'image')} of {folder}, {size / 1e6:,.1f} MB, in {raw}")


@dataclass
class Times:
    """What is remembered of folders of images, in a file.

    known
        Size, times and SHA-256 of each file by name, by folder, so that unchanged files need not be read again.
    packed
        Name, size and SHA-256 of each file that was packed last, by folder.
    """

    path: Path
    known: dict[str, dict[str, list[int | str]]] = field(default_factory=dict)
    packed: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> "Times":
        """Read what was remembered; a missing or damaged file is as good as an empty one."""
        path = root / TIMES
        with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
            content = json.loads(path.read_text(encoding="ascii"))
            return cls(path, dict(content["known"].items()), dict(content["packed"].items()))
        return cls(path)

    def write(self) -> None:
        """Write what is remembered of folders that still exist."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        gone = {folder for folder in {*self.known, *self.packed} if not Path(folder).is_dir()}
        content = {"known": _without(self.known, gone), "packed": _without(self.packed, gone)}
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps(content), encoding="ascii")

    def manifest(self, folder: Path) -> list[ImageFile]:
        """Return the files of a folder as they were packed last."""
        return [ImageFile(*values) for values in self.packed.get(str(folder.resolve()), [])]

    def remember_pack(self, folder: Path, manifest: Sequence[ImageFile], stamps: Sequence[Stamp]) -> None:
        """Remember the files of a folder that were packed, with their stamps from before that."""
        self.packed[str(folder.resolve())] = [astuple(file) for file in manifest]
        self._remember(folder, manifest, stamps)

    def current(self, folder: Path, names: Sequence[str]) -> list[ImageFile]:
        """Return the files of a folder as they are now; those with the size and the times remembered are not read."""
        known = self.known.get(str(folder.resolve()), {})
        stamps, files = [stamp_of(folder / name) for name in names], []
        for name, stamp in zip(names, stamps, strict=True):
            *then, checksum = known.get(name, [""])
            if then != stamp:
                with (folder / name).open("rb") as file:
                    checksum = hashlib.file_digest(file, "sha256").hexdigest()
            files.append(ImageFile(name, int(stamp[0]), str(checksum)))
        self._remember(folder, files, stamps)
        return files

    def _remember(self, folder: Path, files: Sequence[ImageFile], stamps: Sequence[Stamp]) -> None:
        self.known[str(folder.resolve())] = {
            file.name: [*stamp, file.sha256] for file, stamp in zip(files, stamps, strict=True)
        }


def _without(folders: Mapping[str, Any], gone: Collection[str]) -> dict[str, Any]:
    return {folder: files for folder, files in folders.items() if folder not in gone}


def stamp_of(path: Path) -> Stamp:
    """Return size and times of a file; those of one that changed just now equal no others."""
    status = path.stat()
    settled = max(status.st_mtime_ns, status.st_ctime_ns) < time.time_ns() - SETTLED
    return [status.st_size, status.st_mtime_ns if settled else -1, status.st_ctime_ns if settled else -time.time_ns()]


def changes(folder: Path, manifest: Sequence[ImageFile], times: Times) -> str:
    """Return how a folder differs from a manifest, as in "12 images added, 1 removed"; an empty text if it does not.

    Raises
    ------
    OSError
        When a file or a folder cannot be read.
    """
    recorded = {file.name: file.sha256 for file in manifest}
    current = times.current(folder, scan(folder).names)
    names = {file.name for file in current}
    counts = {
        "added": len(names - recorded.keys()),
        "removed": len(recorded.keys() - names),
        "changed": sum(file.sha256 != recorded.get(file.name, file.sha256) for file in current),
    }
    found = [(word, count) for word, count in counts.items() if count]
    return ", ".join(
        f"{_counted(count, 'image') if number == 0 else f'{count:,}'} {word}" for number, (word, count) in enumerate(found)
    )


def shown(name: str) -> str:
    """Return a file name as it can be printed in a line."""
    return name if name.isprintable() else ascii(name)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(shown, names[:NAMED])) + more


def _counted(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"
