import errno
import sys
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


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")
def test_a_full_disk_is_an_error_of_the_system_and_keeps_the_old_file(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "a.pt"
    save_tensors(VALUES, path)
    whole = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_tensors({"weights": torch.zeros(100_000), "more": torch.zeros(100)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == whole
    assert [*tmp_path.iterdir()] == [path]


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
