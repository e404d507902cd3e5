"""Sources: find the files of a data set, fetch and verify them.

The files are pinned one by one in `registry.py`, so it does not matter who supplies them and how they are packed. Places are
tried in order, and each is asked for the files that are still missing. Nothing is trusted before its checksum matched.
"""

import errno
import filecmp
import gzip
import hashlib
import importlib.metadata
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from classifier.data.registry import DATA_SETS, MANIFEST, PACK, File
from classifier.runtime.console import log
from classifier.runtime.download import (
    SLOW_RATE,
    SLOW_SECONDS,
    Download,
    NotFoundError,
    file_name,
    lack_of_space,
)
from classifier.runtime.errors import InputError
from classifier.runtime.files import remove_empty_folders

if TYPE_CHECKING:
    from classifier.params import DataParams

RAW = Path("data/raw")
FOLDER_FILES = {Path(PACK), Path(MANIFEST)}
ARCHIVES = Path("data/archives")  # files that users put there by hand
DOWNLOADS = Path("checkpoints/download")
PACKAGE_SCHEME = "package"
GZIP = b"\x1f\x8b"
BLOCK = 2**20  # bytes
FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class PlaceError(Exception):
    """A place that does not have what is wanted; the message says why in a few words."""


def fetch(
    name: str,
    sources: Sequence[str],
    folder: Path,
    root: Path,
    slow_rate: float = SLOW_RATE,
    slow_seconds: float = SLOW_SECONDS,
) -> list[str]:
    """Put the files of a data set into a folder, each verified.

    Parameters
    ----------
    name
        Of the data set.
    sources
        Places to look in before those of the registry: URLs, archives, folders.
    folder
        An empty folder, or one to be made.
    root
        The folder from which relative paths count, and in whose `checkpoints/download` downloads lie.
    slow_rate, slow_seconds
        A server that stays below this rate (bytes a second) for so long is abandoned, unless it is the last place.

    Returns
    -------
    places
        Those that gave a file.

    Raises
    ------
    InputError
        Naming every place that was tried, why it failed, and what to do.
    OSError
        When the folder cannot be written.
    """
    files, built_in = DATA_SETS[name].files, DATA_SETS[name].places
    places = list(dict.fromkeys([*sources, *built_in]))
    folder.mkdir(parents=True, exist_ok=True)
    if lack := lack_of_space(folder, sum(file.size for file in files)):
        raise OSError(errno.ENOSPC, lack, str(folder))
    wanted = Wanted(name, list(files), folder)
    used, failures = [], []
    for number, location in enumerate(places, start=1):
        downloads = Downloads(root / DOWNLOADS, slow_rate if number < len(places) else 0, slow_seconds)
        missing, wanted.wrong = len(wanted.missing), []
        with wanted.reading():
            place_at(location, root, downloads).give(wanted)
        if len(wanted.missing) < missing:
            used.append(location)
        if not wanted.missing:
            return used
        failures.append(f"{location} ({wanted.shortage()})")
        if is_url(location):  # which took its time
            log(f"download: {failures[-1]}")
    raise InputError(
        f"no place has all files of {name}: {'; '.join(failures)}. Put the files or their archive into {ARCHIVES}/, or run the "
        "data set that needs no network: make demo"
    )


def verify(name: str, folder: Path) -> None:
    """Check size and checksum of every file of a data set.

    Raises
    ------
    InputError
        Naming the first file that is missing or has other bytes, and what to run.
    """
    for file in DATA_SETS[name].files:
        path = folder / file.path
        if not path.is_file():
            problem = "no such file"
        elif path.stat().st_size != file.size:
            problem = f"{path.stat().st_size:,} bytes instead of {file.size:,}"
        elif sha256(path) != file.sha256:
            problem = "other bytes than those of the registry"
        else:
            continue
        raise InputError(f"{path}: {problem}; run the download stage again: dvc repro --force download")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Wanted:
    """The files of a data set that no place has given yet, and the folder into which they are put."""

    name: str
    missing: list[File]
    folder: Path
    wrong: list[str] = field(default_factory=list)  # what is wrong at the place that is asked

    def named(self, path: str) -> File | None:
        """Return the missing file that has this path or, failing that, this name; `.gz` at its end does not count."""
        parts = PurePosixPath(path.removesuffix(".gz")).parts
        if path.startswith("/") or ".." in parts:
            return None
        same_path = [file for file in self.missing if parts[-file.path.count("/") - 1 :] == PurePosixPath(file.path).parts]
        same_name = [file for file in self.missing if parts[-1:] == PurePosixPath(file.path).parts[-1:]]
        return next(iter(same_path + same_name), None)

    def take(self, file: File, stream: IO[bytes]) -> None:
        """Copy a file, plain or gzipped, into the folder up to its known size, and keep it if its bytes are right."""
        target = self.folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size, noted = hashlib.sha256(), 0, len(self.wrong)
        with target.open("wb") as output, self.reading(file.path):
            start = stream.read(2)
            stream.seek(0)
            content = gzip.GzipFile(fileobj=stream) if start == GZIP else stream
            while block := content.read(min(BLOCK, file.size + 1 - size)):  # a byte more than its size shows that it is longer
                output.write(block)
                digest.update(block)
                size += len(block)
        if size == file.size and digest.hexdigest() == file.sha256:
            self.missing.remove(file)
            return
        target.unlink()
        if len(self.wrong) == noted:
            self.wrong.append(f"other bytes in {file.path}")

    @contextmanager
    def reading(self, what: str = "") -> Iterator[None]:
        """Note what goes wrong when bytes that were not verified are read, which raises a dozen kinds of errors."""
        try:
            yield
        except Exception as error:
            if isinstance(error, MemoryError) or getattr(error, "errno", None) in FULL_DISK:
                raise
            self.wrong.append(f"{what}: {reason(error)}" if what else reason(error))

    def shortage(self) -> str:
        """Return why a place did not give everything."""
        paths = [file.path for file in self.missing]
        more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
        return "; ".join(self.wrong[:3]) or f"lacks {', '.join(paths[:2])}{more}"


class Place(Protocol):
    """Somewhere files may be."""

    def give(self, wanted: Wanted) -> None:
        """Give the wanted files that are there."""


@dataclass(frozen=True)
class LocalFile:
    """An archive, or one file of the data set; `name` is what its owner calls it."""

    path: Path
    name: str

    def give(self, wanted: Wanted) -> None:
        """Give the file, or the members of the archive that are wanted; links and other paths are ignored."""
        with self.path.open("rb") as stream, wanted.reading(self.name):
            if file := wanted.named(self.name):
                wanted.take(file, stream)
            elif tarfile.is_tarfile(self.path):
                with tarfile.open(fileobj=stream) as archive:
                    for member in archive:
                        file = wanted.named(member.name) if member.isfile() else None
                        if file and (content := archive.extractfile(member)):
                            wanted.take(file, content)
                        if not wanted.missing:
                            return
            elif zipfile.is_zipfile(self.path):
                with zipfile.ZipFile(stream) as packed:
                    for name in packed.namelist():
                        if file := wanted.named(name):
                            with packed.open(name) as content:
                                wanted.take(file, content)
            elif len(wanted.missing) == 1:  # whatever a server calls it
                wanted.take(wanted.missing[0], stream)
            else:
                raise PlaceError(f"neither an archive nor a file of {wanted.name}")


@dataclass(frozen=True)
class Folder:
    """A folder that has the files, plain or gzipped, or an archive with a name that a built-in place uses.

    They may also lie in a subfolder with the name of the data set.
    """

    path: Path

    def give(self, wanted: Wanted) -> None:
        """Give the wanted files that are in the folder."""
        archives = dict.fromkeys(file_name(place) for place in DATA_SETS[wanted.name].places)
        for folder in (self.path, self.path / wanted.name):
            for file in list(wanted.missing):
                for path in (folder / spelling for spelling in spellings(file)):
                    if file in wanted.missing and path.is_file():
                        with path.open("rb") as stream:
                            wanted.take(file, stream)
            for archive in (folder / name for name in archives):
                if wanted.missing and archive.is_file():
                    LocalFile(archive, archive.name).give(wanted)


@dataclass(frozen=True)
class Downloads:
    """How downloads are made: into which folder, and which servers are abandoned as slow."""

    folder: Path
    slow_rate: float
    slow_seconds: float

    def give(self, url: str, wanted: Wanted) -> None:
        """Give the wanted files in the file at a URL; what is wrong is removed, and fetched again if it was a leftover."""
        download = Download(url, self.folder)
        for leftover in (download.started(), False):
            missing, wanted.wrong = len(wanted.missing), []
            LocalFile(download.fetch(self.slow_rate, self.slow_seconds), file_name(url)).give(wanted)
            if not wanted.missing or (len(wanted.missing) < missing and not wanted.wrong):
                return
            download.discard()
            if not leftover:
                return


@dataclass(frozen=True)
class UrlFile:
    """An archive, or one file of the data set, at a URL."""

    url: str
    downloads: Downloads

    def give(self, wanted: Wanted) -> None:
        """Download the file, and give what is wanted of it."""
        log(f"download: asking {self.url}")
        self.downloads.give(self.url, wanted)


@dataclass(frozen=True)
class UrlFolder:
    """A folder at a URL, in which the files are asked for one by one, plain and gzipped."""

    url: str
    downloads: Downloads

    def give(self, wanted: Wanted) -> None:
        """Download the wanted files that are there."""
        log(f"download: asking {self.url}")
        for file in list(wanted.missing):
            for spelling in spellings(file):
                if file in wanted.missing:
                    with suppress(NotFoundError):
                        self.downloads.give(self.url + quote(spelling), wanted)


def place_at(location: str, root: Path, downloads: Downloads) -> Place:
    """Return the place that a location names; in a path, ~ and $NAME are replaced, and a relative one counts from `root`."""
    path = local_path(location, root)
    if path is None:
        return UrlFolder(location, downloads) if location.endswith("/") else UrlFile(location, downloads)
    return Folder(path) if path.is_dir() else LocalFile(path, path.name)


def local_path(location: str, root: Path) -> Path | None:
    """Return the path that a location names, as `place_at` does, or None for a URL of another machine.

    Raises
    ------
    PlaceError
        When there can be no such path.
    PackageNotFoundError
        When the location is in a package that is not installed.
    """
    if is_url(location):
        url = urlsplit(location)
        if url.scheme == PACKAGE_SCHEME:
            package = importlib.metadata.distribution(url.netloc)
            return Path(str(package.locate_file(url.path.lstrip("/"))))
        if url.scheme != "file":
            return None
        if url.netloc not in ("", "localhost"):
            raise PlaceError("file:// is followed by an absolute path, with three slashes in all")
        from urllib.request import url2pathname  # 0.1 s

        return Path(url2pathname(url.path))
    path = root / os.path.expandvars(Path(location).expanduser())
    if not path.exists() and (variable := re.search(r"\$\{?(\w+)", str(path))):
        raise PlaceError(f"the environment has no variable {variable[1]}")
    return path


def is_url(location: str) -> bool:
    """Return whether a location is a URL, not a path."""
    return "://" in location


def spellings(file: File) -> list[str]:
    """Return the paths under which a file is looked for in a folder."""
    names = dict.fromkeys((file.path, PurePosixPath(file.path).name))
    return [f"{name}{suffix}" for name in names for suffix in ("", ".gz")]


def reason(error: Exception) -> str:
    """Return why reading failed, in a few words."""
    if isinstance(error, importlib.metadata.PackageNotFoundError):
        return f"package {error.name} is not installed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def verify_shape(data: "DataParams", shape: tuple[int, ...]) -> None:
    """Check that images of this shape may be those of the data set, as a stage run by hand may find those of another."""
    expected = (data.image_size, data.image_size, 3) if data.name == "folder" else DATA_SETS[data.name].image_shape
    if shape != expected:
        got, should = ("x".join(map(str, each)) for each in (shape, expected))
        raise InputError(
            f"data/processed: images of {got}, but data.name in params.yaml is {data.name}, whose images are {should}; run the "
            "download and preprocess stages first: dvc repro preprocess"
        )


def keep_foreign_files(downloading: str = "") -> None:
    """Move files that users put into `data/raw` to `data/archives`, since DVC empties an output before it runs its stage.

    Not foreign are the data set that dvc.lock records, if it is complete, because DVC can bring it back, and files of the data
    set `downloading`, which are about to be replaced by the right ones. No file that lies in `data/archives` is overwritten,
    and the same file is not kept twice.
    """
    if RAW.is_symlink() or not RAW.is_dir():
        return
    lock = Path("dvc.lock")
    recorded = re.search(r"^ +data\.name: (\w+)$", lock.read_text(encoding="utf-8") if lock.exists() else "", re.MULTILINE)
    own, replaced = (
        {Path(file.path) for file in DATA_SETS[name].files}
        if name in DATA_SETS
        else FOLDER_FILES
        if name == "folder"
        else set()
        for name in (recorded[1] if recorded else "", downloading)
    )
    found = {path.relative_to(RAW) for path in RAW.rglob("*") if path.is_symlink() or not path.is_dir()}
    foreign = sorted(found - replaced - (own if own <= found else set()))
    for path in foreign:
        target, number = ARCHIVES / path, 1
        while _is_taken(target, RAW / path):
            number += 1
            target = ARCHIVES / str(number) / path
        if target.exists():  # the same file
            (RAW / path).unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(RAW / path, target)
    remove_empty_folders(RAW)  # which may have the name of a file
    if foreign:
        names = ", ".join(map(str, foreign[:3])) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        log(f"moved {names} from {RAW} to {ARCHIVES}, since DVC empties {RAW} before it runs the download stage")


def _is_taken(target: Path, path: Path) -> bool:
    """Return whether a path in `data/archives` is another file than `path`, or leads through a file."""
    if target.exists():
        return not filecmp.cmp(path, target, shallow=False)
    return any(parent.is_file() for parent in target.parents if ARCHIVES in parent.parents)
