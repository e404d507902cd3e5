from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import benchmarks.commits
from benchmarks.commits import Result, difference, equal, results, sources, values
from classifier.runtime.errors import InputError


def result(values: dict[str, Any], suffix: str = ".pt") -> Result:
    return Result(suffix, repr(values).encode(), values)


def test_values_of_every_format_are_found_by_name(tmp_path: Path) -> None:
    weights = np.arange(4, dtype=np.float32)
    torch.save({"version": 1, "settings": {"width": 8}, "weights": torch.from_numpy(weights)}, tmp_path / "a.pt")
    save_file({"weights": weights}, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", weights=weights)
    (tmp_path / "a.json").write_text('{"accuracy": 0.5, "classes": {"cat": 1}}')
    (tmp_path / "a.csv").write_text("epoch,loss\n1,0.5\n2,0.25\n")
    (tmp_path / "empty.csv").write_text("epoch,loss\n")
    (tmp_path / "a.png").write_bytes(b"picture")
    model = values(tmp_path / "a.pt")
    assert model.keys() == {"version", "settings.width", "weights"}
    assert model["weights"].tolist() == [0, 1, 2, 3]
    for name in ("a.safetensors", "a.npz"):
        assert values(tmp_path / name).keys() == {"weights"}
        assert np.array_equal(values(tmp_path / name)["weights"], weights)
    assert values(tmp_path / "a.json") == {"accuracy": 0.5, "classes.cat": 1}
    assert values(tmp_path / "a.csv") == {"epoch": ["1", "2"], "loss": ["0.5", "0.25"]}
    assert values(tmp_path / "empty.csv") == {"epoch": [], "loss": []}
    assert values(tmp_path / "a.png") == {}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (0.5, 0.5, True),
        (0.5, 0.25, False),
        ((8, 16), (8, 16), True),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), True),
        (torch.tensor(1.0), torch.tensor(1.0), True),
        (torch.tensor([1.0]), torch.tensor([1.0 + 2**-23]), False),
        (torch.tensor([0.0]), torch.tensor([-0.0]), False),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64), False),
        (torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0], dtype=torch.bfloat16), True),
        (torch.zeros(2, 3), torch.zeros(3, 2), False),
        (torch.arange(6).reshape(2, 3).T, torch.tensor([[0, 3], [1, 4], [2, 5]]), True),
        (np.array([1, 2]), np.array([1, 2]), True),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.array([1.0]), np.array([1]), False),
        (np.array(["cat"]), np.array(["cat"]), True),
        (np.array([1, 2]), [1, 2], False),
        (torch.tensor([1, 2]), np.array([1, 2]), False),
    ],
)
def test_values_are_equal_if_every_bit_is(one: object, other: object, expected: bool) -> None:
    assert equal(one, other) is expected


def test_the_same_bytes_are_not_looked_into() -> None:
    assert difference(result({"a": 1}), result({"a": 1})) == (True, ".pt, the same bytes")


def test_a_new_field_is_told_from_other_weights() -> None:
    old = {"weights": torch.zeros(2), "old": 0}
    line = "the same values; new: format, version; gone: old"
    assert difference(result(old), result({"weights": torch.zeros(2), "version": 1, "format": 2})) == (True, line)
    line = "1 values differ: weights; new: version; gone: old"
    assert difference(result(old), result({"weights": torch.ones(2), "version": 1})) == (False, line)


def test_a_file_may_change_its_format() -> None:
    old, new = (result({"labels": np.arange(3)}, suffix) for suffix in (".npz", ".safetensors"))
    assert difference(old, new) == (True, "the same values")
    assert difference(old, result({"labels": np.arange(4)}, ".safetensors")) == (False, "1 values differ: labels")


def test_run_times_do_not_count() -> None:
    assert difference(result({"loss": 1, "seconds": 2}), result({"loss": 1, "seconds": 3})) == (True, "the same values")


def test_files_in_which_nothing_can_be_compared_differ() -> None:
    assert difference(Result(".png", b"a", {}), Result(".png", b"b", {})) == (False, "other bytes")
    assert difference(result({"a": 1}), result({"b": 1})) == (False, "other bytes; new: b; gone: a")


def test_a_result_that_only_one_commit_has_is_named() -> None:
    assert difference(None, result({})) == (True, "new")
    assert difference(result({}), None) == (False, "gone")


def test_a_folder_among_the_outputs_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text("data: {sources: []}\n")
    (tmp_path / "make.py").write_text(
        "from pathlib import Path; Path('models/pretrained').mkdir(parents=True); Path('models/a.json').write_text('{}')\n"
    )
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: python make.py, outs: [models/pretrained, models/a.json]}}\n")
    monkeypatch.setattr(benchmarks.commits, "checkout", lambda _: nullcontext(tmp_path))
    assert list(results("HEAD", "digits")) == ["models/a"]


def test_places_of_data_are_those_beside_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks.commits, "ROOT", tmp_path / "main")
    found = sources(["data/archives", "../shared", "https://server.org/a/"], "cifar10")
    assert found == [str(tmp_path / "main/data/archives"), str(tmp_path / "shared"), "https://server.org/a/"]


def test_older_commits_get_the_archive_with_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks.commits, "ROOT", tmp_path / "main")
    older = {"cifar10": [{"location": "https://server.org/a.tar.gz", "checksum": "md5:0"}], "digits": []}
    assert sources(older, "digits") == older
    with pytest.raises(InputError, match=r"^no cifar-10-python.tar.gz in .*; put it there, or compare --data digits"):
        sources(older, "cifar10")
    archive = tmp_path / "shared/cifar-10-python.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"archive")
    checksum = "sha256:0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3"  # of b"archive"
    assert sources(older, "cifar10") == {"cifar10": [{"location": str(archive), "checksum": checksum}], "digits": []}
