"""Image classifiers trained from scratch: data, networks, training, results and figures."""
