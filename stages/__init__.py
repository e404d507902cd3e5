"""The stages of dvc.yaml: one independent script each, which reads params, calls the package and writes outputs."""

import os
import sys

if "DVC_STAGE" in os.environ:  # an error in a script itself, as in its syntax, happens outside of its `with stage(...)`
    from classifier.runtime.stage import restoring_excepthook

    sys.excepthook = restoring_excepthook
