"""The stages of dvc.yaml: one independent script each, which reads params, calls the package and writes outputs."""

import sys
from importlib.util import find_spec

if not all(find_spec(name) for name in ("pydantic", "torch")):
    sys.exit(f"{sys.executable} lacks the packages of requirements.lock: run make setup, then source .venv/bin/activate")

if sys.argv[0] == "-m":  # while Python looks for the stage to run, and not when something else imports one
    from stages.running import end_well

    end_well()  # here, before the stage imports PyTorch, which takes seconds in which it can be interrupted too
