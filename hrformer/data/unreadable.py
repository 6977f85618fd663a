"""Pictures that cannot be read: a reason to stop, or left out and counted."""

from typing import Literal

from hrformer.data.errors import UnreadablePicture

Unreadable = Literal["refuse", "skip"]

TOLD = 5  # of the pictures left out, by name


class LeftOut:
    """The pictures of a set that cannot be read, where that is no reason to stop."""

    def __init__(self, unreadable: Unreadable = "refuse") -> None:
        self.unreadable = unreadable
        self._sentences: dict[str, None] = {}  # each once: several people may be in one picture

    def note(self, error: UnreadablePicture) -> None:
        """Counts the picture. raises: the error, where such a picture is refused."""
        if self.unreadable == "refuse":
            raise error
        self._sentences[str(error)] = None

    @property
    def count(self) -> int:
        return len(self._sentences)

    def __str__(self) -> str:
        """How many there are, and the first of them by name, a line each."""
        count = self.count
        lines = [f"{count} {'picture is' if count == 1 else 'pictures are'} left out, unreadable:"]
        lines += [f"  {sentence}" for sentence in list(self._sentences)[:TOLD]]
        return "\n".join([*lines, f"  and {count - TOLD} more"] if count > TOLD else lines)
