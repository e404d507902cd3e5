from pathlib import Path

import pytest
import torch

from classifier.runtime.errors import InputError
from classifier.training.checkpoints import Checkpoint, fingerprint

FINGERPRINT = {"train.epochs": "15", "data/processed/train.safetensors": "0" * 64}
STATE = {"weights": {"a": torch.arange(4.0)}, "step": 3, "best": None}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    checkpoint = Checkpoint(tmp_path / "checkpoints" / "train.pt", FINGERPRINT)
    checkpoint.save(STATE)
    return checkpoint


def test_a_checkpoint_gives_back_its_state(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    state = checkpoint.load()
    assert state
    assert torch.equal(state["weights"]["a"], STATE["weights"]["a"])  # type: ignore[index]
    assert (state["step"], state["best"]) == (3, None)
    assert capsys.readouterr().out == ""


def test_a_later_state_takes_the_place_of_an_earlier_one_and_nothing_else_is_left(checkpoint: Checkpoint) -> None:
    checkpoint.save({"step": 4})
    assert checkpoint.load() == {"step": 4}
    assert list(checkpoint.path.parent.iterdir()) == [checkpoint.path]


def test_without_a_checkpoint_there_is_no_state_and_no_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = Checkpoint(tmp_path / "train.pt", FINGERPRINT)
    assert checkpoint.load() is None
    checkpoint.remove()
    assert capsys.readouterr().out == ""


def test_many_differences_are_not_all_named(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    many = {f"file {number}": "1" for number in range(20)}
    assert Checkpoint(checkpoint.path, FINGERPRINT | many).load() is None
    assert (
        "(file 0 has changed, file 1 has changed, file 10 has changed, file 11 has changed, and 16 more)"
        in capsys.readouterr().out
    )


def test_a_removed_checkpoint_is_gone(checkpoint: Checkpoint) -> None:
    checkpoint.remove()
    assert checkpoint.load() is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (FINGERPRINT | {"train.epochs": "20"}, "train.epochs was 15, is 20"),
        (FINGERPRINT | {"data/processed/train.safetensors": "1" * 64}, "data/processed/train.safetensors has changed"),
        (FINGERPRINT | {"train.new": "1"}, "train.new has changed"),
        (
            FINGERPRINT | {"train.epochs": "1", "data/processed/train.safetensors": ""},
            "data/processed/train.safetensors has changed, train.epochs was 15",
        ),
    ],
)
def test_a_checkpoint_of_another_training_is_left_alone_with_a_line_saying_what_differs(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str], values: dict[str, str], reason: str
) -> None:
    assert Checkpoint(checkpoint.path, values).load() is None
    line = capsys.readouterr().out
    assert line.startswith(f"train: {checkpoint.path} is of another training run ({reason}")
    assert line.endswith("; starting over\n")
    assert line.count("\n") == 1
    assert checkpoint.load() is not None


def test_any_damage_is_noticed_and_the_file_renamed_with_a_line(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = checkpoint.path.read_bytes()
    tensor = whole.index(torch.arange(4.0).numpy().tobytes())
    renamed = checkpoint.path.with_name("train.pt.damaged")
    for damaged in (
        b"",
        whole[:20],
        whole[:-1],
        b"x" * 1000,
        whole[:tensor] + bytes([whole[tensor] ^ 1]) + whole[tensor + 1 :],
    ):
        checkpoint.path.write_bytes(damaged)
        assert checkpoint.load() is None
        assert capsys.readouterr().out == f"train: {checkpoint.path} is damaged, renamed to train.pt.damaged; starting over\n"
        assert not checkpoint.path.exists()
        assert renamed.read_bytes() == damaged
    checkpoint.save(STATE)
    assert checkpoint.load() is not None


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "train.pt"), MemoryError(), OSError(5, "I/O error")]
)
def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged_and_stays(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: Path) -> bytes:
        raise error

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(Path, "read_bytes", fail)
        checkpoint.load()
    assert capsys.readouterr().out == ""
    assert checkpoint.load() is not None


def test_a_failure_to_save_keeps_the_checkpoint_before(checkpoint: Checkpoint) -> None:
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save({"step": lambda: None})
    state = checkpoint.load()
    assert state
    assert state["step"] == 3
    assert list(checkpoint.path.parent.iterdir()) == [checkpoint.path]


def test_a_fingerprint_holds_settings_as_text_and_files_as_their_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert fingerprint({"epochs": 15, "sizes": (1, 2)}, {"data": tmp_path / "file"}) == {
        "epochs": "15",
        "sizes": "(1, 2)",
        "data": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


def test_a_checkpoint_is_due_30_seconds_after_the_start_and_after_every_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.delenv("CLASSIFIER_CHECKPOINT_SECONDS", raising=False)
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path / "train.pt", FINGERPRINT)
    for start in (100.0, 131.0):
        now = start + 29.9
        assert not checkpoint.is_due()
        now = start + 31
        assert checkpoint.is_due()
        checkpoint.save(STATE)
        assert not checkpoint.is_due()


def test_the_interval_may_be_shortened_for_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSIFIER_CHECKPOINT_SECONDS", "0")
    assert Checkpoint(tmp_path / "train.pt", FINGERPRINT).is_due()
    monkeypatch.setenv("CLASSIFIER_CHECKPOINT_SECONDS", "soon")
    with pytest.raises(InputError, match="CLASSIFIER_CHECKPOINT_SECONDS should be a number of seconds, got 'soon'"):
        Checkpoint(tmp_path / "train.pt", FINGERPRINT)


@pytest.mark.parametrize(("name", "old", "new"), [("processor", "AMD EPYC", "Intel Xeon"), ("device", "NVIDIA A", "NVIDIA B")])
def test_a_checkpoint_of_another_model_of_processor_or_gpu_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str
) -> None:
    Checkpoint(tmp_path / "train.pt", {name: old}).save(STATE)
    assert Checkpoint(tmp_path / "train.pt", {name: new}).load() is None
    assert f"({name} was {old}, is {new})" in capsys.readouterr().out
