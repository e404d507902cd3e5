"""Divide the images into training, validation and test split, and measure the training split.

reads    data/raw/
writes   data/processed/train.safetensors, validation.safetensors, test.safetensors: images uint8 [N, H, W, C], labels int64 [N]
         data/processed/dataset.json: class names, mean and standard deviation of the training images by channel
params   data.name, data.seed, data.validation_fraction
"""

from pathlib import Path

from classifier.runtime.stage import stage

RAW = Path("data/raw")
PROCESSED = Path("data/processed")


def main() -> None:
    """Run the stage."""
    with stage("preprocess", __doc__):
        from classifier.data.partition import channel_statistics, stratify
        from classifier.data.readers import READERS
        from classifier.data.sources import verify
        from classifier.data.split import DatasetInfo, save_dataset_info, save_split
        from classifier.params import read_params
        from classifier.runtime.console import log
        from classifier.runtime.files import atomic_outputs

        data = read_params(Path("params.yaml")).data
        log(f"preprocess: {data.name}, {data.validation_fraction:g} of the training images held out for validation")
        verify(data.name, RAW)
        images = READERS[data.name](RAW)
        train, validation = stratify(images.train, data.validation_fraction, data.seed)
        mean, std = channel_statistics(train.images)
        with atomic_outputs() as place:
            for name, split in {"train": train, "validation": validation, "test": images.test}.items():
                save_split(split, place(PROCESSED / f"{name}.safetensors"))
            save_dataset_info(DatasetInfo(images.class_names, mean, std), place(PROCESSED / "dataset.json"))
        log(
            f"preprocess: {len(train):,} training, {len(validation):,} validation and {len(images.test):,} test images in "
            f"{PROCESSED}; mean {_rounded(mean)}, standard deviation {_rounded(std)}"
        )


def _rounded(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:.4f}" for value in values)


if __name__ == "__main__":
    main()
