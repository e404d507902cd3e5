import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import load
from classifier.data.split import DatasetInfo, Split, save_dataset_info, save_split
from tests.conftest import ROOT


def test_the_speeds_are_medians_with_a_row_for_each_count() -> None:
    speeds = {("0", 0): [3000.0, 1000.0, 1100.0], ("ours", 0): [1200.0], ("0", 2): [50.0], ("ours", 2): [60.0]}
    assert load.table(speeds) == (
        "| spin count | beside 0 | beside 2 |\n| --- | --- | --- |\n| 0 | 1,100 | 50 |\n| ours | 1,200 | 60 |"
    )


@pytest.mark.slow
def test_a_measurement_trains_beside_busy_processes_that_end_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(256, size=(40, 32, 32, 3), dtype=np.uint8)
    split = Split(images, np.arange(40) % 10)
    for name in ("train", "validation"):
        save_split(split, tmp_path / f"data/processed/{name}.safetensors")
    info = DatasetInfo(tuple("0123456789"), (0.5,) * 3, (0.25,) * 3)
    save_dataset_info(info, tmp_path / "data/processed/dataset.json")
    for name in ("params.yaml", "variants"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen.__init__

    def remember(self: "subprocess.Popen[bytes]", command: list[str], *arguments: object, **options: object) -> None:
        start(self, command, *arguments, **options)  # type: ignore[call-overload]
        if load.BUSY in command:
            started.append(self)

    monkeypatch.setattr(subprocess.Popen, "__init__", remember)
    monkeypatch.setattr(sys, "argv", ["load", "--images", "20", "--runs", "1", "--busy", "1", "--counts", "0", "ours"])
    load.main()
    assert [process.poll() is not None for process in started] == [True, True]
    shown = capsys.readouterr().out
    assert shown.count(" images/s\n") == 2
    assert "| ours | " in shown
    assert not os.environ.get("GOMP_SPINCOUNT")
