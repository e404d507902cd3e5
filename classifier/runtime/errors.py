"""The one exception that a user is expected to meet."""


class InputError(ValueError):
    """Something that the user gave is wrong; the message says in one line what, where, and what it should be."""
