"""Draw the pictures of the results: learning curve, confusion matrix, scores of each class, most confident mistakes.

reads    plots/learning_curve.csv, data/predictions.npz, data/mistakes.npz
writes   plots/learning_curve.png, confusion_matrix.png, class_scores.png, mistakes.png
params   plot
"""

from pathlib import Path

from classifier.runtime.stage import stage

CURVE = Path("plots/learning_curve.csv")
PREDICTIONS = Path("data/predictions.npz")
MISTAKES = Path("data/mistakes.npz")
PLOTS = Path("plots")


def main() -> None:
    """Run the stage."""
    with stage("plot", __doc__):
        from classifier.figures.class_scores import class_scores_figure
        from classifier.figures.confusion_matrix import confusion_matrix_figure
        from classifier.figures.learning_curve import learning_curve_figure
        from classifier.figures.mistakes import mistakes_figure
        from classifier.figures.style import save_figure
        from classifier.params import read_params
        from classifier.results.learning_curve import load_curve
        from classifier.results.predictions import load_mistakes, load_predictions
        from classifier.runtime.console import counted, log
        from classifier.runtime.files import atomic_outputs

        params = read_params(Path("params.yaml")).plot
        curve, predictions, mistakes = load_curve(CURVE), load_predictions(PREDICTIONS), load_mistakes(MISTAKES)
        log(f"plot: {counted(len(curve), 'epoch')} and {counted(len(predictions.labels), 'prediction')}")
        figures = {
            "learning_curve": lambda: learning_curve_figure(curve),
            "confusion_matrix": lambda: confusion_matrix_figure(predictions, params.confusions),
            "class_scores": lambda: class_scores_figure(predictions),
            "mistakes": lambda: mistakes_figure(predictions, mistakes, params.mistakes),
        }
        with atomic_outputs() as place:
            for name, draw in figures.items():
                save_figure(place(PLOTS / f"{name}.png"), params.dots_per_inch, draw)
        log(f"plot: {', '.join(f'{name}.png' for name in figures)} in {PLOTS}")


if __name__ == "__main__":
    main()
