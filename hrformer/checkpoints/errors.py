"""What can be wrong with a checkpoint, a manifest or a reference folder, one exception each."""


class CheckpointError(ValueError):
    """Weights that cannot be used as they are; the message says which, why and what to do."""


class UnreadableCheckpoint(CheckpointError):
    """The file is truncated, damaged or of no known format."""


class HostilePickle(CheckpointError):
    """The file wants code to be run when it is read; nothing of it was."""


class UnknownFamily(CheckpointError):
    """The keys are those of no published family, or of a variant that does not exist."""


class KeysDoNotMatch(CheckpointError):
    """Keys are unknown, missing or of another shape than the network's."""


class ChecksumMismatch(CheckpointError):
    """The file is not the one the manifest speaks of."""


class BadManifest(CheckpointError):
    """The manifest cannot be read as one."""


class UnknownModel(CheckpointError):
    """No model of this name, and no file of this path."""


class BadReference(CheckpointError):
    """A reference folder is not in its documented format."""


class UnsupportedCase(CheckpointError):
    """A reference case asks for a network that we do not have."""
