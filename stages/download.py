"""Fetch the files of the data set from the first places that have them, and verify each; or pack a folder of images.

reads    the places of data.sources in params.yaml, then those that classifier/data/registry.py lists; or data.folder
writes   data/raw/: exactly the files that classifier/data/registry.py lists; or the pack of the folder and its manifest
params   data.name, data.folder
"""

from pathlib import Path

from classifier.runtime.stage import stage

RAW = Path("data/raw")


def main() -> None:
    """Run the stage."""
    with stage("download", __doc__):
        from classifier.data.image_pack import download_folder
        from classifier.data.sources import fetch, keep_foreign_files
        from classifier.params import read_params
        from classifier.runtime.console import log
        from classifier.runtime.files import atomic_outputs
        from classifier.runtime.paths import repository_root

        data = read_params(Path("params.yaml")).data
        root = repository_root(Path.cwd())
        log(f"download: {data.name}")
        keep_foreign_files(data.name)
        if data.name == "folder":
            download_folder(data, root, RAW)
            return
        with atomic_outputs() as place:
            places = fetch(data.name, data.sources, place(RAW), root)
        log(f"download: verified all files of {data.name} from {', '.join(places)}, in {RAW}")


if __name__ == "__main__":
    main()
