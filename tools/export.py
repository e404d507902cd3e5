"""Export a trained model to ONNX, with a model card.

Writes one file that takes uint8 [N, height, width, channels], N variable, and returns probabilities [N, classes].
Normalisation, views and temperature are inside; class names, image size and fit are in its metadata. It is verified with
onnxruntime on the test images, and written only if classes and probabilities are those of PyTorch. Needs make setup EXPORT=1.

  python -m tools.export
  python -m tools.export --rev accurate --output accurate
"""

import argparse
import json
import logging
import math
import sys
import tomllib
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from classifier.data.split import load_dataset_info, load_split
from classifier.networks.device import Device, as_tensor
from classifier.networks.inference import predict, weighted_views
from classifier.params import Views
from classifier.runtime.console import log, progress_bar
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs, check_folder
from tools import experiments
from tools.experiments import WORKSPACE
from tools.model_card import CARD, SOURCES, write_card
from tools.trained import Trained, add_arguments, open_model

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 20  # version of ONNX's operators: that of onnxruntime 1.17 and later
FILE = "classifier.onnx"
TEST = Path("data/processed/test.safetensors")
DATASET = Path("data/processed/dataset.json")
RANDOM_IMAGES = 1000  # where there are no test images
BATCH_BYTES = 2**18  # of images that are verified at a time
TOLERANCE = 1e-4  # difference of a probability

Pixels = NDArray[np.uint8]


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("export"), metavar="FOLDER", help="where to write (default: %(default)s/)"
    )
    arguments = parser.parse_args()
    if missing := [name for name in PACKAGES if not find_spec(name)]:
        raise InputError(f"{sys.executable} lacks {', '.join(missing)}: run make setup EXPORT=1, then . .venv/bin/activate")
    try:
        check_folder(arguments.output)
        with open_model(arguments) as trained:
            export(trained, arguments.output)
    except KeyboardInterrupt:
        print("export: interrupted", file=sys.stderr)
        sys.exit(130)


def export(trained: Trained, folder: Path) -> None:
    """Write the ONNX file and the model card of a model into a folder.

    Raises
    ------
    InputError
        When onnxruntime gives other classes or probabilities than PyTorch; then nothing is written.
    """
    images, source = images_to_verify(trained)
    results = trained.results if trained.results and all((trained.results / path).exists() for path in SOURCES) else None
    with atomic_outputs() as place:
        temporary = place(folder / FILE)
        temporary.write_bytes(as_onnx(trained))
        log(f"export: verifying on {len(images):,} {source}")
        difference = verify(temporary, trained, images)
        if results:
            experiment = trained.name != WORKSPACE and bool(experiments.find(trained.name))
            write_card(trained.name, results, place(folder / CARD), experiment=experiment)
    size = (folder / FILE).stat().st_size / 1000
    log(f"export: {folder / FILE}: {size:,.0f} kB, {trained.views} views; same classes, probabilities within {difference:.0e}")
    if results:
        log(f"export: {folder / CARD}: the model card")
    else:
        log("export: no model card, which needs the metrics of a revision: leave out --model, or give --rev")


class Classifier(nn.Module):
    """A network with views, temperature and softmax: uint8 [N, H, W, C] in, probabilities float32 [N, classes] out."""

    def __init__(self, network: nn.Module, views: Views, temperature: float) -> None:
        super().__init__()
        self.network, self.views, self.temperature = network, views, temperature

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities."""
        logits = [self.network(view) * weight for view, weight in weighted_views(images, self.views)]
        return (torch.stack(logits).sum(dim=0) / self.temperature).softmax(dim=1)


def as_onnx(trained: Trained) -> bytes:
    """Return the content of the ONNX file."""
    import onnx

    model = trained.model
    network = Classifier(model.build(), trained.views, model.temperature).eval()
    example = torch.zeros(2, *model.image_shape, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch to itself
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes={"images": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    content = program.model_proto  # type: ignore[union-attr] # None without dynamo
    remove_traces(content)
    onnx.helper.set_model_props(content, metadata(trained))
    onnx.checker.check_model(content)
    return bytes(content.SerializeToString())


def remove_traces(content: Any) -> None:
    """Remove what PyTorch notes of the code of this machine, with paths, from an onnx.ModelProto."""
    for part in (content.graph, *content.functions):
        del part.metadata_props[:]
        for entry in (*part.node, *part.value_info):
            del entry.metadata_props[:]
    for value in (*content.graph.input, *content.graph.output, *content.graph.initializer):
        del value.metadata_props[:]


def metadata(trained: Trained) -> dict[str, str]:
    """Return what a program needs to know to use the file, and what it is."""
    model = trained.model
    height, _, channels = model.image_shape
    version = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return {
        "class_names": json.dumps(model.dataset.class_names),
        "image_size": str(height),
        "channels": str(channels),
        "fit": model.dataset.fit,
        "views": trained.views,
        "temperature": repr(model.temperature),
        "version": version,
    }


def images_to_verify(trained: Trained) -> tuple[Pixels, str]:
    """Return images, uint8 [N, H, W, C], and what they are: those of the test split, whose labels are not used.

    Where there is no test split, or one of another data set or version of the program, they are random.
    """
    model = trained.model
    try:
        of_the_model = TEST.exists() and load_dataset_info(DATASET).class_names == model.dataset.class_names
        images = load_split(TEST).images if of_the_model else None
        if images is not None and images.shape[1:] == model.image_shape:
            return images, "test images"
        reason = f"{TEST} is {'of another data set' if TEST.exists() else 'missing'}"
    except InputError as error:
        reason = str(error)
    random = np.random.default_rng(0).integers(256, size=(RANDOM_IMAGES, *model.image_shape), dtype=np.uint8)
    return random, f"random images, since {reason}"


def verify(path: Path, trained: Trained, images: Pixels) -> float:
    """Return the largest difference of a probability between onnxruntime and PyTorch, both on the processor in float32.

    Raises
    ------
    InputError
        When it is larger than TOLERANCE, or an image gets another class.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    network, device = trained.model.build(), Device("cpu", "float32")
    largest, differing = 0.0, 0
    with progress_bar(len(images), "verifying", " images") as bar:
        for batch in batches(images, max(1, BATCH_BYTES // math.prod(trained.model.image_shape))):
            logits = predict(network, as_tensor(batch), device, trained.views)
            expected = (logits / trained.model.temperature).softmax(dim=1).numpy()
            (found,) = session.run(None, {"images": batch})
            largest = max(largest, float(np.abs(found - expected).max()))
            differing += int((found.argmax(axis=1) != expected.argmax(axis=1)).sum())
            bar.update(len(batch))
    if differing or not largest <= TOLERANCE:
        raise InputError(
            f"onnxruntime gives {differing:,} of {len(images):,} images another class than PyTorch, and probabilities that "
            f"differ by up to {largest:.1e}: should be 0 and {TOLERANCE:g}; nothing was written"
        )
    return largest


def batches(images: Pixels, size: int) -> Iterator[Pixels]:
    """Yield the images in batches; the first is a single image."""
    yield images[:1]
    for start in range(1, len(images), size):
        yield images[start : start + size]


if __name__ == "__main__":
    main()
