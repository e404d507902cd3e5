"""Run a variant as the DVC experiment of its name, in a temporary folder: the workspace stays as it is.

A variant is a file variants/NAME.yaml that holds only what differs from params.yaml.

    python -m tools.variant batchnorm
    python -m tools.variant batchnorm -S train.epochs=2 -S data.name=digits
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from classifier.errors import InputError
from classifier.params import parse_params, parse_yaml, read_yaml

PARAMS = Path("params.yaml")
VARIANTS = Path("variants")


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.variant", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help=f"one of {', '.join(variant_names()) or 'the files in variants/'}")
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="override a value, as in dvc exp run"
    )
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="also put metrics and plots of the experiment there")
    arguments = parser.parse_args()
    try:
        differences = read_variant(arguments.name)
        for override in arguments.set_param:
            differences = merge(differences, parse_override(override))
        parse_params(merge(read_yaml(PARAMS), differences), f"{VARIANTS / arguments.name}.yaml on {PARAMS}")
    except InputError as error:
        sys.exit(f"variant: {error}")
    status = run_experiment(arguments.name, differences)
    if status == 0 and arguments.export:
        export(arguments.name, arguments.export)
    sys.exit(status)


def variant_names() -> list[str]:
    """Return the names of all variants."""
    return sorted(path.stem for path in VARIANTS.glob("*.yaml"))


def read_variant(name: str) -> dict[str, Any]:
    """Return what differs from params.yaml in a variant; an empty file differs in nothing."""
    if name not in variant_names():
        raise InputError(
            f"no variant {name!r}; there are {', '.join(variant_names())}; a new one is a file {VARIANTS}/NAME.yaml"
        )
    path = VARIANTS / f"{name}.yaml"
    differences = read_yaml(path) or {}
    if not isinstance(differences, dict):
        raise InputError(f"{path}: should hold sections of {PARAMS} with the keys that differ, got {differences!r}")
    return differences


def parse_override(override: str) -> dict[str, Any]:
    """Turn `section.key=value` into nested dictionaries, the value read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise InputError(f"-S {override}: should be KEY=VALUE, as in train.epochs=3")
    value = parse_yaml(text, f"-S {override}")
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def merge(base: Any, differences: Any) -> Any:
    """Return nested dictionaries with the values of `differences` in place of those of `base`."""
    if not (isinstance(base, dict) and isinstance(differences, dict)):
        return differences
    return base | {key: merge(base.get(key), value) for key, value in differences.items()}


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, its keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def run_experiment(name: str, differences: dict[str, Any]) -> int:
    """Run the pipeline with these differences as the experiment of this name, and return DVC's exit status.

    An earlier experiment of the name is replaced when this one succeeds. What DVC has in its cache is not computed again.
    """
    overrides = [argument for key, value in flatten(differences).items() for argument in ("-S", f"{key}={json.dumps(value)}")]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--force", "--name", name, *overrides]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(command, env=os.environ | {"PATH": path}, check=False).returncode


def export(name: str, folder: Path) -> None:
    """Put metrics and plots of an experiment into a folder, in place of what is there."""
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=name)
    for part in ("metrics", "plots"):
        shutil.rmtree(folder / part, ignore_errors=True)
        files.get(part, str(folder / part), recursive=True)


if __name__ == "__main__":
    main()
