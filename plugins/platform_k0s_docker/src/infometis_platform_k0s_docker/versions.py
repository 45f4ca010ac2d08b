"""Versions of k0s: how they are written, compared and stepped through.

``v1.36.3+k0s.2`` is Kubernetes 1.36.3 in the third build of k0s.
Semantic versioning ignores what follows the plus sign, and we must not.
"""

from __future__ import annotations

import re

from attrs import frozen

__all__ = ("K0sVersion",)

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)[+-]k0s(?:\.(\d+))?")


@frozen(order=True)
class K0sVersion:
    """A version of k0s.

    Example:
        >>> K0sVersion.parse("v1.36.3+k0s.2") > K0sVersion.parse("v1.36.3+k0s.0")
        True
        >>> K0sVersion.parse("v1.36.3-k0s.2").tag
        'v1.36.3-k0s.2'

    """

    major: int
    minor: int
    patch: int
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> K0sVersion:
        """Read a version, as k0s or as a tag of its image writes it.

        Raises:
            ValueError: it is something else.

        """
        match = _VERSION.fullmatch(text)
        if match is None:
            msg = f"{text!r} is no version of k0s such as 'v1.36.3+k0s.2'"
            raise ValueError(msg)
        return cls(*(int(part or 0) for part in match.groups()))

    def __str__(self) -> str:
        return f"{self.kubernetes}+k0s.{self.build}"

    @property
    def kubernetes(self) -> str:
        """The version of Kubernetes in it."""
        return f"v{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        """The tag of its image; a tag cannot hold a plus sign."""
        return f"{self.kubernetes}-k0s.{self.build}"

    def refuses(self, new: K0sVersion) -> str:
        """Say why a cluster of this version may not become ``new``; nothing where it may.

        The rules are those of Kubernetes' version skew policy, which k0s follows:
        one minor version at a time, and never down.

        Example:
            >>> old = K0sVersion.parse("v1.34.1+k0s.0")
            >>> old.refuses(K0sVersion.parse("v1.36.3+k0s.2"))
            'v1.34.1+k0s.0 must become some v1.35 before it becomes v1.36.3+k0s.2'
            >>> old.refuses(K0sVersion.parse("v1.34.0+k0s.1"))
            'v1.34.1+k0s.0 cannot go down to v1.34.0+k0s.1'

        """
        if new < self:
            return f"{self} cannot go down to {new}"
        if new.major != self.major or new.minor > self.minor + 1:
            return f"{self} must become some v{self.major}.{self.minor + 1} before it becomes {new}"
        return ""
