"""What a person sees of long work: lines that appear at once, and progress bars on a terminal."""

import sys
from typing import Never

from tqdm import tqdm


def log(line: str) -> None:
    """Print a line at once, above a progress bar if there is one."""
    tqdm.write(line)
    sys.stdout.flush()


def progress_bar(total: int, description: str, unit: str, done: int = 0) -> "tqdm[Never]":
    """Make a progress bar on standard error, which shows itself on a terminal only and starts at `done`."""
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit=unit,
        unit_scale=True,
        disable=not sys.stderr.isatty(),
        leave=False,
        dynamic_ncols=True,
    )
