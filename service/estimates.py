"""How long work takes and how much of it comes, learned from work that was done."""

from dataclasses import dataclass


@dataclass
class Spread:
    """Mean and variance of a number, in which what is old fades."""

    fade: float = 0.99
    weight: float = 0.0
    sum: float = 0.0
    squares: float = 0.0

    def observe(self, value: float) -> None:
        self.weight = self.fade * self.weight + 1
        self.sum = self.fade * self.sum + value
        self.squares = self.fade * self.squares + value * value

    def mean(self, otherwise: float) -> float:
        """`otherwise` before there was any."""
        return self.sum / self.weight if self.weight else otherwise

    def variance(self) -> float:
        return max(self.squares / self.weight - self.mean(0.0) ** 2, 0.0) if self.weight else 0.0


@dataclass
class Margin:
    """The factor by which all but `late` of the waits stay below what is expected, times the factor.

    It follows what comes: every wait beyond it raises it, every other one lowers it a little, so that they
    balance at the share (a quantile by stochastic approximation).
    """

    factor: float = 1.1
    least: float = 1.1
    most: float = 2.0
    late: float = 0.005
    step: float = 0.05

    def observe(self, ratio: float) -> None:
        """ratio: of what a wait was to what was expected."""
        change = 1 - self.late if ratio > self.factor else -self.late
        self.factor = min(max(self.factor * (1 + self.step * change), self.least), self.most)


@dataclass
class Line:
    """Seconds of a work of size `n` as `each * n + start`: least squares in which what is old fades.

    Of a batch, `n` is its items; of a picture, its pixels.
    """

    fade: float = 0.95
    weight: float = 0.0
    n: float = 0.0
    nn: float = 0.0
    t: float = 0.0
    nt: float = 0.0
    _fit: tuple[float, float] | None = None  # asked for many times between two observations

    def observe(self, n: float, seconds: float) -> None:
        self._fit = None
        self.weight = self.fade * self.weight + 1
        self.n = self.fade * self.n + n
        self.nn = self.fade * self.nn + n * n
        self.t = self.fade * self.t + seconds
        self.nt = self.fade * self.nt + n * seconds

    def weigh(self, share: float) -> None:
        """What was observed until now counts for this share of what it did."""
        self._fit = None
        self.weight, self.n, self.nn = share * self.weight, share * self.n, share * self.nn
        self.t, self.nt = share * self.t, share * self.nt

    def line(self) -> tuple[float, float]:
        """Seconds for each unit, and to start: 0 while all had one size. Neither is negative."""
        if self._fit is None:
            self._fit = self._fitted()
        return self._fit

    def _fitted(self) -> tuple[float, float]:
        spread = self.weight * self.nn - self.n * self.n
        if spread <= 1e-6 * self.weight * self.nn:
            return (self.t / self.n if self.n else 0.0), 0.0
        each = (self.weight * self.nt - self.n * self.t) / spread
        each = min(max(each, 0.0), self.t / self.n)
        return each, max((self.t - each * self.n) / self.weight, 0.0)

    def mean(self) -> float:
        """The size that was usual of late."""
        return self.n / self.weight if self.weight else 0.0

    def predict(self, n: float, starts: int = 1) -> float:
        """Seconds for work of this size in all, begun so many times."""
        each, start = self.line()
        return each * n + start * starts
