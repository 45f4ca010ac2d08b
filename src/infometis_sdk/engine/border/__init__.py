"""The border: which routes an environment wants, whether they can be, and who renders them."""
