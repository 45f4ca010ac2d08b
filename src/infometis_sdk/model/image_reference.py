"""Names of images, as container runtimes read them."""

from __future__ import annotations

from attrs import frozen

__all__ = ("ImageReference",)

_DEFAULT_HOST = "docker.io"
_LIBRARY = "library"


@frozen(kw_only=True)
class ImageReference:
    """An image's name in full.

    Attributes:
        host: registry, with its port where there is one.
        repository: path in the registry.
        tag: ``latest`` where none is written.
        digest: ``sha256:…``, where one is written.

    """

    host: str
    repository: str
    tag: str = "latest"
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read a name in the short form that people and manifests use.

        The first step is a host only if it holds a dot or a colon, or is ``localhost``;
        without a host it is Docker Hub, and one step alone there is an official image.
        Source: https://github.com/distribution/reference, ``normalize.go``.

        Example:
            >>> ImageReference.parse("nginx:1.29").repository
            'library/nginx'
            >>> ImageReference.parse("localhost:5000/a/b").host
            'localhost:5000'

        """
        name, _, digest = text.partition("@")
        head, slash, rest = name.partition("/")
        named = bool(slash) and ("." in head or ":" in head or head == "localhost")
        host, path = (head, rest) if named else (_DEFAULT_HOST, name)
        before, colon, tag = path.rpartition(":")
        repository = before if colon and "/" not in tag else path
        if host == _DEFAULT_HOST and "/" not in repository:
            repository = f"{_LIBRARY}/{repository}"
        return cls(
            host=host,
            repository=repository,
            tag=tag if colon and "/" not in tag else "latest",
            digest=digest,
        )
