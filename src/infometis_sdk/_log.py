"""Logging of the SDK: structlog wrapped round the standard library, silent until somebody listens.

A library does not decide where its words go: the root of our loggers has a ``NullHandler``
and nothing else. A program that wants to hear them adds a handler of its own::

    handler = logging.StreamHandler()          # stderr; stdout belongs to results
    handler.setFormatter(formatter(json=False))
    logging.getLogger(ROOT).addHandler(handler)

Unconfigured structlog would print to *stdout*; hence the wrapping here, with processors of our
own that no global configuration changes. structlog costs 80 ms to import, so that happens with
the first record, not with the first ``get_logger``.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

__all__ = ("ROOT", "formatter", "get_logger", "redact")

ROOT = "infometis_sdk"
MASK = "***"

# Keys whose values are secrets whatever they look like; names of things (secret_name) are not.
_SECRET_KEY = re.compile(
    r"(^|_)(password|passwd|token|authorization|credential_value|private_key|secret_value|api_key)$",
    re.IGNORECASE,
)
# Forms in which a secret can hide inside a text: HTTP credentials, URLs, PEM keys.
_SECRET_TEXT = (
    (re.compile(r"(?i)\b(basic|bearer)\s+[A-Za-z0-9+/=._~-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://[^/\s:@]*):[^/\s@]+@"), rf"\g<scheme>:{MASK}@"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL
        ),
        MASK,
    ),
)

logging.getLogger(ROOT).addHandler(logging.NullHandler())


def get_logger(name: str) -> Any:  # noqa: ANN401 - structlog's logger, made on first use
    """Return the logger of a module.

    Args:
        name: ``__name__`` of the module.

    Example:
        >>> get_logger("infometis_sdk.example").info("apply started", objects=3)

    """
    return _Lazy(name)


class _Lazy:
    """Makes the real logger once it is used."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Any = None
        self._plain = logging.getLogger(name)

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 - as get_logger
        if self._logger is None:
            # A record that nobody hears is not worth the import either.
            level = logging.getLevelNamesMapping().get(attribute.upper())
            if level is not None and not self._plain.isEnabledFor(level):
                return _unheard
            import structlog

            self._logger = structlog.wrap_logger(
                logging.getLogger(self._name),
                processors=[
                    structlog.stdlib.filter_by_level,
                    *_processors(),
                    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
                ],
                wrapper_class=structlog.stdlib.BoundLogger,
                context_class=dict,
            )
        return getattr(self._logger, attribute)


def _unheard(event: str, *args: object, **data: object) -> None:
    """Drop a record."""
    del event, args, data


def formatter(*, json: bool) -> logging.Formatter:
    """Return a formatter for a handler of :data:`ROOT`: one line a record.

    Args:
        json: JSON for programs; text without colours otherwise.

    """
    import structlog

    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if json
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    return structlog.stdlib.ProcessorFormatter(
        # Records that did not come from structlog get the same shape, and are redacted too.
        foreign_pre_chain=_processors(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            renderer,
        ],
    )


def _processors() -> list[Processor]:
    import structlog

    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]


def redact(
    logger: Any,  # noqa: ANN401 - structlog's signature
    method: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Mask secrets: a last net, since secrets are not to be bound in the first place.

    Masks the values of keys that name secrets, and credentials inside texts.
    A :class:`~infometis_sdk.model.secret.Secret` masks itself.

    Example:
        >>> redact(None, "info", {"event": "asked", "password": "geheim"})
        {'event': 'asked', 'password': '***'}

    """
    del logger, method
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def _masked(key: str, value: Any) -> Any:  # noqa: ANN401 - any value may be logged
    if _SECRET_KEY.search(key) and value is not None:
        return MASK
    if isinstance(value, str):
        for pattern, mask in _SECRET_TEXT:
            value = pattern.sub(mask, value)
        return value
    if isinstance(value, dict):
        return {k: _masked(str(k), item) for k, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked("", item) for item in value]
    return value
