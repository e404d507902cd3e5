"""Pretrained weights: fetched and checked by the stage `weights`, and put into a network by the stage `train`."""

import json
import re
import shutil
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import IO, Any, cast, get_args

import torch
from torch import Tensor, nn

from classifier.data.sources import DOWNLOADS, PlaceError, local_path, reason, sha256
from classifier.networks.layers import Normalization
from classifier.networks.torchvision_designs import MEAN, STD, torchvision_layers
from classifier.params import NetworkParams, TorchvisionDesign
from classifier.runtime.download import Download, DownloadError, file_name
from classifier.runtime.errors import InputError, is_of_the_system, is_out_of_memory
from classifier.runtime.files import read_output

NONE = "none"
SOURCE = "source.json"
WEIGHTS = "weights.pt"
OUTPUT = Path("models/classifier.pt")  # what the pipeline writes
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # as in the names of torchvision's files: the start of the SHA-256
MODEL = 2  # index of torchvision's model in a network, behind normalisation and scaling
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which training scripts keep the weights
UNUSED = {"study": {"first_kernel_size"}, "airbench": {"batch_norm", "hidden_width"}}  # settings that a design has no use for
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # names in torchvision's files, older than its code


@dataclass(frozen=True)
class Pretrained:
    """Weights from which a training starts.

    name
        Where they come from, for messages.
    weights
        By their names in the network that `build_network` builds.
    class_names
        Of the last layer; empty if they are not known.
    mean, std
        The normalisation with which they were trained.
    settings
        Those of the network that a network with these weights should have, too.
    """

    name: str
    weights: dict[str, Tensor]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    settings: Mapping[str, Any]

    def check(self, params: NetworkParams, channels: int) -> None:
        """Check that images of this number of channels can be given to a network with these params that has these weights.

        Raises
        ------
        InputError
            Naming what should be another.
        """
        if channels > len(self.mean):
            raise InputError(
                f"params.yaml: network.pretrained: {self.name} takes images of {len(self.mean)} channel, and those of the data "
                f"set have {channels}: choose other weights, or none"
            )
        for name, value in self.settings.items():
            if getattr(params, name, value) != value and name not in UNUSED.get(params.design, ()):
                raise InputError(
                    f"params.yaml: network.{name}: should be {json.dumps(value)}, as in {self.name}, got "
                    f"{json.dumps(getattr(params, name))}"
                )

    def load_into(self, network: nn.Module, class_names: Sequence[str]) -> bool:
        """Put the weights into a network, the last layer only where its classes are the same ones in the same order.

        Returns
        -------
        kept
            Whether the last layer is the pretrained one.

        Raises
        ------
        InputError
            When they are weights of another network, naming the first ones that differ.
        """
        kept = tuple(class_names) == self.class_names
        load_weights(network, self.weights, keep_last=kept, name=self.name)
        return kept


def last_layer(network: nn.Module) -> str:
    """Return the name of the layer that gives the logits."""
    names: list[str] = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return names[-1]


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], *, keep_last: bool, name: str) -> None:
    """Put weights into a network, with or without those of its last layer.

    Raises
    ------
    InputError
        As `Pretrained.load_into`.
    """
    without = () if keep_last else (f"{last_layer(network)}.",)
    given = {key: weight for key, weight in weights.items() if not key.startswith(without)}
    try:
        found = network.load_state_dict(given, strict=False)
    except RuntimeError as error:
        match = re.search(r"size mismatch for (\S+): .* shape torch.Size\((.+?)\) from .* torch.Size\((.+?)\)", str(error))
        if not match:
            raise
        raise _misfit(name, f"has {match[1]} of shape {match[2]} instead of {match[3]}") from None
    missing = [key for key in found.missing_keys if not key.startswith(without)]
    if missing or found.unexpected_keys:
        problem = f"lacks {missing[0]}" if missing else f"has {found.unexpected_keys[0]}, which the network does not"
        raise _misfit(name, problem)


def _misfit(name: str, problem: str) -> InputError:
    return InputError(
        f"params.yaml: network.pretrained: {name} does not fit the network: it {problem}; name weights of the same design "
        "and, for study, images of the same size"
    )


def fetch_weights(location: str, design: str, folder: Path, root: Path) -> dict[str, Any]:
    """Copy pretrained weights into an empty folder, with `source.json` beside them, and check that they fit a design.

    Parameters
    ----------
    location
        URL or path of a file of torchvision's weights, or of a model file of this program; or `none`. A relative path counts
        from `root`, and ~ and $NAME are replaced.
    design
        The network's.

    Returns
    -------
    source
        The content of `source.json`: the location and, unless it is `none`, SHA-256 and size of the file.

    Raises
    ------
    InputError
        When there is no such file, its bytes are not those that its name promises, or they are no weights of the design.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source: dict[str, Any] = {"pretrained": location}
    if location != NONE:
        path = folder / WEIGHTS
        _copy(location, path, root)
        pretrained = read_weights(path, location, design)
        if design in get_args(TorchvisionDesign):
            network = nn.Sequential(Normalization(MEAN, STD), *torchvision_layers(cast("TorchvisionDesign", design), 1))
            load_weights(network, pretrained.weights, keep_last=False, name=location)
        source |= {"sha256": sha256(path), "bytes": path.stat().st_size}
    (folder / SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
    return source


def load_pretrained(params: NetworkParams, folder: Path) -> Pretrained | None:
    """Return the weights that the stage `weights` put into a folder, or None for `none`.

    Raises
    ------
    InputError
        When they are not there, or those of other params.
    """
    if params.pretrained == NONE:
        return None
    with read_output(folder / SOURCE, "weights"):
        source = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
        matches = source["pretrained"] == params.pretrained
    if not matches:
        raise InputError(
            f"{folder / SOURCE}: of {source['pretrained']}, but network.pretrained in params.yaml is {params.pretrained}; run "
            "the weights stage first: dvc repro weights"
        )
    with read_output(folder / WEIGHTS, "weights"):
        if sha256(folder / WEIGHTS) != source["sha256"]:
            raise ValueError("wrong checksum")
    return read_weights(folder / WEIGHTS, params.pretrained, params.design)


def read_weights(path: Path, name: str, design: str) -> Pretrained:
    """Read a file of weights, of which only tensors and plain values are accepted, so that no code can run.

    Parameters
    ----------
    name
        What messages call it.
    design
        For which the weights should be.

    Raises
    ------
    InputError
        When it is no such file, or not for this design.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise ValueError(f"wrong checksum of {damaged}")  # noqa: TRY301
        with warnings.catch_warnings(action="ignore"):  # as of a pickle, which is refused in the next moment
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise exceptions of many types
        if is_out_of_memory(error) or is_of_the_system(error):
            raise
        problem = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise InputError(
            f"params.yaml: network.pretrained: {name}: not a file of weights that loads without running code of it ({problem})"
            "; fetch it again, or save the state_dict of its model alone"
        ) from None
    if isinstance(content, dict) and {"settings", "weights"} <= content.keys():
        return _from_model_file(content, name, design)
    return _from_torchvision(content, name, design)


def _from_model_file(content: Mapping[str, Any], name: str, design: str) -> Pretrained:
    try:
        settings, dataset = content["settings"]["network"], content["settings"]["dataset"]
        names, mean, std = (tuple(dataset[key]) for key in ("class_names", "mean", "std"))
        found = settings["design"]
    except (KeyError, TypeError):
        raise InputError(
            f"params.yaml: network.pretrained: {name}: a model file of another version of the program, which lacks settings"
        ) from None
    if found != design:
        raise InputError(f"params.yaml: network.design: should be {found}, the design of {name}, got {design}")
    own = design not in get_args(TorchvisionDesign)
    relevant = {key: value for key, value in settings.items() if key == "logit_scale" or (own and key != "pretrained")}
    return Pretrained(name, content["weights"], names, mean, std, relevant)


def _from_torchvision(content: Any, name: str, design: str) -> Pretrained:
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"params.yaml: network.pretrained: {name}: holds no weights by their names")
    if design not in get_args(TorchvisionDesign):
        raise InputError(
            f"params.yaml: network.design: should be the design of torchvision that {name} has weights of, got {design}, for "
            "which network.pretrained takes model files of this program"
        )
    renamed = {OLD_DENSENET.sub(r"\1\2", key): value for key, value in content.items()}
    weights = {f"{MODEL}.{key}": value for key, value in renamed.items()}
    normalization = {"0.mean": torch.tensor(MEAN) * 255, "0.std": torch.tensor(STD) * 255}
    return Pretrained(name, normalization | weights, (), MEAN, STD, {})


def _copy(location: str, target: Path, root: Path) -> None:
    """Copy the file at a URL or path, and check its bytes against a hash in its name."""
    try:
        path = local_path(location, root)
        if path is None:
            _download(location, target, root)
        else:
            with _opened(path, root) as stream, target.open("wb") as output:
                shutil.copyfileobj(stream, output)
            _check_name(location, target)
    except (PlaceError, DownloadError, PackageNotFoundError) as error:
        hint = "; or fetch the file by hand, and name its path" if isinstance(error, DownloadError) else ""
        raise InputError(f"params.yaml: network.pretrained: {location}: {reason(error)}{hint}") from None


def _opened(path: Path, root: Path) -> IO[bytes]:
    if path.resolve() == (root / OUTPUT).resolve():
        raise PlaceError(
            f"the pipeline writes this file: name a copy of it, as made by mkdir -p data/archives && cp {OUTPUT} data/archives/"
        )
    try:
        return path.open("rb")
    except OSError as error:
        raise PlaceError(reason(error)) from None


def _download(url: str, target: Path, root: Path) -> None:
    download = Download(url, root / DOWNLOADS)
    for leftover in (download.started(), False):
        shutil.copyfile(download.fetch(slow_rate=0), target)
        download.discard()
        try:
            _check_name(url, target)
        except PlaceError:
            if not leftover:
                raise
        else:
            return


def _check_name(location: str, path: Path) -> None:
    promised = HASH_IN_NAME.search(file_name(location))
    found = sha256(path)
    if promised and not found.startswith(promised[1]):
        raise PlaceError(
            f"its SHA-256 begins with {found[: len(promised[1])]}, not with {promised[1]} as its name says; fetch it again, or "
            "rename it if these digits are no checksum"
        )
