"""Ports: small abstract classes through which the engine reaches the world."""

from infometis_sdk.ports.cluster import Cluster, Resource, WatchEvent, Write, Written
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformContext,
    PlatformSpec,
    PlatformStatus,
    Preflight,
    StartStop,
)
from infometis_sdk.ports.pods import PodStreams

__all__ = (
    "Access",
    "Cluster",
    "Finding",
    "Platform",
    "PlatformContext",
    "PlatformSpec",
    "PlatformStatus",
    "PodStreams",
    "Preflight",
    "Resource",
    "StartStop",
    "WatchEvent",
    "Write",
    "Written",
)
