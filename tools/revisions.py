"""Files of a revision: of an experiment, or else of a tag, branch or commit, or of the workspace."""

from collections.abc import Sequence
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError

from classifier.params import did_you_mean
from classifier.runtime.errors import InputError
from tools import experiments
from tools.model_card import reproducing_command


def fetch(revision: str, paths: Sequence[str], folder: Path, optional: Sequence[str] = ()) -> None:
    """Copy files of a revision into a folder, from Git and from DVC's cache or remote.

    Parameters
    ----------
    paths, optional
        From the root of the project, as below `folder`. Those of `optional` may be missing.

    Raises
    ------
    InputError
        When there is no such revision, or one of `paths` is in none of these places.
    """
    experiment = None if revision == experiments.WORKSPACE else experiments.find(revision)
    commit = experiment.commit if experiment else None if revision == experiments.WORKSPACE else revision
    try:
        files = DVCFileSystem(rev=commit, subrepos=True)
        prefix = experiments.git("rev-parse", "--show-prefix") if commit else ""
        for path in (*paths, *optional):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                files.get_file(prefix + path, str(target))
            except FileNotFoundError:
                if path in paths:
                    raise
                target.unlink(missing_ok=True)
    except RevError:
        raise InputError(f"{revision}: no such experiment, tag, branch or commit{known_experiments(revision)}") from None
    except FileNotFoundError as error:
        command = reproducing_command(revision, experiment=bool(experiment)).replace("\n", "; ")
        raise InputError(
            f"{revision}: its results are not here ({error}); dvc pull may bring them, or run it again: {command}"
        ) from None
    except DvcException as error:
        raise InputError(f"{revision}: {error}") from None


def known_experiments(name: str) -> str:
    """Return the part of an error message that names the experiments, and the one that a misspelt name resembles."""
    names = experiments.names()
    if not names:
        return "; there are no experiments: make study runs those of the study"
    return f"{did_you_mean(name, names)}; there are {', '.join(names)}"
