"""What people run by hand around the pipeline."""
