"""The acting handles: a Workspace over a project, and a Stack for each of its environments."""

from infometis_sdk.workspace.stack import Stack
from infometis_sdk.workspace.workspace import Workspace

__all__ = ("Stack", "Workspace")
