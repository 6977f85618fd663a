"""Which of the people that are found in a picture are answered."""

from dataclasses import dataclass

AT_MOST = 100  # people that a model tells of one picture


@dataclass(frozen=True)
class Search:
    """Who is looked for; boxes that are given are all kept. raises: ValueError for a value out of range."""

    box_threshold: float | None = None  # smallest score of a found box, 0 to 1 (default: the model's own)
    max_people: int = 32  # at most so many are found, best first, 1 to 100 (default: 32)

    def __post_init__(self) -> None:
        if self.box_threshold is not None and not 0 <= self.box_threshold <= 1:
            raise ValueError(f"box_threshold is {self.box_threshold:g}; expected 0 to 1")
        if not 1 <= self.max_people <= AT_MOST:
            raise ValueError(f"max_people is {self.max_people}; expected 1 to {AT_MOST}")
