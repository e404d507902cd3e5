"""Networks: how they are built, kept in files and run."""
