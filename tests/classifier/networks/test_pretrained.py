import dataclasses
import pickle
import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from classifier.data.sources import sha256
from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.networks.model_file import Model, save_model
from classifier.networks.pretrained import Pretrained, fetch_weights, load_pretrained
from classifier.networks.tensor_file import load_tensors, save_tensors
from classifier.networks.torchvision_designs import MEAN, STD, torchvision_layers
from classifier.params import NetworkParams
from classifier.runtime.download import Download
from classifier.runtime.errors import InputError
from tests.classifier.networks.helpers import ONE_CHANNEL, THREE_CHANNELS
from tests.servers import content, serving

SQUEEZENET = NetworkParams("squeezenet1_1", (4,), "relu", False, 1.0, True, 1, 3, "none")
AIRBENCH = NetworkParams("airbench", (4, 8), "gelu", True, 0.5, True, 1, 3, "none")
SHAPE = (8, 8, 3)


def states(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in network.state_dict().items()}


def torchvision_file(path: Path, design: Any = "squeezenet1_1", **options: Any) -> Path:
    """Write weights as torchvision does, of 1000 classes, with the start of their SHA-256 in the name."""
    torch.save(torchvision_layers(design, 1000)[1].state_dict(), path, **options)
    return path.rename(path.with_name(f"{path.stem}-{sha256(path)[:8]}.pth"))


def model_file(path: Path, dataset: DatasetInfo = THREE_CHANNELS, params: NetworkParams = AIRBENCH) -> Path:
    shape = (8, 8, len(dataset.mean))
    network = build_network(params, shape, dataset, seed=7)
    save_model(Model(network.state_dict(), params, shape, dataset), path)
    return path


def loaded(location: str, params: NetworkParams, folder: Path) -> Pretrained:
    fetch_weights(location, params.design, folder / "pretrained", folder)
    pretrained = load_pretrained(dataclasses.replace(params, pretrained=location), folder / "pretrained")
    assert pretrained
    return pretrained


def refusal(location: str, design: str, folder: Path) -> str:
    with pytest.raises(InputError, match=r"^params\.yaml: network\.\w+: ") as error:
        fetch_weights(location, design, folder / "pretrained", folder)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["new", "old"])
def test_weights_of_torchvision_fill_all_but_the_last_layer_and_bring_their_normalisation(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    path = torchvision_file(tmp_path / "squeezenet", **options)
    pretrained = loaded(path.name, SQUEEZENET, tmp_path)
    assert (tmp_path / "pretrained/weights.pt").read_bytes() == path.read_bytes()
    pretrained.check(SQUEEZENET, channels=1)
    dataset = dataclasses.replace(ONE_CHANNEL, mean=pretrained.mean, std=pretrained.std)
    network = build_network(SQUEEZENET, (8, 8, 1), dataset, seed=0)
    before = states(network)
    assert not pretrained.load_into(network, dataset.class_names), "the last layer is a new one"
    given, after = torch.load(path, weights_only=True), states(network)
    names = {name for name in given if not name.startswith("classifier.1.")}
    assert all(torch.equal(after[f"2.{name}"], given[name]) for name in names)
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - {f"2.{name}" for name in names})
    images = torch.randint(256, (2, 8, 8, 1), dtype=torch.uint8)
    expected = (images / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(network[0](images), expected.permute(0, 3, 1, 2))
    assert network(images).shape == (2, 2)


@pytest.mark.parametrize("same", [True, False])
def test_a_model_file_keeps_its_last_layer_where_the_class_names_are_the_same(tmp_path: Path, same: bool) -> None:
    path = model_file(tmp_path / "first.pt")
    pretrained = loaded("first.pt", AIRBENCH, tmp_path)
    other = DatasetInfo(THREE_CHANNELS.class_names if same else ("a", "b", "c"), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
    dataset = dataclasses.replace(other, mean=pretrained.mean, std=pretrained.std)
    network = build_network(AIRBENCH, SHAPE, dataset, seed=0)
    before = states(network)
    assert pretrained.load_into(network, dataset.class_names) == same
    given, after = load_tensors(path)["weights"], states(network)
    differing = {name for name in after if name not in given or not torch.equal(after[name], given[name])}
    last = f"{len(network) - 2}.weight"
    assert differing == (set() if same else {last})
    assert same or torch.equal(after[last], before[last])
    assert dataset.mean == THREE_CHANNELS.mean


def test_a_model_of_three_channels_takes_images_of_one_but_not_the_reverse(tmp_path: Path) -> None:
    model_file(tmp_path / "colours.pt")
    pretrained = loaded("colours.pt", AIRBENCH, tmp_path)
    pretrained.check(AIRBENCH, channels=1)
    dataset = dataclasses.replace(ONE_CHANNEL, mean=pretrained.mean, std=pretrained.std)
    network = build_network(AIRBENCH, (8, 8, 1), dataset, seed=0)
    pretrained.load_into(network, dataset.class_names)
    assert network(torch.zeros(2, 8, 8, 1, dtype=torch.uint8)).shape == (2, 2)
    model_file(tmp_path / "grey.pt", ONE_CHANNEL)
    with pytest.raises(InputError, match=r"grey\.pt takes images of 1 channel, and those of the data set have 3"):
        loaded("grey.pt", AIRBENCH, tmp_path).check(AIRBENCH, channels=3)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"widths": (4, 4)}, r"params\.yaml: network\.widths: should be \[4, 8\], as in first\.pt, got \[4, 4\]"),
        ({"activation": "silu"}, r'params\.yaml: network\.activation: should be "gelu", as in first\.pt, got "silu"'),
        ({"whitening": False}, r"params\.yaml: network\.whitening: should be true, as in first\.pt, got false"),
        ({"logit_scale": 1.0}, r"params\.yaml: network\.logit_scale: should be 0\.5, as in first\.pt, got 1\.0"),
        ({"batch_norm": False, "hidden_width": 9}, ""),  # which airbench has no use for
    ],
)
def test_the_settings_of_a_model_file_are_those_of_the_network(tmp_path: Path, change: dict[str, Any], line: str) -> None:
    model_file(tmp_path / "first.pt")
    pretrained = loaded("first.pt", AIRBENCH, tmp_path)
    params = dataclasses.replace(AIRBENCH, **change)
    if line:
        with pytest.raises(InputError, match=rf"^{line}$"):
            pretrained.check(params, channels=3)
    else:
        pretrained.check(params, channels=3)


def test_weights_that_do_not_fit_name_the_first_that_differ(tmp_path: Path) -> None:
    study = dataclasses.replace(AIRBENCH, design="study", hidden_width=5)
    model_file(tmp_path / "first.pt", params=study)
    pretrained = loaded("first.pt", study, tmp_path)
    network = build_network(study, (16, 16, 3), THREE_CHANNELS, seed=0)  # images of another size
    with pytest.raises(
        InputError, match=r"first\.pt does not fit the network: it has [\w.]+ of shape \[5, \d+\] instead of \[5"
    ):
        pretrained.load_into(network, THREE_CHANNELS.class_names)
    path = torchvision_file(tmp_path / "squeezenet")
    assert "it lacks 2.conv1.weight" in refusal(path.name, "resnet18", tmp_path)
    weights = torch.load(path, weights_only=True)
    torch.save({"state_dict": weights | {"features.99.bias": torch.zeros(1)}}, tmp_path / "more.pth")
    assert "it has 2.features.99.bias, which the network does not" in refusal("more.pth", "squeezenet1_1", tmp_path)


def test_a_hash_in_the_name_is_checked(tmp_path: Path) -> None:
    path = torchvision_file(tmp_path / "squeezenet")
    right = fetch_weights(path.name, "squeezenet1_1", tmp_path / "pretrained", tmp_path)
    assert right == {"pretrained": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
    wrong = path.rename(tmp_path / "squeezenet-20261128.pth")
    assert f"its SHA-256 begins with {sha256(wrong)[:8]}, not with 20261128 as its name says" in refusal(
        wrong.name, "squeezenet1_1", tmp_path
    )


def test_what_is_no_file_of_weights_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "text.pt").write_text("<html>Please log in</html>")
    (tmp_path / "empty.pt").touch()
    torch.save([1, 2], tmp_path / "list.pt")
    cut = model_file(tmp_path / "cut.pt")
    cut.write_bytes(cut.read_bytes()[:-100])
    damaged = model_file(tmp_path / "damaged.pt")
    content = bytearray(damaged.read_bytes())  # with a wrong bit in the normalisation
    content[content.index(load_tensors(damaged)["weights"]["0.mean"].numpy().tobytes())] ^= 1
    damaged.write_bytes(content)
    old = load_tensors(model_file(tmp_path / "old.pt"))
    del old["settings"]["dataset"]
    save_tensors(old, tmp_path / "old.pt")
    model_file(tmp_path / "models/classifier.pt")
    lines = {
        "missing.pt": "missing.pt: no such file or directory",
        "$NOWHERE/a.pt": "the environment has no variable NOWHERE",
        "models": "models: is a directory",
        "text.pt": "text.pt: not a file of weights",
        "empty.pt": "empty.pt: not a file of weights",
        "cut.pt": "cut.pt: not a file of weights",
        "damaged.pt": "damaged.pt: not a file of weights",
        "list.pt": "list.pt: holds no weights by their names",
        "old.pt": "old.pt: a model file of another version of the program",
        "models/classifier.pt": "as made by mkdir -p data/archives && cp models/classifier.pt data/archives/",
        "package://no-such-package/a.pt": "package no-such-package is not installed",
    }
    for location, line in lines.items():
        assert line in refusal(location, "airbench", tmp_path), location
    model_file(tmp_path / "first.pt")
    assert "network.design: should be airbench, the design of first.pt, got study" in refusal("first.pt", "study", tmp_path)
    path = torchvision_file(tmp_path / "squeezenet")
    assert "network.design: should be the design of torchvision" in refusal(path.name, "study", tmp_path)


def test_weights_that_would_run_code_are_refused_and_do_not_run(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.mkdir, (tmp_path / "was run",)

    torch.save({"conv.weight": Malicious()}, tmp_path / "torch.pt")
    names = ["torch.pt"]
    for protocol in (2, pickle.DEFAULT_PROTOCOL):
        names.append(f"pickle-{protocol}.pt")
        (tmp_path / names[-1]).write_bytes(pickle.dumps({"conv.weight": Malicious()}, protocol))
    for name in names:
        assert "loads without running code of it" in refusal(name, "resnet18", tmp_path)
    assert not (tmp_path / "was run").exists()
    assert not recwarn, "one line is enough"


def test_a_file_at_a_url_is_downloaded_afresh_and_without_a_network_none_is_needed(tmp_path: Path) -> None:
    path = torchvision_file(tmp_path / "squeezenet")
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        content(path.read_bytes())(handler)

    with serving({f"/{path.name}": answer}) as address:
        url = f"{address}/{path.name}"
        leftover = Download(url, tmp_path / "checkpoints/download").finished  # of a run that was killed
        leftover.parent.mkdir(parents=True)
        leftover.write_bytes(b"something else")
        source = fetch_weights(url, "squeezenet1_1", tmp_path / "pretrained", tmp_path)
        assert source == {"pretrained": url, "sha256": sha256(path), "bytes": path.stat().st_size}
        fetch_weights(url, "squeezenet1_1", tmp_path / "again", tmp_path)
        assert len(asked) == 2
        missing = f"{address}/missing.pth"
        assert f"{missing}: HTTP 404" in refusal(missing, "squeezenet1_1", tmp_path)
    assert load_pretrained(dataclasses.replace(SQUEEZENET, pretrained=url), tmp_path / "pretrained")
    assert fetch_weights("none", "squeezenet1_1", tmp_path / "nothing", tmp_path) == {"pretrained": "none"}
    assert [each.name for each in (tmp_path / "nothing").iterdir()] == ["source.json"]


def test_the_training_takes_the_weights_of_its_params_only(tmp_path: Path) -> None:
    model_file(tmp_path / "first.pt")
    loaded("first.pt", AIRBENCH, tmp_path)
    folder = tmp_path / "pretrained"
    assert load_pretrained(AIRBENCH, folder) is None, "none"
    other = dataclasses.replace(AIRBENCH, pretrained="second.pt")
    with pytest.raises(
        InputError, match=r"of first\.pt, but network\.pretrained in params\.yaml is second\.pt; run the weights"
    ):
        load_pretrained(other, folder)
    (folder / "weights.pt").write_bytes(model_file(tmp_path / "second.pt", ONE_CHANNEL).read_bytes())
    first = dataclasses.replace(AIRBENCH, pretrained="first.pt")
    with pytest.raises(InputError, match=r"weights\.pt: damaged \(wrong checksum\); run the weights stage again"):
        load_pretrained(first, folder)
    (folder / "source.json").unlink()
    with pytest.raises(InputError, match=r"source\.json: no such file; run the weights stage first: dvc repro weights"):
        load_pretrained(first, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "new", "old"),
    [("densenet121", r"\.(norm|conv)([12])\.", r".\1.\2."), ("vit_b_16", r"\.mlp\.0\.", ".mlp.linear_1.")],
)
def test_the_older_names_in_files_of_torchvision_are_understood(tmp_path: Path, design: Any, new: str, old: str) -> None:
    weights = torchvision_layers(design, 2)[1].state_dict()
    renamed = {re.sub(new, old, name): weight for name, weight in weights.items()}
    assert renamed.keys() != weights.keys()
    torch.save(renamed, tmp_path / "old.pth")
    params = dataclasses.replace(SQUEEZENET, design=design)
    network = build_network(params, (8, 8, 3), THREE_CHANNELS, seed=0)
    loaded("old.pth", params, tmp_path).load_into(network, THREE_CHANNELS.class_names)
    last = next(reversed(weights)).rpartition(".")[0]
    after = states(network)
    assert all(torch.equal(after[f"2.{name}"], weight) for name, weight in weights.items() if not name.startswith(last))
