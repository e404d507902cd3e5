"""Score the trained model on the test split, which no other stage reads.

reads    models/classifier.pt, data/processed/test.safetensors
writes   metrics/test.json: accuracy with its 95 % interval, loss, precision, recall, F1, calibration
         plots/confusion_matrix.csv: actual, predicted, count
         data/predictions.npz: label and probabilities of every image
         data/mistakes.npz: the images of the most confident mistakes
         data/mistakes.csv: image, file, actual, predicted, confidence of every mistake
params   evaluate, train.device

Everything is computed in float32, whatever the precision of the training was: one model has one score.
"""

from pathlib import Path

from classifier.runtime.stage import stage

MODEL = Path("models/classifier.pt")
TEST = Path("data/processed/test.safetensors")
METRICS = Path("metrics/test.json")
CONFUSION_MATRIX = Path("plots/confusion_matrix.csv")
PREDICTIONS = Path("data/predictions.npz")
MISTAKES = Path("data/mistakes.npz")
MISTAKES_TABLE = Path("data/mistakes.csv")


def main() -> None:
    """Run the stage."""
    with stage("evaluate", __doc__):
        import numpy as np

        from classifier.data.sources import verify_shape
        from classifier.data.split import load_split
        from classifier.networks.device import as_tensor, choose_device
        from classifier.networks.inference import predict
        from classifier.networks.model_file import load_model
        from classifier.params import read_params
        from classifier.results.predictions import Predictions, find_mistakes, mistake_rows, save_mistakes, save_predictions
        from classifier.results.scoring import calibration_error, count_confusions, score
        from classifier.results.table import write_csv, write_json
        from classifier.runtime.console import counted, log
        from classifier.runtime.files import atomic_outputs

        params = read_params(Path("params.yaml"))
        model, test = load_model(MODEL), load_split(TEST)
        verify_shape(params.data, test.images.shape[1:])
        device = choose_device(params.train.device, "float32")
        log(f"evaluate: {counted(len(test), 'test image')} on {device.label} in {device.precision}")
        network = model.build().to(device.name)
        logits = predict(network, as_tensor(test.images), device, params.evaluate.views)
        logits, bins, names = logits.cpu().double(), params.evaluate.calibration_bins, model.dataset.class_names
        probabilities = (logits / model.temperature).softmax(dim=1).numpy()
        metrics = score(test.labels, probabilities, names, bins) | {
            "calibration_error_without_temperature": calibration_error(test.labels, logits.softmax(dim=1).numpy(), bins),
            "temperature": model.temperature,
            "views": params.evaluate.views,
        }
        confusions = count_confusions(test.labels, probabilities, names)
        predictions = Predictions(test.labels, probabilities, np.array(names))
        mistakes = find_mistakes(predictions, test.images)
        with atomic_outputs() as place:
            write_json(place(METRICS), metrics)
            write_csv(place(CONFUSION_MATRIX), ["actual", "predicted", "count"], confusions)
            save_predictions(predictions, place(PREDICTIONS))
            save_mistakes(mistakes, place(MISTAKES))
            rows = mistake_rows(predictions, test.files)
            write_csv(place(MISTAKES_TABLE), ["image", "file", "actual", "predicted", "confidence"], rows)
        log(
            f"evaluate: test accuracy {metrics['accuracy']:.4f} "
            f"(95 % interval {metrics['accuracy_low']:.4f} to {metrics['accuracy_high']:.4f}); "
            f"metrics in {METRICS}, confusion matrix in {CONFUSION_MATRIX}"
        )


if __name__ == "__main__":
    main()
