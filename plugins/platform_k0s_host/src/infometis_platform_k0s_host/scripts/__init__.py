"""The scripts that run on hosts, with nothing but a POSIX shell and its usual programs there."""

from importlib import resources

__all__ = ("script",)


def script(name: str) -> bytes:
    """Return the text of a script, to be read by ``sh -s`` there.

    Example:
        >>> script("gather").splitlines()[0]
        b'#!/bin/sh'

    """
    return resources.files(__name__).joinpath(f"{name}.sh").read_bytes()
