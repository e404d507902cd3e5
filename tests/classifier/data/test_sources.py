import errno
import gzip
import io
import re
import resource
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Never

import numpy as np
import pytest
from tqdm import tqdm

from classifier.data.registry import DATA_SETS
from classifier.data.sources import fetch, keep_foreign_files, verify
from classifier.runtime.errors import InputError
from tests.archives import register, tar, write, zipped
from tests.conftest import ROOT
from tests.servers import Answer, ResumableFile, content, redirect, serving, slow, status

FILES = {"set/one": bytes(range(256)) * 200, "set/two": b"the second file", "set/names": b"names"}
ARCHIVE = "https://example.invalid/set.tar.gz?download=1"  # a built-in place, which nobody reaches


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


class Search:
    """A root in which the data set of three small files is looked for."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.monkeypatch = monkeypatch
        self.raw = root / "data/raw"
        self.downloads = root / "checkpoints/download"
        register(monkeypatch, "cifar10", FILES)

    def finds(self, *sources: str, slow_rate: float = 0, slow_seconds: float = 0.1) -> list[str]:
        """Fetch the data set, which must end with exactly its files, and return the places that gave them."""
        shutil.rmtree(self.raw, ignore_errors=True)
        used = fetch("cifar10", sources, self.raw, self.root, slow_rate, slow_seconds)
        assert contents(self.raw) == FILES
        return used

    def fails(self, *sources: str, slow_rate: float = 0, slow_seconds: float = 0.1) -> str:
        """Fetch the data set in vain, and return the line that says why."""
        with pytest.raises(InputError) as caught:
            fetch("cifar10", sources, self.raw, self.root, slow_rate, slow_seconds)
        assert str(caught.value).isprintable()
        return str(caught.value)

    def built_in(self, *places: str) -> None:
        """Give the data set these built-in places."""
        register(self.monkeypatch, "cifar10", FILES, places)


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    return Search(tmp_path, monkeypatch)


def bare(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {Path(name).name: content for name, content in files.items()}


def gzipped(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "a.tar": lambda: tar(FILES, "w"),
    "a.tar.gz": lambda: tar(FILES),
    "a.tgz": lambda: tar(FILES),
    "a.zip": lambda: zipped(FILES),
    "flat.tar.gz": lambda: tar(bare(FILES)),
    "below another folder.zip": lambda: zipped({f"x/y/{name}": content for name, content in FILES.items()}),
    "among others.tar.gz": lambda: tar({"readme.html": b"<html>", **FILES, "set/three": b"3"}),
    "with a wrong file first.tar.gz": lambda: tar({"old/one": b"wrong", **FILES}),
    "gzipped inside.zip": lambda: zipped(gzipped(FILES)),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_gives_the_files_however_it_is_packed(search: Search, name: str) -> None:
    write(search.root / "beside", {name: ARCHIVES[name]()})
    assert search.finds(f"beside/{name}") == [f"beside/{name}"]


FOLDERS: dict[str, Mapping[str, bytes]] = {
    "files": FILES,
    "files below the name of the data set": {f"cifar10/{name}": content for name, content in FILES.items()},
    "bare files": bare(FILES),
    "bare files below the name of the data set": {f"cifar10/{name}": content for name, content in bare(FILES).items()},
    "gzipped files": gzipped(FILES),
    "gzipped bare files": gzipped(bare(FILES)),
    "an archive": {"set.tar.gz": tar(FILES)},
    "an archive below the name of the data set": {"cifar10/set.tar.gz": tar(FILES)},
    "some files and an archive": {"set/two": FILES["set/two"], "set.tar.gz": tar(FILES)},
    "a wrong file and an archive": {"set/two": b"wrong", "set.tar.gz": tar(FILES)},
    "a damaged file and the right one": FILES | {"set/one.gz": gzip.compress(b"1")[:-9], "one": b""},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_gives_the_files_however_they_lie_in_it(search: Search, name: str) -> None:
    search.built_in(ARCHIVE)
    write(search.root / "folder", FOLDERS[name])
    assert search.finds("folder") == ["folder"]
    assert contents(search.root / "folder") == FOLDERS[name]


def test_in_a_folder_only_archives_with_the_name_of_a_built_in_place_are_opened(search: Search) -> None:
    search.built_in("nowhere/set.tar.gz")
    write(search.root / "folder", {"other.tar.gz": tar(FILES)})
    assert "folder (lacks set/one, set/two and 1 more)" in search.fails("folder")


def test_a_relative_path_counts_from_the_root_and_a_tilde_is_the_home(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    write(search.root / "home/here", FILES)
    monkeypatch.setenv("HOME", str(search.root / "home"))
    monkeypatch.setenv("USERPROFILE", str(search.root / "home"))
    search.root = search.root / "repository"
    search.root.mkdir()
    search.finds("../home/here")
    search.finds("~/here")


def test_a_variable_of_the_environment_is_replaced_in_a_path(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    write(search.root / "some where", FILES)
    write(search.root / "with $signs", FILES)
    monkeypatch.setenv("DATASETS", str(search.root))
    monkeypatch.delenv("signs", raising=False)
    search.finds("$DATASETS/some where")
    search.finds("${DATASETS}/some where")
    search.finds("with $signs")
    assert "$NOWHERE/a (the environment has no variable NOWHERE)" in search.fails("$NOWHERE/a")


def test_a_url_may_name_a_file_or_a_folder_here(search: Search) -> None:
    write(search.root / "some where", FILES | {"a b.tar.gz": tar(FILES)})
    address = (search.root / "some where").as_uri()
    search.finds(address)
    search.finds(f"{address}/")
    search.finds(f"{address}/a%20b.tar.gz")
    search.finds(address.replace("file:///", "file://localhost/"))
    assert "/nowhere (no such file or directory)" in search.fails(f"{address}/nowhere")
    assert "file://a/b (file:// is followed by an absolute path, with three slashes in all)" in search.fails("file://a/b")


URLS: dict[str, tuple[str, dict[str, Answer]]] = {
    "an archive": ("/a.tar.gz", {"/a.tar.gz": content(tar(FILES))}),
    "an archive with a query and a redirect": (
        "/records/a.tar.gz?download=1&v=2",
        {"/records/a.tar.gz?download=1&v=2": redirect("/stored/0815"), "/stored/0815": content(tar(FILES))},
    ),
    "an archive without a name": ("/?id=7", {"/?id=7": content(zipped(FILES))}),
    "a folder": ("/f/", {f"/f/{name}": content(body) for name, body in FILES.items()}),
    "a folder of bare files": ("/f/", {f"/f/{name}": content(body) for name, body in bare(FILES).items()}),
    "a folder of gzipped files": ("/f/", {f"/f/{name}": content(body) for name, body in gzipped(FILES).items()}),
}


@pytest.mark.parametrize("name", URLS)
def test_a_url_gives_the_files(search: Search, name: str) -> None:
    path, answers = URLS[name]
    with serving(answers) as address:
        assert search.finds(address + path) == [address + path]


def test_files_may_come_from_several_places_and_a_complete_set_ends_the_search(search: Search) -> None:
    write(search.root / "a", {"set/one": FILES["set/one"]})
    body = gzip.compress(FILES["set/names"])
    with serving({"/names.gz?x=1": content(body), "/get?id=2": content(FILES["set/two"])}) as address:
        sources = ["a", f"{address}/names.gz?x=1", f"{address}/get?id=2", f"{address}/never-asked"]
        assert search.finds(*sources) == sources[:3]


@pytest.mark.parametrize("packing", ["tar", "zip", "csv", "csv.gz", "folder", "url"])
def test_digits_are_the_same_from_everywhere_and_need_no_network(tmp_path: Path, packing: str) -> None:
    fetch("digits", [], tmp_path / "built-in", tmp_path)
    files = contents(tmp_path / "built-in")
    packed = {"tar": tar(files), "zip": zipped(files), "csv": files["digits.csv"], "csv.gz": gzip.compress(files["digits.csv"])}
    with serving({"/digits.csv.gz?v=1": redirect("/7"), "/7": content(packed["csv.gz"])}) as address:
        if packing in packed:
            (tmp_path / f"digits.{packing}").write_bytes(packed[packing])
        write(tmp_path / "folder", {"digits/digits.csv.gz": packed["csv.gz"]})
        place = {"folder": "folder", "url": f"{address}/digits.csv.gz?v=1"}.get(packing, f"digits.{packing}")
        assert fetch("digits", [place], tmp_path / "raw", tmp_path) == [place]
    assert contents(tmp_path / "raw") == files


def test_the_files_lie_where_torchvision_looks_for_them_and_the_official_server_comes_last() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

    for name, reader in {"cifar10": CIFAR10, "cifar100": CIFAR100}.items():
        names = [file for file, _ in reader.train_list + reader.test_list] + [reader.meta["filename"]]
        assert {file.path for file in DATA_SETS[name].files} == {f"{reader.base_folder}/{file}" for file in names}
        assert DATA_SETS[name].places[-1] == reader.url
    for name, reader in {"mnist": MNIST, "fashion_mnist": FashionMNIST}.items():
        paths = [f"{reader.__name__}/raw/{file.removesuffix('.gz')}" for file, _ in reader.resources]
        assert sorted(file.path for file in DATA_SETS[name].files) == sorted(paths)
        assert DATA_SETS[name].places[-1] == reader.mirrors[-1]


SAME_NAMES = {"mnist": {"MNIST/raw/train": b"digits"}, "fashion_mnist": {"FashionMNIST/raw/train": b"clothes"}}


@pytest.mark.parametrize("name", SAME_NAMES)
@pytest.mark.parametrize("layout", ["root of torchvision", "the other one bare", "folders", "archive", "url"])
def test_of_files_with_the_same_name_those_of_the_data_set_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layout: str
) -> None:
    for each, files in SAME_NAMES.items():
        register(monkeypatch, each, files, (f"https://example.invalid/{each}/",))
    (other,) = SAME_NAMES.keys() - {name}
    (own_content,), (other_content,) = SAME_NAMES[name].values(), SAME_NAMES[other].values()
    everything = SAME_NAMES[other] | SAME_NAMES[name]
    place = "shared"
    match layout:
        case "root of torchvision":
            write(tmp_path / place, everything)
        case "the other one bare":
            write(tmp_path / place, {"train.gz": gzip.compress(other_content), f"{name}/train.gz": gzip.compress(own_content)})
        case "folders":
            write(tmp_path / place, {f"{other}/train": other_content, f"{name}/train": own_content})
        case "archive":
            place = "both.zip"
            write(tmp_path, {place: zipped(everything)})
    with serving({"/train.gz": content(gzip.compress(own_content)), "/train": status(403)}) as address:
        place = f"{address}/" if layout == "url" else place
        assert fetch(name, [place], tmp_path / "data/raw", tmp_path) == [place]
    assert contents(tmp_path / "data/raw") == SAME_NAMES[name]


def test_a_place_that_fails_or_has_other_bytes_is_passed_over(search: Search) -> None:
    answers = {
        "/gone/a": status(404),
        "/busy/a": status(503),
        "/page/a": content(b"<html>Please log in</html>"),
        "/half/a": content(tar(FILES)[:100], promised=5000),
        "/wrong/a": content(tar(FILES | {"set/two": b"THE SECOND FILE"})),
        "/good/a": content(tar(FILES)),
    }
    with serving(answers) as address:
        sources = [f"{address}{path}" for path in answers]
        assert search.finds("nowhere/a", *sources) == sources[-2:], "each file is judged by itself"


def test_when_all_places_fail_the_error_names_each_with_its_reason_and_what_to_do(search: Search) -> None:
    write(search.root, {"wrong/set/one": b"other bytes", "page.tar.gz": b"<html>", "half.tar.gz": tar(FILES)[:-200]})
    with serving({"/a": status(404), "/b/": status(404)}) as address:
        search.built_in("package://no-such-package/a")
        urls = [f"{address}/a", f"{address}/b/", "http://127.0.0.1:9/a"]
        line = search.fails("nowhere/a", "wrong", "page.tar.gz", *urls, "half.tar.gz")
    for expected in (
        "no place has all files of cifar10: nowhere/a (no such file or directory); ",
        "; wrong (other bytes in set/one); ",
        "; page.tar.gz (page.tar.gz: neither an archive nor a file of cifar10); ",
        "/a (HTTP 404 Not Found); ",
        "/b/ (lacks set/one, set/two and 1 more); ",
        "; http://127.0.0.1:9/a (no connection); ",
        "; half.tar.gz (",
        "; package://no-such-package/a (package no-such-package is not installed). ",
        "Put the files or their archive into data/archives/, ",
        "make demo",
    ):
        assert expected in line


def test_links_and_paths_that_lead_out_of_an_archive_are_ignored(search: Search) -> None:
    links = []
    for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../secret"), (tarfile.CHRTYPE, "")):
        member = tarfile.TarInfo("set/one")
        member.type, member.linkname = kind, target
        links.append(member)
    outside = {"../set/one": FILES["set/one"], "/set/two": FILES["set/two"], "set/../../names": FILES["set/names"]}
    write(search.root, {"a.tar.gz": tar(outside, extra=tuple(links)), "a.zip": zipped(outside)})
    line = search.fails("a.tar.gz", "a.zip")
    assert line.count("lacks set/one, set/two and 1 more") == 2
    assert sorted(path.name for path in search.root.rglob("*")) == ["a.tar.gz", "a.zip", "data", "raw"]


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "one.gz"])
def test_a_member_is_read_up_to_its_known_size(search: Search, name: str) -> None:
    bomb = {"set/one": bytes(2**26)}
    write(search.root, {"a.tar.gz": tar(bomb), "a.zip": zipped(bomb), "one.gz": gzip.compress(bomb["set/one"])})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        assert "other bytes in set/one" in search.fails(name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_damaged_archive_is_a_reason_in_one_line_and_gives_no_wrong_file(search: Search, name: str) -> None:
    whole = ARCHIVES[name]()
    places = np.random.default_rng(0).integers(len(whole), size=60).tolist()
    cut = [whole[:place] for place in places[:20]]
    flipped = [whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :] for place in places[20:]]
    lines = []
    for damaged in (b"", b"PK\x03\x04", bytes(10_000), *cut, *flipped):
        (search.root / name).write_bytes(damaged)
        try:
            search.finds(name)
        except InputError as error:
            lines.append(str(error))
    assert len(lines) > 20
    assert all(line.isprintable() for line in lines)


def test_nothing_is_unpickled_before_its_checksum_matched(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> Never:
        raise AssertionError("bytes that were not verified were unpickled")

    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "numpy.load"):
        monkeypatch.setattr(name, forbidden)
    write(search.root, {"a.tar.gz": tar(FILES | {"set/one": b"other"}), "f/set/one": b"other"})
    assert "other bytes in set/one" in search.fails("a.tar.gz", "f")
    write(search.raw, FILES | {"set/one": FILES["set/one"][::-1]})
    with pytest.raises(InputError, match="other bytes than those of the registry"):
        verify("cifar10", search.raw)


def test_a_slow_place_is_abandoned_for_the_next_one(search: Search) -> None:
    with serving({"/slow": slow(tar(FILES, "w"), 20, 0.2), "/fast": content(tar(FILES))}) as address:
        # The slow one would take 4 seconds; of the fast one the whole is one chunk or two.
        assert search.finds(f"{address}/slow", f"{address}/fast", slow_rate=1e12) == [f"{address}/fast"]


def test_the_last_place_is_waited_for_even_where_all_are_slow(search: Search, capsys: pytest.CaptureFixture[str]) -> None:
    body = tar(FILES, "w")
    with serving({"/first": slow(body, 20, 0.05), "/last": slow(body, 20, 0.05)}) as address:
        search.built_in(f"{address}/first", f"{address}/last")
        assert search.finds(slow_rate=1e12) == [f"{address}/last"]
        assert f"download: {address}/first (slower than 1e+09 kB/s for 0.1 s)\n" in capsys.readouterr().out


def test_what_was_downloaded_is_not_downloaded_again(search: Search) -> None:
    file = ResumableFile(tar(FILES))
    with serving({"/a.tar.gz": file}) as address:
        search.finds(f"{address}/a.tar.gz")
        search.finds(f"{address}/a.tar.gz")
    assert len(file.asked) == 1


@pytest.mark.parametrize("suffix", ["", ".partial"])
def test_a_leftover_with_wrong_bytes_is_removed_and_the_file_downloaded_again(search: Search, suffix: str) -> None:
    body = tar(FILES, "w")
    file = ResumableFile(body, stop_at=50_000)
    with serving({"/a.tar": file}) as address:
        search.fails(f"{address}/a.tar")
        (partial,) = search.downloads.glob("*.partial")
        damaged = b"\0" * partial.stat().st_size
        partial.with_suffix(suffix).write_bytes(damaged)
        file.stop_at = None
        search.finds(f"{address}/a.tar")
    assert file.asked[-1] is None, "from its start"


def test_wrong_bytes_are_not_kept(search: Search) -> None:
    with serving({"/a.tar": content(tar(FILES | {"set/one": b"wrong"}, "w")), "/b": content(b"<html>")}) as address:
        search.fails(f"{address}/a.tar", f"{address}/b")
    assert contents(search.downloads) == {}


def test_a_download_moves_its_progress_bar_to_the_end(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()

    def bar(total: int, description: str, unit: str, done: int) -> "tqdm[Never]":
        return tqdm(total=total, initial=done, desc=description, unit=unit, file=screen, mininterval=0, miniters=1)

    monkeypatch.setattr("classifier.runtime.download.progress_bar", bar)
    with serving({"/a.tar": content(tar(FILES, "w"))}) as address:
        search.finds(f"{address}/a.tar")
    frames = re.findall(r"(\d+)%", screen.getvalue())
    assert len(frames) > 3
    assert frames[-1] == "100"


def test_a_disk_without_room_for_the_files_is_found_out_first(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    write(search.root / "here", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    with pytest.raises(OSError, match="no space") as caught:
        fetch("cifar10", ["here"], search.raw, search.root)
    assert caught.value.errno == errno.ENOSPC
    assert contents(search.raw) == {}


def test_the_files_are_verified_by_size_and_checksum(search: Search) -> None:
    write(search.raw, FILES)
    verify("cifar10", search.raw)
    for wrong, reason in {b"the second": "10 bytes instead of 15", b"THE second file": "other bytes than"}.items():
        (search.raw / "set/two").write_bytes(wrong)
        with pytest.raises(InputError, match=rf"set/two: {reason}.*; run .* again: dvc repro --force download$"):
            verify("cifar10", search.raw)
    (search.raw / "set/two").unlink()
    with pytest.raises(InputError, match="set/two: no such file; run the download"):
        verify("cifar10", search.raw)


def recorded(name: str) -> None:
    Path("dvc.lock").write_text(f"stages:\n  download:\n    params:\n      params.yaml:\n        data.name: {name}\n")


def test_files_of_ones_own_in_data_raw_are_moved_to_data_archives(
    search: Search, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(search.root)
    keep_foreign_files()
    recorded("cifar10")
    write(search.raw, FILES)
    keep_foreign_files()
    assert capsys.readouterr().out == "", "DVC can bring the recorded data set back"
    own = {"set.tar.gz": b"mine", "sub/a": b"mine too"}
    write(search.raw, own)
    keep_foreign_files()
    assert contents(search.raw) == FILES
    assert contents(search.root / "data/archives") == own
    assert capsys.readouterr().out.startswith("moved set.tar.gz, sub/a from data/raw to data/archives, ")


@pytest.mark.parametrize("name", ["digits", "cifar10", "unknown"])
def test_a_data_set_that_dvc_does_not_record_or_an_incomplete_one_is_of_ones_own(
    search: Search, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(search.root)
    recorded(name)
    files = {path: content for path, content in FILES.items() if path != "set/two" or name != "cifar10"}
    write(search.raw, files)
    keep_foreign_files()
    assert contents(search.root / "data/archives") == files
    assert contents(search.raw) == {}


def test_no_archive_is_overwritten_or_kept_twice(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(search.root)
    for body in (b"first", b"second", b"second", b"first"):
        write(search.raw, {"a.tar.gz": body})
        keep_foreign_files()
    assert contents(search.root / "data/archives") == {"a.tar.gz": b"first", "2/a.tar.gz": b"second"}


def test_a_folder_with_the_name_of_a_file_makes_way_for_it(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(search.root)
    (search.raw / "set/one/empty").mkdir(parents=True)
    write(search.raw, {"set/two/mine": b"1"})
    keep_foreign_files("cifar10")
    write(search.raw, FILES)
    assert contents(search.root / "data/archives") == {"set/two/mine": b"1"}
    write(search.root, {"data/raw/more/mine": b"2", "data/archives/more": b"a file where a folder is needed"})
    keep_foreign_files("cifar10")
    assert contents(search.root / "data/archives") == {
        "set/two/mine": b"1",
        "more": b"a file where a folder is needed",
        "2/more/mine": b"2",
    }


def test_a_data_raw_that_is_a_link_is_left_alone(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(search.root)
    write(search.root / "elsewhere", {"mine": b"1"})
    search.raw.parent.mkdir()
    search.raw.symlink_to(search.root / "elsewhere")
    keep_foreign_files()
    assert contents(search.root / "elsewhere") == {"mine": b"1"}


def test_preparing_a_run_imports_neither_requests_nor_torchvision() -> None:
    program = (
        "import sys; from classifier.data.sources import keep_foreign_files; from classifier.data.readers import READERS; "
        "keep_foreign_files(); sys.exit(bool({'requests', 'torch', 'torchvision', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
