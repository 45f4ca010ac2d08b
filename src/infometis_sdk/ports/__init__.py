"""Ports: small abstract classes through which the engine reaches the world."""

from infometis_sdk.ports.audit import (
    AuditLedger,
    AuditSink,
    AuditSinkContext,
    AuditSinkSpec,
)
from infometis_sdk.ports.cluster import Cluster, Resource, WatchEvent, Write, Written
from infometis_sdk.ports.notifier import Alert, Notifier, NotifierContext, NotifierSpec
from infometis_sdk.ports.platform import (
    Access,
    AddOns,
    ClusterBackup,
    DryRun,
    ExportImages,
    Finding,
    HostPorts,
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
from infometis_sdk.ports.release_store import ReleaseStore

__all__ = (
    "Access",
    "AddOns",
    "Alert",
    "AuditLedger",
    "AuditSink",
    "AuditSinkContext",
    "AuditSinkSpec",
    "Cluster",
    "ClusterBackup",
    "DryRun",
    "ExportImages",
    "Finding",
    "HostPorts",
    "LoadImages",
    "Notifier",
    "NotifierContext",
    "NotifierSpec",
    "Platform",
    "PlatformContext",
    "PlatformSpec",
    "PlatformStatus",
    "PodStreams",
    "Preflight",
    "ReleaseStore",
    "Resource",
    "StartStop",
    "Upgrade",
    "WatchEvent",
    "Write",
    "Written",
)
