"""How often a password may be guessed: five times in five minutes from one place."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

MOST = 5
SECONDS = 300.0
MOST_PLACES = 10_000


class Attempts:
    """Counts wrong passwords by the place that they came from."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Have counted none; `now` returns the time in seconds."""
        self._now = now
        self._failed: dict[str, deque[float]] = {}

    def seconds_to_wait(self, place: str) -> float:
        """Return how long the place has to wait until it may try again, 0 if it may."""
        failed = self._recent(place)
        return failed[0] + SECONDS - self._now() if len(failed) >= MOST else 0.0

    def failed(self, place: str) -> None:
        """Count a wrong password."""
        failed = self._recent(place)
        failed.append(self._now())
        self._failed.pop(place, None)
        while len(self._failed) >= MOST_PLACES:  # the one that has not tried for longest
            del self._failed[next(iter(self._failed))]
        self._failed[place] = failed

    def _recent(self, place: str) -> deque[float]:
        failed = self._failed.get(place, deque())
        while failed and self._now() - failed[0] >= SECONDS:
            failed.popleft()
        if not failed:
            self._failed.pop(place, None)
        return failed


def place_of(address: str) -> str:
    """Return whose attempts are counted together: an address, of IPv6 the network (/64)."""
    try:
        number = ip_address(address.strip())
    except ValueError:
        return "unknown"
    if not isinstance(number, IPv6Address):
        return str(number)
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return f"{int(number) >> 64:x}"
