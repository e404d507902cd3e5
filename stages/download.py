"""Fetch the archive of the data set from the first source that has it, and verify its checksum.

reads    a source of data.sources: a path, a URL or a file of an installed package
writes   data/raw/: the archive as it came, one file
params   data.name, data.sources
"""

from pathlib import Path

from classifier.runtime.stage import stage

RAW = Path("data/raw")


def main() -> None:
    """Run the stage."""
    with stage("download", __doc__):
        from classifier.data.sources import fetch, sources_of
        from classifier.params import read_params
        from classifier.runtime.console import log
        from classifier.runtime.paths import repository_root

        data = read_params(Path("params.yaml")).data
        log(f"download: {data.name} from {' or '.join(source.location for source in sources_of(data))}")
        archive, source = fetch(sources_of(data), RAW, repository_root(Path.cwd()))
        log(f"download: {archive.stat().st_size:,} bytes from {source.location}, checksum right, in {archive}")


if __name__ == "__main__":
    main()
