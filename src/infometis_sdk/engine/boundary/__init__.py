"""The trust boundary of a stack: who may speak with whom, and the objects that hold it; pure.

:mod:`~infometis_sdk.engine.boundary.declared` reads what services and environment declare,
:mod:`~infometis_sdk.engine.boundary.policies` makes NetworkPolicies of it, and
:mod:`~infometis_sdk.engine.boundary.evaluate` answers from these policies alone.
"""
