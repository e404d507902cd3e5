"""Divide the images into training, validation and test split, and measure the training split.

reads    data/raw/
writes   data/processed/train.safetensors, validation.safetensors, test.safetensors: images uint8 [N, H, W, C], labels int64 [N]
         data/processed/dataset.json: class names, mean and standard deviation of the training images by channel, fit
params   data.duplicates, data.fit, data.image_size, data.layout, data.name, data.seed,
         data.test_fraction, data.unreadable, data.validation_fraction
"""

from pathlib import Path

from classifier.runtime.stage import stage

RAW = Path("data/raw")
PROCESSED = Path("data/processed")


def main() -> None:
    """Run the stage."""
    with stage("preprocess", __doc__):
        from classifier.data.image_folder import preprocess_folder
        from classifier.data.partition import channel_statistics, stratify
        from classifier.data.readers import READERS
        from classifier.data.sources import verify
        from classifier.data.split import DatasetInfo, save_dataset_info, save_split
        from classifier.params import read_params
        from classifier.runtime.console import log
        from classifier.runtime.files import atomic_outputs

        data = read_params(Path("params.yaml")).data
        if data.name == "folder":
            log(f"preprocess: images of {data.folder}, {data.image_size}x{data.image_size} pixels, {data.fit}")
        else:
            log(f"preprocess: {data.name}, {data.validation_fraction:g} of the training images held out for validation")
        with atomic_outputs() as place:
            paths = {name: place(PROCESSED / f"{name}.safetensors") for name in ("train", "validation", "test")}
            if data.name == "folder":
                info, counts = preprocess_folder(RAW, data, paths)
            else:
                verify(data.name, RAW)
                images = READERS[data.name](RAW)
                train, validation = stratify(images.train, data.validation_fraction, data.seed)
                splits = (train, validation, images.test)
                info, counts = DatasetInfo(images.class_names, *channel_statistics(train.images)), list(map(len, splits))
                for path, split in zip(paths.values(), splits, strict=True):
                    save_split(split, path)
            save_dataset_info(info, place(PROCESSED / "dataset.json"))
        log(
            f"preprocess: {counts[0]:,} training, {counts[1]:,} validation and {counts[2]:,} test images in "
            f"{PROCESSED}; mean {_rounded(info.mean)}, standard deviation {_rounded(info.std)}"
        )


def _rounded(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:.4f}" for value in values)


if __name__ == "__main__":
    main()
