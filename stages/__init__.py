"""The stages of dvc.yaml: one independent script each, which reads params, calls the package and writes outputs."""

import signal
import sys

starting = sys.argv[0] == "-m"  # Python looks for the stage to run, and nothing else imports one
if starting and sys.platform != "win32":
    # Ctrl-C waits for those who know what to do with it.
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

from importlib.util import find_spec  # noqa: E402

if not all(find_spec(name) for name in ("pydantic", "torch")):
    sys.exit(f"{sys.executable} lacks the packages of requirements.lock: run make setup, then source .venv/bin/activate")

if starting:
    from classifier.runtime.stage import install_signal_handlers

    install_signal_handlers()  # here, before the stage imports PyTorch, which takes seconds in which it can be interrupted too
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
