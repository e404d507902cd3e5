"""What pretrained weights are worth with few images: test accuracy from scratch, and starting from a model file.

Training and validation images are the first N of each class in a random order that the seed decides, the same ones for both
networks. The network is that of the model file, and everything else is as in params.yaml. Prints a line of JSON for
each, and each accuracy to stderr.

  python -m benchmarks.transfer data/archives/accurate.pt --images 20 --seeds 3 -S train.epochs=20 -S train.schedule=cosine
"""

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

import numpy as np

from classifier.data.partition import channel_statistics
from classifier.data.split import DatasetInfo, Split, load_dataset_info, load_split
from classifier.networks.build import build_network, fit_whitening
from classifier.networks.device import Device, as_tensor, choose_device
from classifier.networks.inference import predict
from classifier.networks.model_file import load_model
from classifier.networks.pretrained import Pretrained, read_weights
from classifier.params import NetworkParams, Params, parse_params, read_yaml
from classifier.training.trainer import Training
from classifier.variants import PARAMS, merge, parse_override


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transfer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a model file of this program")
    parser.add_argument("--data", type=Path, default=Path("data/processed"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--images", type=int, default=20, metavar="N", help="of each class (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="number of runs of each (default: %(default)s)")
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="override a value")
    arguments = parser.parse_args()
    values = read_yaml(PARAMS)
    for override in arguments.set_param:
        values = merge(values, parse_override(override))
    params = parse_params(values, "the params")
    settings = load_model(arguments.model).network
    device = choose_device(params.train.device, params.train.precision)
    splits = [load_split(arguments.data / f"{name}.safetensors") for name in ("train", "validation", "test")]
    names = load_dataset_info(arguments.data / "dataset.json").class_names
    accuracies: dict[str, list[float]] = {"scratch": [], "pretrained": []}
    for seed in range(arguments.seeds):
        train, validation = (few(split, arguments.images, seed) for split in splits[:2])
        for start, found in accuracies.items():
            pretrained = read_weights(arguments.model, str(arguments.model), settings.design) if start == "pretrained" else None
            with_seed = dataclasses.replace(params, train=dataclasses.replace(params.train, seed=seed))
            found.append(accuracy((train, validation, splits[2]), names, settings, with_seed, device, pretrained))
            print(f"seed {seed}, {start}: test accuracy {found[-1]:.4f}", file=sys.stderr, flush=True)
    for start, found in accuracies.items():
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(json.dumps({"start": start, "mean": statistics.mean(found), "standard_deviation": spread, "accuracies": found}))


def few(split: Split, images: int, seed: int) -> Split:
    """Return so many images of each class."""
    order = np.random.default_rng(seed).permutation(len(split))
    chosen = [order[split.labels[order] == label][:images] for label in np.unique(split.labels)]
    return split.take(np.sort(np.concatenate(chosen)))


def accuracy(
    splits: tuple[Split, Split, Split],
    names: tuple[str, ...],
    settings: NetworkParams,
    params: Params,
    device: Device,
    pretrained: Pretrained | None,
) -> float:
    """Return the test accuracy of the epoch that is best on validation: splits are training, validation and test."""
    train, validation, test = splits
    shape = train.images.shape[1:]
    mean, std = channel_statistics(train.images)
    if pretrained:
        pretrained.check(settings, shape[2])
        mean, std = pretrained.mean, pretrained.std
    network = build_network(settings, shape, DatasetInfo(names, mean, std), params.train.seed)
    fit_whitening(network, as_tensor(train.images))
    if pretrained:
        pretrained.load_into(network, names)
    training = Training(network, train, validation, params.augmentation, params.train, device)
    for _ in range(params.train.epochs):
        training.run_epoch(lambda _: None)
    network.load_state_dict(training.best_weights)
    logits = predict(network, as_tensor(test.images), device.in_float32())
    return float((logits.argmax(dim=1).cpu().numpy() == test.labels).mean())


if __name__ == "__main__":
    main()
