"""One comparison with a reference: what was compared, how far off it is, how far it may be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """The outcome of one comparison."""

    name: str
    error: float  # distance from the reference, in the comparison's own unit; NaN never passes
    tolerance: float  # the largest error that passes

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance
