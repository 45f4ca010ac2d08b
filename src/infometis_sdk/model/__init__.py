"""The vocabulary as frozen values: no I/O, no logging, nothing heavy."""

from infometis_sdk.model.audit import (
    AuditChange,
    AuditEvent,
    AuditHead,
    AuditLine,
    AuditOutcome,
)
from infometis_sdk.model.audit_report import AuditFault, AuditReport, AuditTimeline
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.comparison import ComparisonReport, Measure, Probe
from infometis_sdk.model.environment import (
    AuditPolicy,
    Border,
    DriftPolicy,
    Environment,
    IsolationPolicy,
    Patch,
    Peer,
    Policies,
    Preview,
    PrunePolicy,
    RegistryPolicy,
    ReleasePolicy,
)
from infometis_sdk.model.equivalence import EquivalenceReport
from infometis_sdk.model.external import External, ExternalCheck, ExternalService, ExternalTls
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.guard import GuardNote, GuardState
from infometis_sdk.model.parameter import Influence, Parameter
from infometis_sdk.model.pipeline import Gates, Pipeline, PipelineStep
from infometis_sdk.model.plan import Change, Decision, Plan, PlanItem
from infometis_sdk.model.project import Lock, Project
from infometis_sdk.model.promotion import (
    Approval,
    GateResult,
    PipelineReport,
    PipelineRow,
    PromotionReport,
    StageResult,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import Release, ReleaseList, ServiceRecord
from infometis_sdk.model.report import (
    ApplyReport,
    DriftItem,
    DriftReport,
    HealthItem,
    HealthReport,
    Outcome,
    Report,
    Table,
    UpReport,
)
from infometis_sdk.model.run import CancelToken, Event, Run
from infometis_sdk.model.secret import Secret, SecretRef
from infometis_sdk.model.service import (
    Check,
    Credential,
    Endpoint,
    Image,
    Metrics,
    SensitiveOperation,
    Service,
    ServiceSource,
    Upgrade,
)
from infometis_sdk.model.stack import (
    BoundCredential,
    ComposedService,
    ComposedStack,
    Manifest,
    ManifestSet,
    Setting,
)

__all__ = (
    "ApplyReport",
    "Approval",
    "AuditChange",
    "AuditEvent",
    "AuditFault",
    "AuditHead",
    "AuditLine",
    "AuditOutcome",
    "AuditPolicy",
    "AuditReport",
    "AuditTimeline",
    "Border",
    "BoundCredential",
    "Bundle",
    "CancelToken",
    "Change",
    "Check",
    "ComparisonReport",
    "ComposedService",
    "ComposedStack",
    "Credential",
    "Decision",
    "DriftItem",
    "DriftPolicy",
    "DriftReport",
    "Endpoint",
    "Environment",
    "EquivalenceReport",
    "Event",
    "External",
    "ExternalCheck",
    "ExternalService",
    "ExternalTls",
    "Fault",
    "GateResult",
    "Gates",
    "GuardNote",
    "GuardState",
    "HealthItem",
    "HealthReport",
    "Image",
    "Influence",
    "IsolationPolicy",
    "Lock",
    "Manifest",
    "ManifestSet",
    "Measure",
    "Metrics",
    "ObjectRef",
    "Origin",
    "Outcome",
    "Parameter",
    "Patch",
    "Peer",
    "Pipeline",
    "PipelineReport",
    "PipelineRow",
    "PipelineStep",
    "Plan",
    "PlanItem",
    "Policies",
    "Preview",
    "Probe",
    "Project",
    "PromotionReport",
    "PrunePolicy",
    "RegistryPolicy",
    "Release",
    "ReleaseList",
    "ReleasePolicy",
    "Report",
    "Run",
    "Secret",
    "SecretRef",
    "SensitiveOperation",
    "Service",
    "ServiceRecord",
    "ServiceSource",
    "Setting",
    "StageResult",
    "Table",
    "UpReport",
    "Upgrade",
)
