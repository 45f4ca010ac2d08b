"""The k0s binary: where it comes from, and the proof that it is what its makers published."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.machine import DownloadError, Downloads, Source, hold, private_folder

if TYPE_CHECKING:
    from infometis_platform_k0s_host.hosts.facts import Facts
    from infometis_platform_k0s_host.settings import K0sHost
    from infometis_sdk.model.run import Run

__all__ = ("Binaries", "file_digest")

_RELEASES = "https://github.com/k0sproject/k0s/releases/download"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        MissingPartError: it cannot be read.

    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise MissingPartError(msg, hint="name a file that is there") from error


class Binaries:
    """The binaries of one cluster.

    Args:
        settings: say where they come from.
        cache_dir: where downloads are kept.

    """

    def __init__(self, settings: K0sHost, cache_dir: Path) -> None:
        self._settings = settings
        self._cache = cache_dir / "k0s"
        self._digests: dict[str, str] = {}

    @property
    def version(self) -> str:
        """The wanted version; empty where only the file is known."""
        return "" if self._settings.binary else self._settings.version

    @property
    def images(self) -> str:
        """What tells the archive of images from another one; empty where there is none.

        Raises:
            MissingPartError: the file of the settings is not there.

        """
        if not self._settings.images:
            return ""
        path = Path(self._settings.images).expanduser()
        try:
            stat = path.stat()
        except OSError as error:
            msg = f"images: {path} cannot be read: {error.strerror}"
            raise MissingPartError(msg, hint="name an archive that is there") from error
        # Gigabytes are not read again and again to find out that nothing has changed.
        return hashlib.sha256(f"{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:12]

    def digest(self, arch: str) -> str:
        """Return the SHA-256 that the binary must have; empty where only a download tells.

        Raises:
            MissingPartError: the file of the settings is not there.

        """
        if self._settings.sha256 or not self._settings.binary:
            return self._settings.sha256
        if arch not in self._digests:
            self._digests[arch] = file_digest(self._own(arch))
        return self._digests[arch]

    def is_on(self, facts: Facts) -> bool:
        """Whether a host has the wanted binary.

        Raises:
            MissingPartError: the file of the settings is not there.

        """
        digest = self.digest(facts.arch)
        return bool(facts.sha256 == digest if digest else facts.version == self.version)

    def get(self, arch: str, run: Run) -> Path:
        """Return the verified binary for an architecture, downloaded where need be.

        Raises:
            MissingPartError: it is not to be had.
            PlatformError: it is not what it should be.

        """
        path = self._own(arch) if self._settings.binary else self._downloaded(arch, run)
        found, wanted = file_digest(path), self._settings.sha256
        if wanted and found != wanted:
            msg = f"{path}: its SHA-256 is {found}, not {wanted}"
            raise PlatformError(msg, hint="mend `sha256`, or take the right file")
        if self._settings.signature_key:
            self._verify(path, found)
        return path

    def _own(self, arch: str) -> Path:
        return Path(self._settings.binary.replace("{arch}", arch)).expanduser()

    def _downloaded(self, arch: str, run: Run) -> Path:
        version = self._settings.version
        folder = private_folder(self._cache / version)
        path = folder / f"k0s-{version}-{arch}"
        with hold(folder / "lock", run, f"k0s {version}"):
            if not path.exists():
                self._download(path, run)
        return path

    def _download(self, path: Path, run: Run) -> None:
        version = self._settings.version
        base = (self._settings.mirror or _RELEASES).rstrip("/") + f"/{version.replace('+', '%2B')}"
        url = f"{base}/{path.name.replace('+', '%2B')}"
        downloads = Downloads(run)
        try:
            if self._settings.signature_key:
                signature = path.with_name(path.name + ".sig")
                found = Source(url=f"{url}.sig", checksum=f"{base}/sha256sums.txt")
                downloads.get(found, signature, subject="k0s signature", mode=0o600)
            found = Source(url=url, checksum=f"{base}/sha256sums.txt")
            downloads.get(found, path, subject=f"k0s {version}")
        except DownloadError as error:
            msg = f"k0s {version} cannot be downloaded"
            hint = (
                "set `binary` to a k0s binary of this machine, or `mirror` to where it can be had"
            )
            raise MissingPartError(msg, tried=(str(error),), hint=hint) from error

    def _verify(self, path: Path, found: str) -> None:
        """Check the signature that ``cosign sign-blob --key`` made: ECDSA over SHA-256."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        key_file = Path(self._settings.signature_key).expanduser()
        signature_file = path.with_name(path.name + ".sig")
        try:
            key = load_pem_public_key(key_file.read_bytes())
            signature = base64.b64decode(signature_file.read_bytes(), validate=False)
        except (OSError, ValueError, binascii.Error) as error:
            msg = f"the signature of {path.name} cannot be checked: {error}"
            hint = f"`signature_key` is a public key in PEM, and {signature_file.name} lies beside"
            raise MissingPartError(msg, hint=hint) from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            msg = f"{key_file} is no ECDSA key"
            raise PlatformError(msg, hint="take the `cosign.pub` of the release")
        try:
            key.verify(signature, bytes.fromhex(found), ec.ECDSA(Prehashed(hashes.SHA256())))
        except InvalidSignature as error:
            msg = f"{path}: its signature is not by the key {key_file}"
            raise PlatformError(msg, hint="do not use this file; get it from its makers") from error
