"""Print the experiments on this commit: their results, and what differs from the params of the commit.

python -m tools.table
"""

import argparse
import json
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.params import check_mapping, flatten, read_yaml
from classifier.results.comparison import PARAMS, outdated
from tools.experiments import all_experiments, dvc
from tools.preflight import check_commit, repair_references

WIDTH = 120
HASH = re.compile(r"[0-9a-f]{40}")  # what DVC names the commit where it has neither branch nor tag
SCORES = {  # the metric of each column, and how it is printed
    "test": ("metrics/test.json", "accuracy", ".1%"),
    "validation": ("metrics/train.json", "validation_accuracy", ".1%"),
    "training": ("metrics/train.json", "training_accuracy", ".1%"),
    "epoch": ("metrics/train.json", "best_epoch", ""),
    "seconds": ("metrics/train.json", "seconds", ".0f"),
}


def main() -> None:
    """Run the tool."""
    argparse.ArgumentParser(
        prog="python -m tools.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    for line in repair_references():
        print(f"table: {line}")
    check_commit()
    shown = json.loads(dvc("exp", "show", "--json"))
    print("\n".join(table(shown)))
    if elsewhere := len(all_experiments()) - sum(len(row["experiments"] or []) for row in shown):
        print(f"\n{elsewhere} more on other commits: dvc exp list --all-commits")
    if Path("dvc.lock").exists():
        lock, params = (check_mapping(read_yaml(Path(name)), name) for name in ("dvc.lock", PARAMS))
        if keys := outdated(lock, params):
            print(f"\nworkspace: {PARAMS} has other values than the results: {', '.join(keys)}; run dvc repro")


def table(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table for what `dvc exp show --json` lists: the workspace, the commit and its experiments."""
    names = [row["name"] or row["rev"] for row in shown]
    rows = {name[:7] if HASH.fullmatch(name) else name: row["data"] for name, row in zip(names, shown, strict=True)}
    revisions = [experiment["revs"][0] for row in shown for experiment in row["experiments"] or []]
    rows |= {f"  {name}": data for name, data in sorted((each["name"] or each["rev"][:7], each["data"]) for each in revisions)}
    params = {name: flatten((data or {}).get("params", {}).get(PARAMS, {}).get("data") or {}) for name, data in rows.items()}
    base = params[list(rows)[min(1, len(rows) - 1)]]
    short = Counter(key.rpartition(".")[2] for key in base)
    cells = [["experiment", *SCORES, "differs in"]]
    for name, data in rows.items():
        differences = [
            f"{key if short[key.rpartition('.')[2]] > 1 else key.rpartition('.')[2]}={json.dumps(value)}"
            for key, value in params[name].items()
            if key != "data.sources" and value != base.get(key)
        ]
        cells.append([name, *(score(data or {}, *place) for place in SCORES.values()), " ".join(differences)])
    *widths, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    lines = []
    for name, *scores, differs in cells:
        line = f"{name:{widths[0]}}  " + "".join(f"{text:>{width}}  " for text, width in zip(scores, widths[1:], strict=True))
        width = max(WIDTH, len(line) + 40)
        wrapped = textwrap.wrap(differs, width - len(line), break_long_words=False, break_on_hyphens=False) or [""]
        lines += [(line + wrapped[0]).rstrip(), *(" " * len(line) + more for more in wrapped[1:])]
    return lines


def score(data: Mapping[str, Any], file: str, key: str, form: str) -> str:
    """Return a metric as text, `-` where there is none."""
    value = ((data.get("metrics") or {}).get(file, {}).get("data") or {}).get(key)
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main()
