"""What can be wrong with labelled pictures on disk."""


class BadDataset(ValueError):
    """A file of a data set is missing or not in its format; the message names it and what was expected."""
