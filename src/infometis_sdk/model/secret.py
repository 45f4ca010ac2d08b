"""Secrets: references to them, and values that never show."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ("SECRET_SCHEMES", "Secret", "SecretRef")

SECRET_SCHEMES = ("env", "file", "secret", "exec", "generated")


@frozen(kw_only=True)
class SecretRef:
    """Where a secret string is to be had; resolved only in apply.

    Attributes:
        scheme: ``env`` (variable), ``file`` (path), ``secret`` (``name/key`` in the stack's
            namespace), ``exec`` (command and arguments, no shell) or ``generated``.
        target: what the scheme points at.

    Example:
        >>> str(SecretRef.parse("env:ADMIN_PASSWORD"))
        'env:ADMIN_PASSWORD'

    """

    scheme: str
    target: str = ""

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Read ``scheme:target``.

        Raises:
            ValueError: no legal scheme; the message lists them.

        """
        scheme, _, target = text.partition(":")
        if scheme not in SECRET_SCHEMES or (scheme != "generated" and not target):
            legal = ", ".join(f"{name}:…" for name in SECRET_SCHEMES if name != "generated")
            msg = f"not a secret reference; legal: {legal} or generated"
            raise ValueError(msg)
        return cls(scheme=scheme, target=target)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.target}" if self.target else self.scheme


@frozen(repr=False)
class Secret:
    """A secret value: masked in ``repr`` and ``str``; :meth:`reveal` is the one way to it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
