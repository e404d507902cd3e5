"""The stages of dvc.yaml: one independent script each, which reads params, calls the package and writes outputs."""

import sys
from importlib.util import find_spec

if not all(find_spec(name) for name in ("pydantic", "torch")):
    sys.exit(f"{sys.executable} lacks the packages of requirements.lock: run make setup, then source .venv/bin/activate")
