"""Render templates and configuration files; every failure is a fault with its line.

In a template every printed expression is JSON, which is YAML, and a whole value:
no value can add a key, and ``1.10`` stays text.
In a file it is encoded for the type of the file, see :mod:`infometis_sdk.engine.templates.encode`.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.templates import encode
from infometis_sdk.engine.templates.sandbox import (
    TemplateError,
    UndefinedName,
    concatenate,
    environment,
)
from infometis_sdk.engine.templates.whole_scalar import glued_expressions
from infometis_sdk.errors import RenderError
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    import jinja2

__all__ = ("MAX_OUTPUT", "normal_text", "render_file", "render_template", "source_faults")

MAX_OUTPUT = 4 * 1024 * 1024
"""Characters that one template may print; an object of more than about 1.5 MB cannot be stored."""

_MAX_SOURCE = 1024 * 1024
_KIND_LINE = re.compile(r"^(kind:[^\n]*)$", re.MULTILINE)

_ENVIRONMENT_NAMES = frozenset(
    {
        "cluster",
        "env",
        "environment",
        "mode",
        "namespace",
        "platform",
        "project",
        "stack",
        "stack_id",
    }
)
_WHY_NOT = (
    "a template cannot see the environment: rendering is a function of the bundle and of the"
    " parameters alone"
)
_INSTEAD = {
    "namespace": 'short names and dns("service"); the namespace is stamped afterwards',
}


@frozen(kw_only=True)
class _Compiled:
    """A compiled template, what its source does wrong, and which names it asks for."""

    template: Any  # a jinja2.Template; the type is imported for type checkers only
    faults: tuple[tuple[int, str, str], ...] = ()
    names: tuple[tuple[str, int], ...] = ()
    keys: tuple[tuple[str, str, int], ...] = ()


def normal_text(text: str) -> str:
    """Return text with NFC characters and LF line ends, as it is hashed and rendered."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def render_template(text: str, context: Mapping[str, Any], *, origin: Origin) -> str:
    r"""Render a template of Kubernetes objects to YAML text.

    Each line ``kind: …`` of the result carries its line in the template in a comment ``#@N``.

    Args:
        text: the template.
        context: plain data and helpers, by the name a template uses.
        origin: the template's file.

    Returns:
        The YAML text.

    Raises:
        RenderError: every fault that can be seen at once, each with its line.

    Example:
        >>> render_template("a: {{ name }}\n", {"name": "x: y"}, origin=Origin())
        'a: "x: y"\n'

    """
    return _render(text, context, origin, marked=False)


def render_file(name: str, text: str, context: Mapping[str, Any], *, origin: Origin) -> str:
    r"""Render a configuration file; its name tells how values are encoded.

    A file without any Jinja is taken as it is, whatever its type.

    Args:
        name: file name, such as ``server.properties``.
        text: the file.
        context: as for :func:`render_template`.
        origin: the file.

    Returns:
        The finished text.

    Raises:
        RenderError: every fault that can be seen at once, each with its line.

    Example:
        >>> render_file("a.properties", "a={{ x }}\n", {"x": "1\n2"}, origin=Origin())
        'a=1\\n2\n'

    """
    text = normal_text(text)
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        return text
    kind = encode.kind_of(name)
    if kind is None:
        line = (
            text[: min(at for m in ("{{", "{%", "{#") if (at := text.find(m)) >= 0)].count("\n") + 1
        )
        raise RenderError(
            [
                Fault(
                    message=f"cannot tell how to encode values in {name!r}",
                    origin=Origin(layer="base", file=origin.file, line=line),
                    legal=f"one of {', '.join(encode.EXTENSIONS)}, or no expression at all",
                )
            ]
        )
    if kind == "yaml":
        rendered = _render(text, context, origin, marked=False, kind_lines=False)
    else:
        rendered = _render(text, context, origin, marked=True)
    try:
        return encode.encode(kind, rendered)
    except encode.EncodeError as error:
        line = _source_line(text, rendered, error.line)
        raise RenderError(
            [
                Fault(
                    message=error.message,
                    origin=Origin(layer="base", file=origin.file, line=line),
                    legal=error.legal,
                )
            ]
        ) from error


def _render(
    text: str, context: Mapping[str, Any], origin: Origin, *, marked: bool, kind_lines: bool = True
) -> str:
    compiled = _compile(normal_text(text), marked, kind_lines)

    def fault(line: int, message: str, legal: str = "", near: str = "") -> Fault:
        where = Origin(layer="base", file=origin.file, line=line)
        return Fault(message=message, origin=where, legal=legal, nearest=near)

    faults = _source_faults(compiled, context, origin)
    if faults or compiled.template is None:
        raise RenderError(faults)

    template = compiled.template
    parts: list[str] = []
    size = 0
    try:
        for part in template.root_render_func(template.new_context(dict(context))):
            parts.append(part)
            size += len(part)
            if size > MAX_OUTPUT:
                raise _too_long()  # noqa: TRY301 - it needs the line, as all of these do
    except UndefinedName as error:
        line = _line_of(template, sys.exc_info()[2])
        raise RenderError(
            [
                fault(
                    line,
                    str(error),
                    ", ".join(sorted(error.known)),
                    nearest(error.name, error.known),
                )
            ]
        ) from error
    except TemplateError as error:
        line = _line_of(template, sys.exc_info()[2])
        raise RenderError([fault(line, error.message, error.legal, error.nearest)]) from error
    except RenderError:
        raise
    except RecursionError as error:
        raise RenderError([fault(0, "the template recurses without an end")]) from error
    except Exception as error:  # a template may fail in any way that Python knows
        line = _line_of(template, sys.exc_info()[2])
        text = str(error).strip().rstrip(".") or type(error).__name__
        raise RenderError([fault(line, f"{text[:1].lower()}{text[1:]}")]) from error
    return "".join(parts)


def source_faults(
    text: str, context: Mapping[str, Any], *, origin: Origin, marked: bool
) -> tuple[Fault, ...]:
    """Return what a source does wrong whatever the values are: syntax, unknown names, glued text.

    Args:
        text: a template, or a file with expressions.
        context: every name that it may use; mappings with every key.
        origin: the file.
        marked: true for files that are not YAML.

    """
    return tuple(_source_faults(_compile(normal_text(text), marked, not marked), context, origin))


def _source_faults(compiled: _Compiled, context: Mapping[str, Any], origin: Origin) -> list[Fault]:
    def fault(line: int, message: str, legal: str = "", near: str = "") -> Fault:
        where = Origin(layer="base", file=origin.file, line=line)
        return Fault(message=message, origin=where, legal=legal, nearest=near)

    faults = [fault(line, message, legal) for line, message, legal in compiled.faults]
    for name, line in compiled.names:
        if name not in context:
            faults.append(fault(line, *_unknown_name(name, context)))
    for owner, key, line in compiled.keys:
        known = context.get(owner)
        if isinstance(known, Mapping) and key not in known and not hasattr(known, key):
            faults.append(fault(line, *_unknown_key(owner, key, known)))
    return faults


def _too_long() -> TemplateError:
    message = f"prints more than {MAX_OUTPUT // 2**20} MiB"
    return TemplateError(message, legal="less: an API server refuses such an object")


def _unknown_name(name: str, known: Iterable[str]) -> tuple[str, str, str]:
    if name in _ENVIRONMENT_NAMES:
        legal = _INSTEAD.get(name, "a parameter of the right scope")
        return f"the template asks for {name!r}, but {_WHY_NOT}", legal, ""
    return f"unknown name {name!r}", ", ".join(sorted(known)), nearest(name, known)


def _unknown_key(owner: str, key: str, known: Mapping[str, Any]) -> tuple[str, str, str]:
    what = {"params": "parameter", "images": "image"}.get(owner, f"key of {owner}")
    return f"unknown {what} {key!r}", ", ".join(sorted(known)) or "none", nearest(key, known)


@functools.lru_cache(maxsize=2048)
def _compile(text: str, marked: bool, kind_lines: bool) -> _Compiled:  # noqa: FBT001 - key of a cache
    """Compile a text once, however often it is rendered."""
    from jinja2 import TemplateSyntaxError, meta, nodes

    env = environment(marked=marked)
    if len(text) > _MAX_SOURCE:
        return _Compiled(
            template=None, faults=((1, f"longer than {_MAX_SOURCE // 2**20} MiB", ""),)
        )
    source = text
    if not marked and kind_lines:
        source = _KIND_LINE.sub(lambda m: f"{m[1]} #@{text.count(chr(10), 0, m.start()) + 1}", text)
    try:
        tree = env.parse(source)
        every = tuple(tree.find_all(nodes.Node))
        faults = _barred(every)
        if not marked:
            faults += [(g.line, g.message, g.right) for g in glued_expressions(env, text)]
        unknown = meta.find_undeclared_variables(tree)
        names = {
            (n.name, n.lineno) for n in every if isinstance(n, nodes.Name) and n.name in unknown
        }
        keys = _keys(every, unknown)
        template = env.from_string(tree)  # it may change the tree, so comes last
        # Compiled templates find ``~`` under this name; theirs knows no limit.
        template.root_render_func.__globals__["str_join"] = concatenate
    except TemplateSyntaxError as error:
        message = (error.message or "not a template").rstrip(".")
        return _Compiled(
            template=None, faults=((error.lineno, f"{message[:1].lower()}{message[1:]}", ""),)
        )
    except TemplateError as error:
        # A constant that cannot be printed shows when it is compiled.
        return _Compiled(template=None, faults=((0, error.message, error.legal),))
    return _Compiled(
        template=template,
        faults=tuple(faults),
        names=tuple(sorted(names, key=lambda pair: (pair[1], pair[0]))),
        keys=tuple(keys),
    )


def _keys(every: Sequence[jinja2.nodes.Node], unknown: set[str]) -> Iterable[tuple[str, str, int]]:
    """Return each constant key that is asked of a name of the context: ``params.replicas``."""
    from jinja2 import nodes

    asked: dict[int, tuple[str, str, int]] = {}
    for each in every:
        if not isinstance(each, (nodes.Getattr, nodes.Getitem)):
            continue
        if not isinstance(each.node, nodes.Name) or each.node.name not in unknown:
            continue
        if isinstance(each, nodes.Getattr):
            asked[id(each)] = (each.node.name, each.attr, each.lineno)
        elif isinstance(each.arg, nodes.Const) and isinstance(each.arg.value, str):
            asked[id(each)] = (each.node.name, each.arg.value, each.lineno)
    # What a template tests with ``is defined`` or gives a default, it may ask for anywhere.
    lenient = {
        asked[id(below)][:2]
        for node in every
        if isinstance(node, (nodes.Test, nodes.Filter))
        and node.name in ("defined", "undefined", "default", "d")
        for below in (node.node, *node.find_all((nodes.Getattr, nodes.Getitem)))
        if id(below) in asked
    }
    return [found for found in asked.values() if found[:2] not in lenient]


def _barred(every: Sequence[jinja2.nodes.Node]) -> list[tuple[int, str, str]]:
    """Name the statements that a template may not use, since they would encode a value twice."""
    from jinja2 import nodes

    alone = "a template stands alone: no include, import or extends"
    twice = "it would encode what it prints twice"
    barred: dict[type[Any], tuple[str, str]] = {
        nodes.Include: ("include", alone),
        nodes.Import: ("import", alone),
        nodes.FromImport: ("import", alone),
        nodes.Extends: ("extends", alone),
        nodes.Block: ("block", alone),
        nodes.Macro: ("macro", twice),
        nodes.CallBlock: ("call", twice),
        nodes.FilterBlock: ("filter block", twice),
        nodes.AssignBlock: ("block of set", f"{twice}; write {{% set x = … %}}"),
    }
    return [
        (found.lineno, f"{what} is not allowed here: {why}", "plain expressions, if, for and set")
        for found in every
        if type(found) in barred
        for what, why in (barred[type(found)],)
    ]


def _line_of(template: jinja2.Template, traceback: Any) -> int:  # noqa: ANN401 - JSON
    """Return the line of the template at which an exception came up."""
    line = 0
    while traceback is not None:
        if (
            traceback.tb_frame.f_globals.get("__jinja_template__") is template
            or traceback.tb_frame.f_code.co_filename == "<template>"
        ):
            line = template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def _source_line(source: str, rendered: str, line: int) -> int:
    """Find the line of a file's source that a rendered line came from, by its fixed beginning."""
    lines = rendered.split("\n")
    if not 1 <= line <= len(lines):
        return 0
    wanted = re.split(r"[\ue000{]", lines[line - 1])[0].strip()
    hits = [
        number
        for number, text in enumerate(source.split("\n"), 1)
        if wanted and text.strip().startswith(wanted)
    ]
    return hits[0] if len(hits) == 1 else 0
