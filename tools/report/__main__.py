"""Write a report: one HTML file with the results of revisions, that opens by double click and needs no network.

A revision is an experiment, or else a tag, branch or commit, or `workspace`, the default; a pattern such as
'augmented-seed-*' stands for the experiments that it matches. Revisions that differ only in their seed become one row.

  python -m tools.report
  python -m tools.report initial batchnorm augmented
  python -m tools.report 'augmented*' --title "Augmentation" --note note.txt --output report-augmented
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, check_folder
from tools.compare import expand
from tools.experiments import WORKSPACE
from tools.report.page import Content, content
from tools.report.pictures import MOST
from tools.report.revision import Revision, arrange, load

SIZE = 5.0  # MB


def main(command: Sequence[str] | None = None) -> None:
    """Run the tool with the given command line, by default that of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "revisions",
        nargs="*",
        default=[WORKSPACE],
        metavar="REVISION",
        help="experiment, tag, branch, commit, pattern or workspace",
    )
    parser.add_argument("--existing", action="store_true", help="leave out revisions whose results are not here")
    parser.add_argument("--title", default="", help="of the page")
    parser.add_argument("--note", type=Path, metavar="FILE", help="a text to show below the title")
    parser.add_argument(
        "--size", type=float, default=SIZE, metavar="MB", help=f"leave out pictures beyond that size (default: {SIZE:g})"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("report"), metavar="FOLDER", help="where to write (default: report/)"
    )
    arguments = parser.parse_args(command)
    if not arguments.size > 0:
        raise InputError(f"--size {arguments.size:g}: should be more than 0 MB")
    check_folder(arguments.output)
    note = read_note(arguments.note) if arguments.note else ""
    revisions = load_all(arguments.revisions, existing=arguments.existing)
    try:
        command_line = f"python -m tools.report {shlex.join(each.name for each in revisions)}"
        page = content(arrange(revisions), arguments.title, note, command_line)
    except KeyError as error:
        lacking = f"the params or metrics of a revision lack {error}"
        raise InputError(f"{lacking}: another version of this program wrote them") from error
    text = fitting(page, arguments.size)
    path = arguments.output / "index.html"
    with atomic_write(path) as temporary:
        temporary.write_bytes(text)
    print(f"report: {path}, {len(text) / 1e6:.2f} MB")


def load_all(names: Sequence[str], *, existing: bool) -> list[Revision]:
    """Return the revisions of these names and patterns; with `existing`, those whose results are here."""
    revisions: dict[str, Revision] = {}
    reasons = []
    for name in names:
        try:
            revisions |= {each: load(each) for each in expand([name]) if each not in revisions}
        except InputError as error:
            if not existing:
                raise
            if "*" not in name:
                reasons.append(str(error))
    if not revisions:
        raise InputError(f"none of the revisions has results here: {'; '.join(reasons)}")
    for reason in reasons:
        print(f"report: left out: {reason}")
    return list(revisions.values())


def read_note(path: Path) -> str:
    """Return the text of the note; InputError where it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8: {error}") from None


def fitting(page: Content, megabytes: float) -> bytes:
    """Return the page with as many pictures as its size allows."""
    pictures = len(page.album.images)
    text = encode(page.render())
    without = 0
    while len(text) > megabytes * 1e6 and pictures:
        without = without or len(encode(page.render(pictures=0)))
        room = max(0.0, (megabytes * 1e6 - without) / max(1, len(text) - without))
        pictures = min(pictures - 1, int(pictures * min(room, 0.98)))
        text = encode(page.render(pictures))
    if left_out := len(page.album.images) - pictures:
        print(f"report: {left_out} of {min(MOST, len(page.album.images))} pictures are left out: --size {megabytes:g} MB")
    if len(text) > megabytes * 1e6:
        print(f"report: larger than --size {megabytes:g} MB without any picture; fewer revisions make it smaller")
    return text


def encode(text: str) -> bytes:
    """Return the page in UTF-8; a file name may have bytes that are no text."""
    return text.encode("utf-8", errors="replace")


if __name__ == "__main__":
    main()
