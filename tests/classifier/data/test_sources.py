import hashlib
import io
import re
from pathlib import Path
from typing import Never

import pytest
from tqdm import tqdm

from classifier.data.sources import fetch, verified
from classifier.params import Source
from classifier.runtime.errors import InputError
from tests.servers import content, redirect, serving, slow, status

ARCHIVE = b"the bytes of an archive" * 1000
CHECKSUM = f"sha256:{hashlib.sha256(ARCHIVE).hexdigest()}"


def source(location: str) -> Source:
    return Source(location, CHECKSUM)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_a_relative_path_counts_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "a.tar.gz").write_bytes(ARCHIVE)
    path, used = fetch([source("../beside/a.tar.gz")], tmp_path / "raw", tmp_path / "root")
    assert path == tmp_path / "raw" / "a.tar.gz"
    assert used.location == "../beside/a.tar.gz"
    assert files_in(tmp_path / "raw") == {"a.tar.gz": ARCHIVE}


def test_a_url_is_downloaded(tmp_path: Path) -> None:
    with serving({"/a.tar.gz": content(ARCHIVE)}) as address:
        fetch([source(f"{address}/a.tar.gz")], tmp_path / "raw", tmp_path)
    assert files_in(tmp_path / "raw") == {"a.tar.gz": ARCHIVE}


def test_a_download_moves_its_progress_bar_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()

    def bar(total: int, description: str, unit: str) -> "tqdm[Never]":
        return tqdm(total=total, desc=description, unit=unit, file=screen, mininterval=0, miniters=1)

    monkeypatch.setattr("classifier.sources.progress_bar", bar)
    with serving({"/a.tar.gz": content(ARCHIVE)}) as address:
        fetch([source(f"{address}/a.tar.gz")], tmp_path / "raw", tmp_path)
    frames = re.findall(r"(\d+)%", screen.getvalue())
    assert len(frames) > 3
    assert frames[-1] == "100"


def test_a_file_of_an_installed_package_is_found(tmp_path: Path) -> None:
    location = "package://scikit-learn/sklearn/datasets/data/digits.csv.gz"
    checksum = "sha256:09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
    path, _ = fetch([Source(location, checksum)], tmp_path / "raw", tmp_path)
    assert path.name == "digits.csv.gz"


def test_sources_that_fail_or_answer_with_other_bytes_are_passed_over(tmp_path: Path) -> None:
    answers = {
        "/gone/a": status(404),
        "/busy/a": status(503),
        "/page/a": content(b"<html>Please log in</html>"),
        "/half/a": content(ARCHIVE[:5000], promised=len(ARCHIVE)),
        "/good/a": content(ARCHIVE),
    }
    with serving(answers) as address:
        sources = [source(f"{address}/{name}/a") for name in ("gone", "busy", "page", "half", "good")]
        _, used = fetch([source("nowhere/a"), *sources], tmp_path / "raw", tmp_path)
    assert used.location.endswith("/good/a")
    assert files_in(tmp_path / "raw") == {"a": ARCHIVE}


def test_when_all_fail_the_error_names_each_with_its_reason_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "a").write_bytes(b"other bytes")
    with serving({"/a": status(404)}) as address:
        sources = [source("nowhere/a"), source("wrong/a"), source(f"{address}/a"), source("http://127.0.0.1:9/a")]
        sources.append(source("package://no-such-package/a"))
        with pytest.raises(InputError) as caught:
            fetch(sources, tmp_path / "raw", tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    for expected in (
        r"nowhere/a \(no such file or directory\)",
        rf"wrong/a \(wrong checksum: expected {CHECKSUM} but got [0-9a-f]{{64}}\)",
        r"127\.0\.0\.1:\d+/a \(HTTP 404 Not Found\)",
        r"127\.0\.0\.1:9/a \(no connection\)",
        r"package://no-such-package/a \(package no-such-package is not installed\)",
        r"Put the archive at one of these paths",
        r"make demo",
    ):
        assert re.search(expected, line), expected
    assert not (tmp_path / "raw").exists()


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old.tar.gz").write_bytes(b"old")
    with pytest.raises(InputError):
        fetch([source("nowhere/a.tar.gz")], tmp_path / "raw", tmp_path)
    assert files_in(tmp_path / "raw") == {"old.tar.gz": b"old"}


def test_a_folder_that_cannot_be_written_is_no_fault_of_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(ARCHIVE)
    (tmp_path / "raw").write_text("a file where the folder should be")
    with pytest.raises(FileExistsError):
        fetch([source("a.tar.gz")], tmp_path / "raw", tmp_path)


def test_a_success_leaves_one_file_only(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "old.tar.gz").write_bytes(b"old")
    (tmp_path / "raw" / "tmp123").write_bytes(b"half of a downl")
    (tmp_path / "a.tar.gz").write_bytes(ARCHIVE)
    fetch([source("a.tar.gz")], tmp_path / "raw", tmp_path)
    assert files_in(tmp_path / "raw") == {"a.tar.gz": ARCHIVE}


def test_an_archive_that_is_there_and_right_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.tar.gz").write_bytes(ARCHIVE)
    fetch([source("nowhere/a.tar.gz")], tmp_path / "raw", tmp_path)
    assert files_in(tmp_path / "raw") == {"a.tar.gz": ARCHIVE}


def test_an_archive_is_verified_again_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(ARCHIVE)
    assert verified([source("elsewhere/a")], tmp_path) == tmp_path / "a"
    (tmp_path / "a").write_bytes(ARCHIVE[:-1])
    with pytest.raises(InputError, match=r"holds no archive with a checksum of data\.sources"):
        verified([source("elsewhere/a")], tmp_path)


def test_a_redirect_is_followed_and_what_it_leads_to_is_verified_too(tmp_path: Path) -> None:
    answers = {
        "/bad/a": redirect("/page"),
        "/page": content(b"<html>Please log in</html>"),
        "/good/a": redirect("/moved/a"),
        "/moved/a": content(ARCHIVE),
    }
    with serving(answers) as address:
        _, used = fetch([source(f"{address}/bad/a"), source(f"{address}/good/a")], tmp_path / "raw", tmp_path)
    assert used.location.endswith("/good/a")
    assert files_in(tmp_path / "raw") == {"a": ARCHIVE}


@pytest.mark.parametrize("target", ["file:///etc/passwd", "/a"], ids=["another protocol", "a circle"])
def test_a_redirect_that_leads_nowhere_is_passed_over(tmp_path: Path, target: str) -> None:
    with serving({"/a": redirect(target)}) as address, pytest.raises(InputError, match=r"^no source gave the archive[^\n]*$"):
        fetch([source(f"{address}/a")], tmp_path / "raw", tmp_path)
    assert files_in(tmp_path / "raw") == {}


def test_a_slow_source_is_waited_for_while_bytes_come_and_given_up_when_none_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier.sources.TIMEOUT", 0.5)
    with serving({"/slow/a": slow(ARCHIVE, 8, 0.1), "/dead/b": slow(ARCHIVE, 2, 3)}) as address:
        fetch([source(f"{address}/slow/a")], tmp_path / "raw", tmp_path)
        with pytest.raises(InputError, match=r"/dead/b \(no (answer|connection)"):
            fetch([source(f"{address}/dead/b")], tmp_path / "raw", tmp_path)
    assert files_in(tmp_path / "raw") == {"a": ARCHIVE}


def test_nothing_is_unpickled_or_unpacked_of_bytes_whose_checksum_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> Never:
        raise AssertionError("bytes that were not verified were read")

    for name in (
        "tarfile.open",
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "zipfile.ZipFile",
        "numpy.load",
        "gzip.open",
    ):
        monkeypatch.setattr(name, forbidden)
    (tmp_path / "a.tar.gz").write_bytes(b"other bytes")
    with pytest.raises(InputError, match="wrong checksum"):
        fetch([source("a.tar.gz")], tmp_path / "raw", tmp_path)
    with pytest.raises(InputError, match="holds no archive"):
        verified([source("a.tar.gz")], tmp_path)
