"""Results: the records that stages write and tools read."""
