"""Labels and taints of a node: ours are set and taken back, those of others stay. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_platform_k0s_host.hosts.marker import Marker

__all__ = ("node_patch",)


def node_patch(
    node: Mapping[str, Any], labels: Mapping[str, str], taints: tuple[str, ...], marker: Marker
) -> dict[str, Any]:
    """Return the merge patch that gives a node its labels and taints.

    Labels and taints of others stay; ours that are not wanted any more go.
    """
    dropped = {label.partition("=")[0] for label in marker.labels} - set(labels)
    wanted = [_taint(text) for text in taints]
    mine = [_taint(text) for text in marker.taints]
    keys = {(each["key"], each["effect"]) for each in (*wanted, *mine)}
    others = [
        taint
        for taint in node.get("spec", {}).get("taints") or ()
        if (taint.get("key"), taint.get("effect")) not in keys
    ]
    return {
        "metadata": {"labels": {**labels, **dict.fromkeys(sorted(dropped))}},
        "spec": {"taints": [*others, *wanted] or None},
    }


def _taint(text: str) -> dict[str, str]:
    rest, _, effect = text.rpartition(":")
    key, has_value, value = rest.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if has_value else {})
