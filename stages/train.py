"""Train the network and keep the weights of the epoch that does best on the validation split.

reads    data/processed/train.npz, validation.npz, description.json
writes   models/classifier.pt: the weights, and all that is needed to use them
         plots/learning_curve.csv: one row an epoch
         metrics/train.json: the best epoch, and what the training took
params   network, augmentation, train
"""

import time
from pathlib import Path

import torch

from classifier.console import say
from classifier.datasets import load_split
from classifier.description import load_description
from classifier.device import choose_device
from classifier.files import write_json
from classifier.learning_curve import best_epoch, save_curve
from classifier.model_file import Model, save_model
from classifier.networks import build_network, parameter_count, whiten
from classifier.params import read_params
from classifier.progress import TrainingBar
from classifier.training import Training
from stages.running import stage

PROCESSED = Path("data/processed")
MODEL = Path("models/classifier.pt")
CURVE = Path("plots/learning_curve.csv")
METRICS = Path("metrics/train.json")


def main() -> None:
    """Run the stage."""
    with stage("train", __doc__):
        params = read_params(Path("params.yaml"))
        train, validation = load_split(PROCESSED / "train.npz"), load_split(PROCESSED / "validation.npz")
        description = load_description(PROCESSED / "description.json")
        device = choose_device(params.train.precision)
        shape = train.images.shape[1:]
        network = build_network(params.network, shape, description, params.train.seed)
        whiten(network, torch.from_numpy(train.images))
        say(
            f"train: {parameter_count(network):,} parameters, {len(train):,} images, {params.train.epochs} epochs "
            f"on {device.label} in {device.precision}"
        )
        training = Training(network, train, validation, params.augmentation, params.train, device)
        start = time.perf_counter()
        with TrainingBar("train", params.train.epochs, len(train)) as bar:
            for _ in range(params.train.epochs):
                bar.show(training.run_epoch(bar.step))
        seconds = time.perf_counter() - start

        best = best_epoch(training.epochs)
        save_model(Model(training.best_weights, params.network, shape, description), MODEL)
        save_curve(training.epochs, CURVE)
        write_json(
            METRICS,
            {
                "best_epoch": best.epoch,
                "validation_accuracy": best.validation_accuracy,
                "validation_loss": best.validation_loss,
                "parameters": parameter_count(network),
                "seconds": round(seconds, 1),
                "images_per_second": round(len(train) * params.train.epochs / seconds),
                "device": device.label,
                "precision": device.precision,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
        )
        say(
            f"train: best epoch {best.epoch} of {params.train.epochs}, validation accuracy {best.validation_accuracy:.4f}, "
            f"{seconds:.0f} s; model in {MODEL}, curve in {CURVE}, metrics in {METRICS}"
        )


if __name__ == "__main__":
    main()
