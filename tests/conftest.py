from pathlib import Path

import pytest

from classifier.params import Params, read_params

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def params() -> Params:
    return read_params(ROOT / "params.yaml")
