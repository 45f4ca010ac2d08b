"""What the CIS benchmark asks beyond k0s' own defaults.

k0s' documentation lists the checks that a default cluster does not pass
("Kube-bench Security Benchmark"): EventRateLimit (1.2.10), the audit log (1.2.22 to 1.2.25, 3.2),
encryption at rest (1.2.33, 1.2.34) and protectKernelDefaults (4.2.6).
AlwaysPullImages (1.2.12) is left out on purpose: images are pinned by digest,
and those that were brought without a registry could never start.
"""

from __future__ import annotations

from typing import Any

__all__ = ("AUDIT_LOG", "ENCRYPTION", "api_arguments", "files", "kubelet_values")

ENCRYPTION = "/etc/k0s/infometis-encryption.yaml"
AUDIT_LOG = "/var/log/k0s/audit.log"
_ADMISSION = "/etc/k0s/infometis-admission.yaml"
_AUDIT = "/etc/k0s/infometis-audit.yaml"


def api_arguments() -> dict[str, str]:
    """Return the arguments of the API server, for ``spec.api.extraArgs``."""
    return {
        "admission-control-config-file": _ADMISSION,
        "audit-log-maxage": "30",
        "audit-log-maxbackup": "10",
        "audit-log-maxsize": "100",
        "audit-log-path": AUDIT_LOG,
        "audit-policy-file": _AUDIT,
        "enable-admission-plugins": "NodeRestriction,EventRateLimit",
        "encryption-provider-config": ENCRYPTION,
    }


def kubelet_values() -> dict[str, Any]:
    """Return the fields of KubeletConfiguration, for a worker profile."""
    return {
        "eventRecordQPS": 50,
        "makeIPTablesUtilChains": True,
        "podPidsLimit": 4096,
        "protectKernelDefaults": True,
        "readOnlyPort": 0,
        "seccompDefault": True,
        "streamingConnectionIdleTimeout": "5m0s",
    }


def files() -> dict[str, dict[str, Any]]:
    """Return the files that the API server reads, by path; that with the key is made on a host."""
    return {_ADMISSION: _admission(), _AUDIT: _audit()}


def _admission() -> dict[str, Any]:
    limits = [
        {"type": "Server", "qps": 500, "burst": 1000},
        {"type": "Namespace", "qps": 50, "burst": 100, "cacheSize": 2000},
    ]
    events = {
        "apiVersion": "eventratelimit.admission.k8s.io/v1alpha1",
        "kind": "Configuration",
        "limits": limits,
    }
    levels = {"enforce": "baseline", "audit": "restricted", "warn": "restricted"}
    versions = {f"{level}-version": "latest" for level in levels}
    pods = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": levels | versions,
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
    }
    plugins = [
        {"name": "EventRateLimit", "configuration": events},
        {"name": "PodSecurity", "configuration": pods},
    ]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": plugins,
    }


def _audit() -> dict[str, Any]:
    """Who did what, but never the content of Secrets and ConfigMaps."""
    quiet = {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version"]}
    leases = {
        "level": "None",
        "verbs": ["get", "update", "patch"],
        "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
    }
    secret = {
        "level": "Metadata",
        "resources": [
            {"group": "", "resources": ["secrets", "configmaps", "serviceaccounts/token"]},
            {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
        ],
    }
    writes = {"level": "Request", "verbs": ["create", "update", "patch", "delete"]}
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [quiet, leases, secret, writes, {"level": "Metadata"}],
    }
