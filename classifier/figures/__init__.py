"""Figures: the pictures of results."""
