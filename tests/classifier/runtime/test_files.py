import errno
import os
import stat
from pathlib import Path

import pytest

from classifier.results.table import write_csv
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, read_output


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(path) as temporary:
        temporary.write_text("half of the ne\ud800", encoding="utf-8")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_a_full_disk_and_a_folder_that_cannot_be_made_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "model.pt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "model.pt")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as exists, atomic_write(tmp_path / "file" / "model.pt"):
        pass
    assert exists.value.filename == str(tmp_path / "file" / "model.pt")


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
