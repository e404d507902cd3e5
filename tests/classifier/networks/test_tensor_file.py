from pathlib import Path

import pytest
import torch

from classifier.networks.tensor_file import load_tensors, save_tensors

VALUES = {"weights": {"a": torch.arange(200.0), "b": torch.tensor([True])}, "step": 3, "shares": [0.5, None], "shape": (1, 2)}


def test_tensors_and_plain_values_come_back(tmp_path: Path) -> None:
    save_tensors(VALUES, tmp_path / "a.pt")
    loaded = load_tensors(tmp_path / "a.pt")
    assert torch.equal(loaded["weights"]["a"], VALUES["weights"]["a"])  # type: ignore[index]
    assert (loaded["step"], loaded["shares"], loaded["shape"]) == (3, [0.5, None], (1, 2))


def test_one_wrong_bit_in_a_tensor_is_noticed_which_pytorch_alone_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save_tensors(VALUES, path)
    whole = path.read_bytes()
    start = whole.index(torch.arange(200.0).numpy().tobytes())
    for place in range(start, start + 800, 50):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        torch.load(path, weights_only=True)
        with pytest.raises(ValueError, match="wrong checksum of "):
            load_tensors(path)
