"""Model card: what a trained model is, how good it is, how it was made and where its limits are, as a page in Markdown.

Its parts follow Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.params import flatten

RECIPE = ("data.", "network.", "augmentation.", "train.", "evaluate.")  # params that belong to the recipe


def model_card(
    name: str,
    lock: Mapping[str, Any],
    train: Mapping[str, Any],
    test: Mapping[str, Any],
    confusions: Sequence[tuple[str, str, int]],
    version: str,
    command: str,
) -> str:
    """Return the card of a revision.

    Parameters
    ----------
    name
        Of the revision, for the title.
    lock
        Its dvc.lock: the params with which the results were made, and the checksums of data and model.
    train, test
        Its metrics/train.json and metrics/test.json. What older versions of the program did not write is left out.
    confusions
        Actual class, predicted class and number of test images, for every pair.
    version
        Of the program.
    command
        That trains the same model.
    """
    used: dict[str, Any] = {}
    for stage in lock["stages"].values():
        used |= flatten(stage.get("params", {}).get("params.yaml", {}))
    outputs = {out["path"]: out for stage in lock["stages"].values() for out in stage["outs"]}
    images = {
        "training": train.get("training_images"),
        "validation": train.get("validation_images"),
        "test": test["images"],
    }
    classes = list(dict.fromkeys(actual for actual, _, _ in confusions))
    data = {
        "data set": used.get("data.name", "-"),
        "classes": f"{len(classes):,}",
        **{f"{split} images": f"{number:,}" for split, number in images.items() if number is not None},
    }
    scores = {
        "accuracy": f"{test['accuracy']:.1%} (95 % interval {test['accuracy_low']:.1%} to {test['accuracy_high']:.1%})",
        "balanced accuracy (mean over classes)": _share(test, "balanced_accuracy"),
        "accuracy of the two most likely classes": _share(test, "top_2_accuracy"),
        "loss (cross-entropy)": f"{test['loss']:.3f}",
        "calibration error": _share(test, "calibration_error"),
        "calibration error without temperature": _share(test, "calibration_error_without_temperature"),
        "temperature": f"{test.get('temperature', 1):.3g}",
        "views of each image": test.get("views", "plain"),
    }
    training = {
        "best epoch": train["best_epoch"],
        "training accuracy": _share(train, "training_accuracy"),
        "validation accuracy": _share(train, "validation_accuracy"),
        "parameters": f"{train['parameters']:,}",
    }
    versions = {
        "program": version,
        "PyTorch": train.get("torch", "-"),
        "device": train.get("device", "-"),
        "processor": f"{train.get('processor', '-')}, {train.get('threads', '-')} threads, {train.get('precision', '-')}",
        "MD5 of the model file": outputs["models/classifier.pt"]["md5"],
        "MD5 of the data": outputs["data/raw"]["md5"],
    }
    recipe = {key: json.dumps(value) for key, value in sorted(used.items()) if key.startswith(RECIPE)}
    return f"""# Model card: {_plain(name)}

A classifier of images: it gives each image a probability for every one of {len(classes):,} classes.

## Data

{_table(("", ""), data.items())}

The test images were used for the scores below and for nothing else. The epoch was chosen on the validation images.

## Scores on the test images

{_table(("", ""), [(key, value) for key, value in scores.items() if value != "-"])}

## Scores per class

{_table(("class", "test images", "precision", "recall", "F1"), _per_class(classes, confusions))}

## Limits

- It knows these {len(classes):,} classes alone, and gives every image one of them, whatever the image shows.
- The scores hold for images like those of the data set. Photos of another kind, size or origin are classified worse, by how
  much was not measured.
- Images are scaled to a small square: what can be told from details alone is lost.
- A probability is as reliable as the calibration error says, on average over images like those of the data set.
- Whether the data set is balanced or fair to what it shows was not examined.

## Training

{_table(("", ""), [(key, value) for key, value in training.items() if value != "-"])}

{_table(("param", "value"), recipe.items())}

## Versions

{_table(("", ""), versions.items())}

## Reproduce

```sh
{command}
```
"""


def _share(values: Mapping[str, Any], key: str) -> str:
    return f"{values[key]:.1%}" if key in values else "-"


def _per_class(classes: Sequence[str], confusions: Sequence[tuple[str, str, int]]) -> list[tuple[str, ...]]:
    """Return the rows of the table; a score is `-` for a class that has no images or is never predicted."""
    right, actual, predicted = (dict.fromkeys(classes, 0) for _ in range(3))
    for of, to, count in confusions:
        actual[of] += count
        predicted[to] += count
        right[of] += count if of == to else 0
    rows = []
    for name in classes:
        ratios = (
            (right[name], predicted[name]),
            (right[name], actual[name]),
            (2 * right[name], actual[name] + predicted[name]),
        )
        scores = (f"{numerator / denominator:.1%}" if denominator else "-" for numerator, denominator in ratios)
        rows.append((name, f"{actual[name]:,}", *scores))
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]] | Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _plain(value: object) -> str:
    """Return a value as text that Markdown shows as it is: names of classes may contain anything."""
    text = " ".join(str(value).split())
    for character in "\\|`*<[#":
        text = text.replace(character, f"\\{character}")
    return text
