import signal

import pytest

from tools.experiments import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_decides_the_exit_status(number: signal.Signals) -> None:
    interruption = Interruption()
    assert not interruption.wait(0)
    signal.raise_signal(number)
    signal.raise_signal(signal.SIGTERM)
    assert interruption.wait(0)
    assert interruption.status == 128 + number


def test_an_ignored_signal_interrupts_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    interruption = Interruption()
    signal.raise_signal(signal.SIGHUP)
    assert not interruption.wait(0)
