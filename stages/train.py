"""Train the network and keep the weights of the epoch that does best on the validation split.

reads    data/processed/train.npz, validation.npz, description.json
writes   models/classifier.pt: the weights, and all that is needed to use them
         plots/learning_curve.csv: one row an epoch
         metrics/train.json: the best epoch, and what the training took
params   network, augmentation, train

A training that was stopped goes on from its checkpoint in checkpoints/, and ends with the same bytes.
"""

import time
from dataclasses import asdict
from pathlib import Path

from classifier.runtime.stage import stage

PROCESSED = Path("data/processed")
MODEL = Path("models/classifier.pt")
CURVE = Path("plots/learning_curve.csv")
METRICS = Path("metrics/train.json")


def main() -> None:
    """Run the stage."""
    with stage("train", __doc__):
        import torch
        from torch import Tensor

        from classifier.data.split import load_dataset_info, load_split
        from classifier.networks.build import build_network, fit_whitening, parameter_count
        from classifier.networks.device import choose_device
        from classifier.networks.model_file import Model, save_model
        from classifier.params import flatten, read_params, read_yaml
        from classifier.results.learning_curve import best_epoch, save_curve
        from classifier.results.table import write_json
        from classifier.runtime.console import TrainingBar, log
        from classifier.runtime.files import atomic_outputs
        from classifier.runtime.paths import CODE, checkpoint_file, code_files
        from classifier.training.checkpoints import Checkpoint, fingerprint
        from classifier.training.trainer import Training

        params = read_params(Path("params.yaml"))
        train, validation = load_split(PROCESSED / "train.npz"), load_split(PROCESSED / "validation.npz")
        description = load_dataset_info(PROCESSED / "description.json")
        device = choose_device(params.train.precision)
        shape = train.images.shape[1:]
        network = build_network(params.network, shape, description, params.train.seed)
        fit_whitening(network, torch.from_numpy(train.images))
        parameters = parameter_count(network)
        log(
            f"train: {parameters:,} parameters, {len(train):,} images, {params.train.epochs} epochs "
            f"on {device.label} in {device.precision}"
        )
        training = Training(network, train, validation, params.augmentation, params.train, device)
        settings = flatten({name: asdict(getattr(params, name)) for name in ("network", "augmentation", "train")})
        del settings["train.checkpoint_steps"]
        data = [PROCESSED / name for name in ("train.npz", "validation.npz", "description.json")]
        files = code_files(read_yaml(CODE / "dvc.yaml")["stages"]["train"]["deps"]) | {path.as_posix(): path for path in data}
        checkpoint = Checkpoint(checkpoint_file(), fingerprint(settings | device.record, files))
        start = time.perf_counter()
        if saved := checkpoint.load():
            training.restore(saved["training"])
            start -= saved["seconds"]
            log(
                f"train: resuming from {checkpoint.path}: {len(training.epochs)} of {params.train.epochs} epochs done, and "
                f"{training.epoch_step} of {training.steps_an_epoch} steps of the next"
            )

        def save() -> None:
            checkpoint.save({"training": training.state(), "seconds": time.perf_counter() - start})

        def after_step(images: int, loss: Tensor, accuracy: Tensor) -> None:
            if bar.advance(images):
                bar.show(loss.item(), accuracy.item())
            if training.epoch_step % params.train.checkpoint_steps == 0:
                save()

        done = len(training.epochs) * len(train) + training.epoch_step * params.train.batch_size
        with TrainingBar(params.train.epochs, len(train), done) as bar:
            while len(training.epochs) < params.train.epochs:
                epoch = training.run_epoch(after_step)
                save()
                bar.start_epoch(epoch.epoch + 1)
                log(
                    f"train: epoch {epoch.epoch}/{params.train.epochs}: loss {epoch.train_loss:.3f}, "
                    f"accuracy {epoch.train_accuracy:.4f}; validation loss {epoch.validation_loss:.3f}, "
                    f"accuracy {epoch.validation_accuracy:.4f}"
                )
        seconds = time.perf_counter() - start

        best = best_epoch(training.epochs)
        metrics = {
            "best_epoch": best.epoch,
            "validation_accuracy": best.validation_accuracy,
            "validation_loss": best.validation_loss,
            "parameters": parameters,
            "seconds": round(seconds, 1),
            "images_per_second": round(len(train) * params.train.epochs / seconds),
            **device.record,
        }
        with atomic_outputs() as place:
            save_model(Model(training.best_weights, params.network, shape, description), place(MODEL))
            save_curve(training.epochs, place(CURVE))
            write_json(place(METRICS), metrics)
        checkpoint.remove()
        log(
            f"train: best epoch {best.epoch} of {params.train.epochs}, validation accuracy {best.validation_accuracy:.4f}, "
            f"{seconds:.0f} s; model in {MODEL}, curve in {CURVE}, metrics in {METRICS}"
        )


if __name__ == "__main__":
    main()
