import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from classifier.results.table import write_csv
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs, atomic_write, check_folder, copy_folder, read_output


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(path) as temporary:
        temporary.write_text("half of the ne\ud800", encoding="utf-8")
    assert contents(tmp_path) == {"model.pt": "old"}


def test_outputs_move_together_at_the_end_of_the_block(tmp_path: Path) -> None:
    old = {"curve.csv": "old", "model.pt": "old"}
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with atomic_outputs() as place:
        place(tmp_path / "model.pt").write_text("new")
        place(tmp_path / "curve.csv").write_text("new")
        assert {name: (tmp_path / name).read_text() for name in old} == old
    assert contents(tmp_path) == {"curve.csv": "new", "model.pt": "new"}


def test_a_failed_block_moves_none_of_the_outputs(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_outputs() as place:
        place(tmp_path / "model.pt").write_text("new")
        place(tmp_path / "curve.csv").write_text("new")
        raise ZeroDivisionError
    assert contents(tmp_path) == {"model.pt": "old"}


def test_an_output_that_was_not_written_fails_before_anything_moves(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("old")
    with pytest.raises(FileNotFoundError) as caught, atomic_outputs() as place:
        place(tmp_path / "model.pt").write_text("new")
        place(tmp_path / "curve.csv")
    assert caught.value.filename == str(tmp_path / "curve.csv")
    assert contents(tmp_path) == {"model.pt": "old"}


@pytest.mark.parametrize("links", [True, False])
def test_a_rename_that_fails_puts_the_old_files_back(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "model.pt").write_text("old")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "image").write_text("old")
    (tmp_path / "curve.csv" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory") as caught, atomic_outputs() as place:
        place(tmp_path / "model.pt").write_text("new")
        place(tmp_path / "new.json").write_text("new")
        folder = place(tmp_path / "raw")
        folder.mkdir()
        (folder / "another image").write_text("new")
        place(tmp_path / "curve.csv").write_text("new")
    assert caught.value.filename == str(tmp_path / "curve.csv")
    assert contents(tmp_path) == {"model.pt": "old", "raw/image": "old"}


def test_a_folder_holds_afterwards_what_was_written_and_no_more(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "old").mkdir(parents=True)
    (raw / "old" / "gone").write_text("old")
    (raw / "same").write_text("old")
    with atomic_outputs() as place:
        folder = place(raw)
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "image").write_text("new")
        (folder / "same").write_text("new")
        assert (raw / "old" / "gone").exists()
    assert contents(tmp_path) == {"raw/deep/image": "new", "raw/same": "new"}
    assert not (raw / "old").exists()


def test_a_signal_during_the_moves_waits_until_all_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def interrupted_replace(source: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", interrupted_replace)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), atomic_outputs() as place:
            for name in ("model.pt", "curve.csv"):
                place(tmp_path / name).write_text("new")
    finally:
        signal.signal(signal.SIGINT, before)
    assert contents(tmp_path) == {"curve.csv": "new", "model.pt": "new"}


def test_a_copy_of_a_folder_is_its_content_also_where_that_is_read_only_or_a_link(tmp_path: Path) -> None:
    (tmp_path / "cache" / "plots").mkdir(parents=True)
    (tmp_path / "cache" / "plots" / "curve.csv").write_text("new")
    (tmp_path / "cache" / "plots" / "curve.csv").chmod(0o444)
    (tmp_path / "cache" / "model.pt").symlink_to("plots/curve.csv")
    with atomic_write(tmp_path / "copy") as temporary:
        copy_folder(tmp_path / "cache", temporary)
    assert contents(tmp_path / "copy") == {"model.pt": "new", "plots/curve.csv": "new"}
    for path in (tmp_path / "copy").rglob("*.*"):
        assert path.stat().st_mode & stat.S_IWUSR
        assert not path.is_symlink()


def test_a_full_disk_names_the_output(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "model.pt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "model.pt")
    with pytest.raises(FileNotFoundError) as missing, atomic_outputs() as place:
        place(tmp_path / "model.pt")
        (place(tmp_path / "raw") / "folder" / "image").write_text("new")
    assert missing.value.filename == str(tmp_path / "raw" / "folder" / "image")


def test_an_error_of_an_input_keeps_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "model.pt"):
        (tmp_path / "input").read_text()
    assert caught.value.filename == str(tmp_path / "input")


def test_an_error_that_safetensors_reports_in_words_names_the_output(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught, atomic_write(tmp_path / "train.safetensors") as temporary:
        temporary.mkdir()
        save_file({"images": np.zeros(3)}, temporary)
    assert caught.value.filename == str(tmp_path / "train.safetensors")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as caught, atomic_write(tmp_path / "file" / "model.pt"):
        pass
    assert caught.value.filename == str(tmp_path / "file")


def test_leftovers_of_processes_that_are_gone_are_removed_and_no_others(tmp_path: Path) -> None:
    program = """
import os
from pathlib import Path
from classifier.runtime.files import atomic_outputs, atomic_write
with atomic_outputs() as place:
    for name in ("train.json", "train-lr.json", "train-12.json"):
        with atomic_write(place(Path(name))) as temporary:
            temporary.touch()
            os.link(temporary, place(Path(name)))
            if name == "train-12.json":
                os._exit(0)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 6, left
    with atomic_outputs() as place, atomic_outputs() as another:
        place(tmp_path / "train.json").write_text("new")
        another(tmp_path / "train.json").write_text("newer")
        kept = [path.name for path in tmp_path.iterdir() if path.name in left]
        assert sorted(kept) == [name for name in left if "train-lr" in name or "train-12-" in name]
    with atomic_outputs() as place:
        for name in ("train-lr.json", "train-12.json"):
            place(tmp_path / name).write_text("new")
    assert contents(tmp_path) == {"train-12.json": "new", "train-lr.json": "new", "train.json": "new"}


def test_a_write_makes_its_folder_and_a_file_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    mask = os.umask(0o022)
    try:
        with atomic_write(path) as temporary:
            temporary.write_text("text")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_table_has_six_significant_digits_and_unix_lines(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", ["name", "share"], [["cat", 1 / 3], ["dog", 2]])
    assert (tmp_path / "table.csv").read_bytes() == b"name,share\ncat,0.333333\ndog,2\n"


def test_a_missing_or_damaged_file_says_which_stage_to_run(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="no such file; run the train stage first: dvc repro train"),
        read_output(tmp_path, "train"),
    ):
        raise FileNotFoundError
    with pytest.raises(InputError, match=r"damaged \(bad magic\); run the train stage again"), read_output(tmp_path, "train"):
        raise ValueError("bad magic\nand more")


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), read_output(tmp_path, "train"):
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_file_for_which_there_is_no_memory_is_not_called_damaged(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)), read_output(tmp_path, "train"):
        raise error


@pytest.mark.parametrize("folder", ["file", "file/new/folder", "link", "link/new"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("gone")
    check_folder(tmp_path / "new" / "folder")
    with pytest.raises(InputError, match=r"(file|link) is no folder: name another one, or remove it$"):
        check_folder(tmp_path / folder)
