"""Real time, and the faster time that `--speed` gives to delays, backoff and cron."""

import time


class Clock:
    """Tell the time in unix milliseconds, and convert requested waits to real ones."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._origin = self.now()

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def after(self, seconds: float, *, since: int | None = None) -> int:
        """Return the real moment at which a wait of `seconds`, from now or a given time, ends."""
        return (self.now() if since is None else since) + round(max(seconds, 0) * 1000 / self.speed)

    def simulated(self) -> int:
        """Return the time as the fast clock shows it; the real time at speed 1."""
        return self._origin + round((self.now() - self._origin) * self.speed)

    def real(self, simulated: int) -> int:
        """Return the real moment at which the fast clock shows `simulated`."""
        return self._origin + round((simulated - self._origin) / self.speed)
