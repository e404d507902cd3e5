"""Image classifiers trained from scratch: pure functions and small classes that know nothing of DVC or of where files lie."""
