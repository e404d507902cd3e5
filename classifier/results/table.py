"""Tables and records as CSV and JSON: one place for their number formats."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from classifier.runtime.files import atomic_write


def write_json(path: Path, values: object) -> None:
    """Write values as indented JSON."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV, numbers to six significant digits."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows)
