"""What people run by hand around the pipeline; a Python without the packages of requirements.lock ends in one line."""

import sys
from importlib.util import find_spec

if not (find_spec("dvc") and find_spec("yamlcore")):
    sys.exit(f"{sys.executable} lacks the packages of requirements.lock: run make setup, then source .venv/bin/activate")
