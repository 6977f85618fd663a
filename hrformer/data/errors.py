"""What can be wrong with labelled pictures on disk."""


class BadDataset(ValueError):
    """A file of a data set is missing or not in its format; the message names it and what was expected."""


class UnreadablePicture(BadDataset):
    """A picture or a mask is missing or broken; the message names the file."""
