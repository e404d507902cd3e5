"""Draw the pictures of a training: learning curve, confusion matrix, scores of each class, most confident mistakes.

reads    plots/learning_curve.csv, data/predictions.npz
writes   plots/learning_curve.png, confusion_matrix.png, class_scores.png, mistakes.png
params   plot
"""

from pathlib import Path

from classifier.console import say
from classifier.figures import confident_mistakes, confusion_matrix, learning_curve, scores_by_class
from classifier.files import replacing
from classifier.learning_curve import load_curve
from classifier.params import read_params
from classifier.predictions import load_predictions
from stages.running import stage

CURVE = Path("plots/learning_curve.csv")
PREDICTIONS = Path("data/predictions.npz")
PLOTS = Path("plots")


def main() -> None:
    """Run the stage."""
    with stage("plot", __doc__):
        params = read_params(Path("params.yaml")).plot
        curve, predictions = load_curve(CURVE), load_predictions(PREDICTIONS)
        say(f"plot: {len(curve)} epochs and {len(predictions.labels):,} predictions")
        figures = {
            "learning_curve": learning_curve(curve),
            "confusion_matrix": confusion_matrix(predictions, params.confusions),
            "class_scores": scores_by_class(predictions),
            "mistakes": confident_mistakes(predictions, params.mistakes),
        }
        for name, figure in figures.items():
            with replacing(PLOTS / f"{name}.png") as temporary:
                figure.savefig(temporary, dpi=params.dots_per_inch)
        say(f"plot: {', '.join(f'{name}.png' for name in figures)} in {PLOTS}")


if __name__ == "__main__":
    main()
