"""Train the network and keep the weights of the epoch that does best on the validation split.

reads    data/processed/train.safetensors, validation.safetensors, dataset.json; models/pretrained/
writes   models/classifier.pt: the weights, and everything that is needed to use them
         plots/learning_curve.csv: one row per epoch
         metrics/train.json: scores of the best epoch, duration, hardware
params   network, augmentation, train

A run that was stopped resumes from its checkpoint in checkpoints/, and ends with the same bytes.
"""

from dataclasses import asdict, replace
from pathlib import Path

from classifier.runtime.stage import deferred_signals, stage

PROCESSED = Path("data/processed")
TRAIN, VALIDATION, DATASET = (PROCESSED / name for name in ("train.safetensors", "validation.safetensors", "dataset.json"))
PRETRAINED = Path("models/pretrained")
MODEL = Path("models/classifier.pt")
CURVE = Path("plots/learning_curve.csv")
METRICS = Path("metrics/train.json")


def main() -> None:
    """Run the stage."""
    with stage("train", __doc__):
        from classifier.runtime.load import Load

        load = Load()  # before PyTorch is imported

        from classifier.data.sources import verify_shape
        from classifier.data.split import load_dataset_info, load_split
        from classifier.networks.build import build_network, fit_whitening, parameter_count
        from classifier.networks.device import as_tensor, choose_device
        from classifier.networks.model_file import Model, save_model
        from classifier.networks.pretrained import NONE, SOURCE, load_pretrained
        from classifier.params import flatten, read_params, read_yaml
        from classifier.results.learning_curve import best_epoch, save_curve
        from classifier.results.table import write_json
        from classifier.runtime.console import counted, log, log_curve
        from classifier.runtime.files import atomic_outputs
        from classifier.runtime.paths import CODE, checkpoint_file, code_files
        from classifier.training.checkpoints import Checkpoint, fingerprint
        from classifier.training.loss import imbalance
        from classifier.training.trainer import Training

        params = read_params(Path("params.yaml"))
        train, validation, dataset = load_split(TRAIN), load_split(VALIDATION), load_dataset_info(DATASET)
        device = choose_device(params.train.device, params.train.precision)
        shape, epochs = train.images.shape[1:], params.train.epochs
        verify_shape(params.data, shape)
        pretrained = load_pretrained(params.network, PRETRAINED)
        if pretrained:
            pretrained.check(params.network, shape[2])
            dataset = replace(dataset, mean=pretrained.mean, std=pretrained.std)
        network = build_network(params.network, shape, dataset, params.train.seed)
        fit_whitening(network, as_tensor(train.images))
        if pretrained:
            kept = pretrained.load_into(network, dataset.class_names)
            log(f"train: starting from {params.network.pretrained}, with {'its' if kept else 'a new'} last layer")
        parameters = parameter_count(network)
        log(
            f"train: {counted(parameters, 'parameter')}, {counted(len(train), 'image')}, {counted(epochs, 'epoch')} "
            f"on {device.label} in {device.precision}"
        )
        if line := imbalance(train.labels, dataset.class_names):
            log(f"train: {line}: see train.class_weights in params.yaml and balanced_accuracy in metrics/test.json")
        training = Training(network, train, validation, params.augmentation, params.train, device)

        def current() -> dict[str, str]:
            """Return the fingerprint of the params, the code and the data as they are now."""
            now = read_params(Path("params.yaml"))
            settings = flatten({name: asdict(getattr(now, name)) for name in ("network", "augmentation", "train")})
            files = code_files(read_yaml(CODE / "dvc.yaml")["stages"]["train"]["deps"])
            inputs = [TRAIN, VALIDATION, DATASET, *([PRETRAINED / SOURCE] if now.network.pretrained != NONE else [])]
            files |= {path.as_posix(): path for path in inputs}
            return fingerprint(settings | device.record, files)

        checkpoint = Checkpoint(checkpoint_file(), current())
        if state := checkpoint.load():
            training.restore(state)
            training.started -= load.seconds_of_restart()
            log(
                f"train: resuming from {checkpoint.path}: {len(training.epochs)} of {counted(epochs, 'epoch')} done, "
                f"and {training.epoch_step} of {counted(training.steps_per_epoch, 'step')} of the next"
            )
        with deferred_signals() as stop_requested:
            training.run(checkpoint, stop_requested, load)
        checkpoint.check(current())
        best, done, seconds = best_epoch(training.epochs), len(training.epochs), training.seconds
        scores, temperature = training.measure_best()
        metrics = {
            "best_epoch": best.epoch,
            **scores,
            "training_images": len(train),
            "validation_images": len(validation),
            "parameters": parameters,
            "seconds": round(seconds, 1),
            "images_per_second": round(len(train) * done / seconds),
            **device.record,
        }
        with atomic_outputs() as place:
            save_model(Model(training.best_weights, params.network, shape, dataset, temperature), place(MODEL))
            save_curve(training.epochs, place(CURVE))
            write_json(place(METRICS), metrics)
        checkpoint.remove()
        log_curve("train: training accuracy  ", [epoch.train_accuracy for epoch in training.epochs])
        log_curve("train: validation accuracy", [epoch.validation_accuracy for epoch in training.epochs])
        log(
            f"train: best epoch {best.epoch} of {done}, validation accuracy {metrics['validation_accuracy']:.4f}, "
            f"{'' if temperature == 1 else f'temperature {temperature:.3f}, '}{seconds:.0f} s; "
            f"model in {MODEL}, curve in {CURVE}, metrics in {METRICS}"
        )


if __name__ == "__main__":
    main()
