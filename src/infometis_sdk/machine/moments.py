"""Moments as container engines and Kubernetes write them."""

from __future__ import annotations

from datetime import datetime

__all__ = ("moment",)


def moment(text: str) -> float:
    """Return the seconds since 1970 that a moment names; 0 where it names none.

    Docker writes nanoseconds, and Python reads microseconds.

    Example:
        >>> moment("2026-11-24T03:00:00.123456789Z") == moment("2026-11-24T03:00:00.123456Z")
        True
        >>> moment("not yet")
        0.0

    """
    head, _, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    zone = tail[len(digits) :]
    try:
        return datetime.fromisoformat(
            f"{head}.{digits[:6] or '0'}{zone}" if tail else head
        ).timestamp()
    except ValueError:
        return 0.0
