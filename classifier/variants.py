"""Variants: differences from params.yaml, from files and from KEY=VALUE, and how they are merged."""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from classifier.params import did_you_mean, flatten, parse_params, parse_yaml, read_yaml
from classifier.runtime.errors import InputError

PARAMS = Path("params.yaml")
VARIANTS = Path("variants")
SOURCES = "data.sources"
NAME_BYTES = 160  # of an experiment's name, to which suffixes are added: file systems take 255

# git help check-ref-format: space, control and some other characters, two dots, @{, a dot or .lock at the end; and for DVC ].
_UNFIT = re.compile(r"(?:[\x00-\x20\x7f~^:?*\[\]\\/]|\.\.+|@\{|\.\Z|\.lock\Z)+")


def variant_names() -> list[str]:
    """Return the names of all variants."""
    return sorted(path.stem for path in VARIANTS.glob("*.yaml"))


def read_variant(name: str) -> Any:
    """Return what differs from params.yaml in a variant; an empty file differs in nothing."""
    if name not in variant_names():
        raise InputError(
            f"no variant {name!r}{did_you_mean(name, variant_names())}; there are {', '.join(variant_names())}; "
            f"a new one is a file {VARIANTS}/NAME.yaml"
        )
    path = VARIANTS / f"{name}.yaml"
    differences = read_yaml(path) or {}
    parse_params(merge(read_yaml(PARAMS), differences), str(path))
    return differences


def parse_override(override: str) -> Any:
    """Turn `section.key=value` into nested dictionaries, the value read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise InputError(f"-S {override}: should be KEY=VALUE, as in train.epochs=3")
    value = parse_yaml(text, f"-S {override}")
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merge(base: Any, differences: Any) -> Any:
    """Return nested dictionaries with the values of `differences` in place of those of `base`."""
    if not (isinstance(base, dict) and isinstance(differences, dict)):
        return differences
    return base | {key: merge(base.get(key), value) for key, value in differences.items()}


def plan(base: Any, names: Sequence[str], overrides: Sequence[str], seeds: Sequence[int] | None) -> dict[str, Any]:
    """Return what differs from the params `base` in each experiment, by its name: that of the variant, or one for each seed.

    An override adds -KEY=VALUE to the name, a seed other than the one that the variant has anyway -seed-N. An override takes
    precedence over the variant, a seed over both.
    """
    experiments = {}
    for variant in names:
        differences = read_variant(variant)
        for override in overrides:
            differences = merge(differences, parse_override(override))
        name = experiment_name(variant, overrides)
        own = parse_params(merge(base, differences), f"variant {name} on the committed {PARAMS}").train.seed
        for seed in [own] if seeds is None else seeds:
            if seed == own:
                experiments[name] = differences
            else:
                changed = merge(differences, {"train": {"seed": seed}})
                parse_params(merge(base, changed), f"--seeds {seed}")
                experiments[f"{name}-seed-{seed}"] = changed
    return experiments


def experiment_name(variant: str, overrides: Sequence[str]) -> str:
    """Return the name of a variant's experiment: with -KEY=VALUE for each override, where possible in a Git reference.

    What a reference cannot hold becomes `-`, and a long name is cut; then a short hash keeps the name unique.
    """
    if not overrides:
        return variant
    full = "-".join([variant, *overrides])
    name = _UNFIT.sub("-", full).encode()[:NAME_BYTES].decode(errors="ignore")
    return name if name == full else f"{name.rstrip('-')}-{sha256(full.encode()).hexdigest()[:7]}"


def edited(committed: Any, workspace: Any) -> dict[str, Any]:
    """Return the committed values, by key, that the workspace changes, without `data.sources`, which decides no result.

    Raises
    ------
    InputError
        When a key was added or removed, which `dvc exp run --set-param` cannot undo.
    """
    before, after = flatten(committed), flatten(workspace)
    if keys := sorted(before.keys() ^ after.keys()):
        raise InputError(f"{PARAMS}: {keys[0]} is {'added' if keys[0] in after else 'removed'}: commit the file first")
    return {key: value for key, value in before.items() if key != SOURCES and json.dumps(value) != json.dumps(after[key])}


def as_override(key: str, value: Any) -> str:
    """Return KEY=VALUE as `dvc exp run --set-param` reads it: with Hydra's grammar, which is not JSON.

    InputError for text that the grammar cannot express.
    """
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and (not text.isprintable() or text == "???"):  # which OmegaConf takes for a missing value
            raise InputError(f"{key}: dvc exp run -S cannot set {text!r}: set it in {PARAMS} and commit the file")
    return f"{key}={_in_hydra(value)}"


def _in_hydra(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydra, value))}]"
    if isinstance(value, str):  # backslashes count only before a quote, the end, and ${, which begins an interpolation
        return "'" + re.sub(r"(\\*)(\$\{|'|\Z)", lambda match: match[1] * 2 + (match[2] and "\\" + match[2]), value) + "'"
    return json.dumps(value)
