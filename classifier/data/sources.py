"""Sources of data: archives fetched from the first place that has them, never trusted before their checksum matched."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from classifier.params import DataParams, Source, file_name
from classifier.runtime.console import progress_bar
from classifier.runtime.errors import InputError

PACKAGE_SCHEME = "package"
TIMEOUT = 30  # seconds without a byte after which a server is given up


def fetch(sources: Sequence[Source], folder: Path, root: Path) -> tuple[Path, Source]:
    """Put the archive that the first good source gives into `folder`, whole and verified, as the only file there.

    An archive that already lies there with a right checksum is kept as it is. A source that does not answer, or answers
    with other bytes, is passed over. While nothing is fetched, `folder` stays as it was.

    Parameters
    ----------
    sources
        In the order in which they are tried.
    folder
        Where the archive is put, under the last part of its location.
    root
        The folder from which relative paths count.

    Returns
    -------
    archive, source
        Its path, and where it came from.

    Raises
    ------
    InputError
        Naming every source that was tried, why it failed, and what to do.
    OSError
        When `folder` cannot be written.
    """
    pooch.get_logger().setLevel("ERROR")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # a folder that cannot be written is no fault of a source
    failures = []
    for source in sources:
        try:
            pooch.retrieve(
                source.location,
                known_hash=source.checksum,
                fname=file_name(source.location),
                path=folder,
                downloader=_downloader(source, root),
            )
        except (OSError, ValueError, requests.RequestException, importlib.metadata.PackageNotFoundError) as error:
            failures.append(f"{source.location} ({_why(error)})")
            continue
        archive = folder / file_name(source.location)
        for other in folder.iterdir():
            if other != archive:
                other.unlink()
        return archive, source
    with suppress(OSError):
        folder.rmdir()  # one that holds something stays
    raise InputError(
        f"no source gave the archive: {'; '.join(failures)}. Put the archive at one of these paths or add a source to "
        "data.sources in params.yaml, or run the data set that needs no network: make demo"
    )


def verified(sources: Sequence[Source], folder: Path) -> Path:
    """Return the archive in `folder` after its checksum was found to be that of one of its sources.

    Raises
    ------
    InputError
        When there is none, or when its bytes are not the pinned ones.
    """
    for source in sources:
        path = folder / file_name(source.location)
        if (
            path.is_file()
            and pooch.file_hash(str(path), source.checksum.partition(":")[0]) == source.checksum.partition(":")[2]
        ):
            return path
    raise InputError(f"{folder}: holds no archive with a checksum of data.sources in params.yaml; run the download stage again")


def sources_of(data: DataParams) -> tuple[Source, ...]:
    """Return the sources of the data set that `data` names; InputError when it lists none."""
    try:
        return data.sources[data.name]
    except KeyError:
        raise InputError(
            f"params.yaml: data.sources.{data.name}: missing; it takes a list of locations and checksums"
        ) from None


class _Copier:
    """Fetches `package://PACKAGE/FILE` and plain paths, in the form that pooch asks of a downloader."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, location: str, output: str, _: object) -> None:
        url = urlsplit(location)
        if url.scheme == PACKAGE_SCHEME:
            original = Path(str(importlib.metadata.distribution(url.netloc).locate_file(url.path.lstrip("/"))))
        else:
            original = self.root / location
        shutil.copyfile(original, output)


def _downloader(source: Source, root: Path) -> "pooch.HTTPDownloader | _Copier":
    if urlsplit(source.location).scheme in ("http", "https"):
        # pooch sets the total when it knows it, but passes over a bar whose total is 0, since that counts as false.
        bar = progress_bar(1, file_name(source.location), "B")
        return pooch.HTTPDownloader(progressbar=bar if not bar.disable else False, timeout=TIMEOUT)
    return _Copier(root)


def _why(error: Exception) -> str:  # noqa: PLR0911
    match error:
        case requests.HTTPError() if error.response is not None:
            return f"HTTP {error.response.status_code} {error.response.reason}"
        case requests.Timeout():
            return f"no answer within {TIMEOUT} s"
        case requests.ConnectionError():
            return "no connection"
        case importlib.metadata.PackageNotFoundError():
            return f"package {error.name} is not installed"
        case OSError() if error.strerror:
            return error.strerror.lower()
        case ValueError() if "does not match the known hash" in str(error):
            return "wrong checksum: " + str(error).partition("known hash: ")[2].partition(". ")[0]
        case _:
            return str(error)
