"""The exception for errors that the user can fix."""


class InputError(ValueError):
    """Something that the user provided is wrong; the message says in one line what, where, and what it should be."""
