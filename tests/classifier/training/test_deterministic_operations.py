"""Every operation of a training run has a deterministic implementation on a GPU, checked without one."""

import dataclasses
import re
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from classifier.networks.build import build_network, fit_whitening
from classifier.networks.device import Device
from classifier.networks.inference import predict
from classifier.params import AugmentationParams, NetworkParams, TrainParams
from classifier.training.trainer import Training
from tests.classifier.training.test_trainer import AIRBENCH, DESCRIPTION, NO_AUGMENTATION, PARAMS, easy_split, ignore

# The operations that raise in deterministic mode, by the names under which PyTorch dispatches them: the list "will throw a
# RuntimeError" of torch.use_deterministic_algorithms in the documentation of PyTorch 2.14. Most raise on CUDA alone.
RAISING = {
    "AvgPool3d": {"avg_pool3d_backward"},
    "AdaptiveAvgPool2d": {"_adaptive_avg_pool2d_backward"},
    "AdaptiveAvgPool3d": {"_adaptive_avg_pool3d_backward"},
    "AdaptiveMaxPool2d": {"adaptive_max_pool2d_backward"},
    "FractionalMaxPool2d": {"fractional_max_pool2d_backward"},
    "FractionalMaxPool3d": {"fractional_max_pool3d_backward"},
    "MaxUnpool": {"max_unpool2d", "max_unpool3d"},
    "interpolate": {
        f"{operation}_backward"
        for operation in (
            *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
            *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        )
    },
    "ReflectionPad": {f"reflection_pad{dimensions}d_backward" for dimensions in (1, 2, 3)},
    "NLLLoss": {"nll_loss2d_forward"},  # of one value per pixel; that of one per image, nll_loss_forward, does not raise
    "CTCLoss": {"_ctc_loss_backward", "_cudnn_ctc_loss"},
    "EmbeddingBag": {"_embedding_bag_dense_backward", "_embedding_bag_backward"},
    "put_": {"put_", "put"},
    "histc": {"histc"},
    "bincount": {"bincount"},
    "median": {"median", "nanmedian"},
    "grid_sample": {"grid_sampler_2d_backward", "grid_sampler_3d_backward"},
    "scatter_reduce": {"scatter_reduce", "scatter_reduce_"},
    "resize_": {"resize_"},
}


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the names of all operations, those of the gradients too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def operations(
    network_params: NetworkParams, params: TrainParams, augmentation: AugmentationParams, device: Device
) -> set[str]:
    """The operations of two epochs of training, from the construction of the network to the scores of all views."""
    recorder = Recorder()
    with recorder:
        split = easy_split(24, 1)
        network = build_network(network_params, (8, 8, 1), DESCRIPTION, 0)
        fit_whitening(network, torch.from_numpy(split.images))
        training = Training(network, split, easy_split(6, 2), augmentation, params, device)
        for _ in range(2):
            training.run_epoch(ignore)
        training.measure_best()
        predict(network, training.validation_images, device, "shifted")
    return recorder.names


AUGMENTATION = dataclasses.replace(NO_AUGMENTATION, flip=True, crop_padding=1)
STUDY = dataclasses.replace(AIRBENCH, design="study", hidden_width=8)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
@pytest.mark.parametrize(
    ("network", "options", "augmentation"),
    [
        (STUDY, {}, AUGMENTATION),
        (STUDY, {"schedule": "linear", "weight_decay": 0.1, "label_smoothing": 0.1}, NO_AUGMENTATION),
        (dataclasses.replace(STUDY, batch_norm=False, whitening=False, activation="relu", logit_scale=1.0), {}, AUGMENTATION),
        (dataclasses.replace(AIRBENCH, activation="silu", first_kernel_size=2), {"schedule": "cosine"}, AUGMENTATION),
        (
            AIRBENCH,
            {"image_sizes": (6, 10, 8), "freeze": (0.4,), "weight_decay": 0.1, "label_smoothing": 0.1}
            | {"class_weights": "balanced", "temperature": "validation"},
            AugmentationParams(flip="alternating", crop_padding=2, crop_fill="reflection"),
        ),
    ],
    ids=["study", "study-decay", "study-plain", "airbench", "airbench-all"],
)
def test_no_operation_of_a_training_raises_in_deterministic_mode_on_a_gpu(
    network: NetworkParams, options: dict[str, Any], augmentation: AugmentationParams, optimizer: Any, precision: Any
) -> None:
    params = dataclasses.replace(PARAMS, epochs=2, batch_size=12, optimizer=optimizer, **options)
    found = operations(network, params, augmentation, Device("cpu", precision))
    assert {"convolution_backward", "max_pool2d_with_indices_backward", "nll_loss_backward"} <= found
    assert {name: raising & found for name, raising in RAISING.items() if raising & found} == {}


def test_the_list_is_that_of_the_documentation_in_names_that_pytorch_has() -> None:
    names = set().union(*RAISING.values())
    assert names == {name for name in names if hasattr(torch.ops.aten, name)}
    text = (
        (torch.use_deterministic_algorithms.__doc__ or "")
        .partition("operations will throw a")[2]
        .partition("In addition, several")[0]
    )
    documented = {name.rpartition(".")[2] for name in re.findall(r"\* :\w+:`([\w.]+)`", text)}
    assert {re.sub(r"(?<=Unpool|ionPad)[123]d$", "", name) for name in documented} == set(RAISING)
