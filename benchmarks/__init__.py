"""What measures speed, with the ordinary way of doing it beside ours."""

WARM_UP = 20  # steps before the clock of images a second starts
