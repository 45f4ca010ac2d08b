"""The verbs: each calls one method of a Workspace or a Stack and shows what it returned."""
