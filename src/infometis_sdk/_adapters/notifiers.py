"""The notifiers ``webhook`` and ``alertmanager``; both speak HTTP with JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.errors import NotifierError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.ports.notifier import Alert, Notifier, NotifierContext, NotifierSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infometis_sdk.model.run import Run

__all__ = ("Alertmanager", "HttpNotifier", "Webhook", "infometis_notifiers")

_SECONDS = 10.0
_SHOWN = 200


@frozen(kw_only=True)
class Webhook:
    """Settings of the notifier ``webhook``.

    Attributes:
        url: where alerts are posted to.
        url_from: the same as a secret, for addresses that hold a key.
        token: sent as ``Authorization: Bearer``.

    """

    url: str = ""
    url_from: SecretRef | None = None
    token: SecretRef | None = None


@frozen(kw_only=True)
class Alertmanager(Webhook):
    """Settings of the notifier ``alertmanager``.

    Attributes:
        url: address of an Alertmanager, such as ``http://alertmanager.monitoring:9093``.
        labels: put on every alert, for routing.

    """

    labels: Mapping[str, str] = field(factory=dict)


class HttpNotifier(Notifier):
    """Posts JSON to one address."""

    def __init__(self, settings: Webhook, context: NotifierContext) -> None:
        self._settings = settings
        self._context = context

    def notify(self, alerts: Sequence[Alert], run: Run) -> None:
        """See :meth:`Notifier.notify`."""
        self._post(self._url(), self._body(alerts), run)

    def _body(self, alerts: Sequence[Alert]) -> Any:  # noqa: ANN401 - JSON
        from infometis_sdk.model.report import plain

        return {"version": 1, "alerts": [plain(alert) for alert in alerts]}

    def _url(self) -> str:
        if self._settings.url_from is not None:
            return self._context.resolve(self._settings.url_from).reveal()
        return self._settings.url

    def _post(self, url: str, body: Any, run: Run) -> None:  # noqa: ANN401 - JSON
        import urllib3

        where = self._settings.url or str(self._settings.url_from)
        headers = {"content-type": "application/json", "user-agent": "infometis-sdk"}
        if self._settings.token is not None:
            token = self._context.resolve(self._settings.token).reveal()
            headers["authorization"] = f"Bearer {token}"
        with urllib3.PoolManager(timeout=max(0.1, run.remaining(_SECONDS)), retries=False) as pool:
            try:
                answer = pool.request("POST", url, body=json.dumps(body), headers=headers)
            except (urllib3.exceptions.HTTPError, ValueError) as error:
                # Its text may hold the address, and that a key.
                msg = f"no answer from {where}: {type(error).__name__}"
                raise NotifierError(msg, hint="is the address right, and does it listen?") from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            said = " ".join(answer.data[:_SHOWN].decode("utf-8", "replace").split())
            msg = f"{where} answers {answer.status}: {said}"
            raise NotifierError(msg, hint="look at its log")


class AlertmanagerNotifier(HttpNotifier):
    """Speaks version 2 of Alertmanager's API.

    Source: https://github.com/prometheus/alertmanager, ``api/v2/openapi.yaml``.
    Alertmanager takes an alert for over that is not told again, so each is told for longer than
    the time until it is repeated.
    """

    repeat = 300.0
    _LASTS = dt.timedelta(seconds=3 * repeat)

    def _url(self) -> str:
        return f"{super()._url().rstrip('/')}/api/v2/alerts"

    def _body(self, alerts: Sequence[Alert]) -> Any:  # noqa: ANN401 - JSON
        now = dt.datetime.now(dt.UTC)
        labels = self._settings.labels if isinstance(self._settings, Alertmanager) else {}
        return [
            {
                "labels": {**labels, **_labels(alert)},
                "annotations": {
                    "summary": alert.summary,
                    **({"manager": alert.manager} if alert.manager else {}),
                },
                "startsAt": alert.starts,
                "endsAt": alert.ends or (now + self._LASTS).isoformat(),
            }
            for alert in alerts
        ]


def _labels(alert: Alert) -> dict[str, str]:
    known = {**alert.identity, "severity": alert.level, "service": alert.service}
    name = "".join(word.capitalize() for word in known.pop("name").split())
    return {"alertname": f"Infometis{name}", **{k: v for k, v in known.items() if v}}


@hookimpl
def infometis_notifiers() -> Iterable[NotifierSpec]:
    """Register both."""
    return (
        NotifierSpec(
            name="webhook",
            summary="alerts of the guard as JSON to an address of yours",
            settings=Webhook,
            factory=HttpNotifier,
        ),
        NotifierSpec(
            name="alertmanager",
            summary="alerts of the guard to an Alertmanager",
            settings=Alertmanager,
            factory=AlertmanagerNotifier,
        ),
    )
