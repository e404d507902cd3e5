"""What measures speed, with the ordinary way of doing it beside ours."""
