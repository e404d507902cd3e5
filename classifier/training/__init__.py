"""Training: the loop, augmentation, optimizers, schedules and checkpoints."""
