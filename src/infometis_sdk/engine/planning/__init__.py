"""What a plan decides: object by object, and what goes, moves or must not."""
