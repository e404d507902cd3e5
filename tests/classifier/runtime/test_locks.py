import errno
from pathlib import Path

import pytest
from filelock import Timeout

from classifier.runtime.locks import file_lock


def test_a_lock_keeps_others_out_also_where_the_file_system_refuses_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    for number in range(2):
        with file_lock(tmp_path / "lock").acquire(timeout=0), pytest.raises(Timeout):
            file_lock(tmp_path / "lock").acquire(timeout=0)
        if not number:
            monkeypatch.setattr("fcntl.flock", refuse)
