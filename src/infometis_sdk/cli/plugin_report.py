"""The table of ``infometis plugins list``."""

from __future__ import annotations

from attrs import field, frozen

from infometis_sdk._plugins import PluginInfo
from infometis_sdk.model.report import Report, Table

__all__ = ("PluginReport",)


@frozen(kw_only=True, repr=False)
class PluginReport(Report):
    """Every plugin that was found."""

    plugins: tuple[PluginInfo, ...] = field(converter=tuple[PluginInfo, ...])

    def headline(self) -> str:
        """Count them."""
        bad = sum(info.state not in ("loaded", "disabled") for info in self.plugins)
        text = f"{len(self.plugins)} plugins"
        return f"{text}, {bad} of them broken" if bad else text

    def table(self) -> Table:
        """Show one row a plugin."""
        return Table(
            title=self.headline(),
            columns=("PLUGIN", "FROM", "STATE", "OFFERS"),
            rows=tuple(
                (
                    info.name,
                    f"{info.distribution} {info.version}".strip(),
                    info.state,
                    ", ".join(info.offers),
                )
                for info in self.plugins
            ),
            footer=tuple(f"{info.name}: {info.detail}" for info in self.plugins if info.detail),
        )
