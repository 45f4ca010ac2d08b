"""Which node images belong to which release of kind.

An image is built for one release of kind, and is named by digest in that release's notes:
https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
"""

from __future__ import annotations

__all__ = ("DEFAULT_KUBERNETES", "KIND", "NODE_IMAGES")

KIND = "v0.33.0"

DEFAULT_KUBERNETES = "v1.37.0"

NODE_IMAGES = {
    "v1.37.0": "sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5",
    "v1.36.4": "sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
    "v1.35.8": "sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0",
    "v1.34.11": "sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d",
}
