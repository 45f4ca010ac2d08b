"""Ports: small abstract classes through which the engine reaches the world."""

from infometis_sdk.ports.cluster import Cluster, Resource, WatchEvent, Write, Written
from infometis_sdk.ports.platform import (
    Access,
    AddOns,
    ClusterBackup,
    DryRun,
    Finding,
    LoadImages,
    Platform,
    PlatformContext,
    PlatformSpec,
    PlatformStatus,
    Preflight,
    StartStop,
    Upgrade,
)
from infometis_sdk.ports.pods import PodStreams

__all__ = (
    "Access",
    "AddOns",
    "Cluster",
    "ClusterBackup",
    "DryRun",
    "Finding",
    "LoadImages",
    "Platform",
    "PlatformContext",
    "PlatformSpec",
    "PlatformStatus",
    "PodStreams",
    "Preflight",
    "Resource",
    "StartStop",
    "Upgrade",
    "WatchEvent",
    "Write",
    "Written",
)
