"""Variants: differences from params.yaml, from files and from KEY=VALUE, and how they are merged."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifier.params import parse_params, parse_yaml, read_yaml
from classifier.runtime.errors import InputError

PARAMS = Path("params.yaml")
VARIANTS = Path("variants")


def variant_names() -> list[str]:
    """Return the names of all variants."""
    return sorted(path.stem for path in VARIANTS.glob("*.yaml"))


def read_variant(name: str) -> Any:
    """Return what differs from params.yaml in a variant; an empty file differs in nothing."""
    if name not in variant_names():
        raise InputError(
            f"no variant {name!r}; there are {', '.join(variant_names())}; a new one is a file {VARIANTS}/NAME.yaml"
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


def plan(names: Sequence[str], overrides: Sequence[str], seeds: Sequence[int] | None) -> dict[str, Any]:
    """Return what differs from params.yaml in each experiment, by its name: NAME, or one for each of the seeds.

    The seed that the variant has anyway is NAME, every other NAME-seed-N. An override KEY=VALUE takes precedence over the
    variant, a seed over both.
    """
    experiments = {}
    for name in names:
        differences = read_variant(name)
        for override in overrides:
            differences = merge(differences, parse_override(override))
        own = parse_params(merge(read_yaml(PARAMS), differences), f"variant {name}").train.seed
        for seed in [own] if seeds is None else seeds:
            if seed == own:
                experiments[name] = differences
            else:
                experiments[f"{name}-seed-{seed}"] = merge(differences, {"train": {"seed": seed}})
    return experiments


def as_override(key: str, value: Any) -> str:
    """Return KEY=VALUE as `dvc exp run --set-param` reads it: with Hydra's grammar, which is not JSON."""
    return f"{key}={_in_hydra(value)}"


def _in_hydra(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydra, value))}]"
    if isinstance(value, str):  # backslashes count only before a quote, the end, and ${, which begins an interpolation
        return "'" + re.sub(r"(\\*)(\$\{|'|\Z)", lambda match: match[1] * 2 + (match[2] and "\\" + match[2]), value) + "'"
    return json.dumps(value)
