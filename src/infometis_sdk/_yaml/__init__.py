"""YAML in and out: strict, with the line of every value, in text that kubectl reads as we do.

PyYAML's C parser makes the node tree; the values are built here, because PyYAML's own
constructor keeps the last of two equal keys without a word, turns dates into objects that JSON
cannot carry, and lets a few aliases grow into gigabytes.

Two dialects:

``project``
    for our own files: YAML 1.2 core scalars.
    ``no``, ``on`` and ``0755`` are text, so that a wrong type is reported and nothing is guessed.
``kubernetes``
    for Kubernetes objects: every plain scalar is what kubectl makes of it
    (``yes`` is true, ``0644`` is 420, ``1e3`` is 1000, a date is text);
    the table in the tests was read off ``kubectl annotate --local``, version 1.37.
"""

from infometis_sdk._yaml.reader import Document, child, load_all, load_yaml
from infometis_sdk._yaml.writer import dump_all, dump_yaml

__all__ = ("Document", "child", "dump_all", "dump_yaml", "load_all", "load_yaml")
