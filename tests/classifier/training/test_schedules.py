import pytest

from classifier.params import Schedule
from classifier.training.schedules import rate_factor


@pytest.mark.parametrize(
    ("schedule", "start", "quarter", "half", "end"),
    [("constant", 1, 1, 1, 1), ("linear", 1, 0.75, 0.5, 0), ("cosine", 1, 0.853553, 0.5, 0)],
)
def test_a_schedule_goes_through_its_points(schedule: Schedule, start: float, quarter: float, half: float, end: float) -> None:
    points = [rate_factor(schedule, progress) for progress in (0, 0.25, 0.5, 1)]
    assert points == pytest.approx([start, quarter, half, end], abs=1e-6)
