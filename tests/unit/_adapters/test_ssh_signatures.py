"""SSH signatures over a plan's digest, made and checked by the genuine ``ssh-keygen``."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from infometis_sdk._adapters.ssh_signatures import check_signature
from infometis_sdk.errors import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no OpenSSH client here")

DIGEST = "sha256:" + 64 * "0"


def keygen(*words: object) -> None:
    """Run ``ssh-keygen``."""
    subprocess.run(("ssh-keygen", "-q", *map(str, words)), check=True, capture_output=True)


def signed(folder: Path, principals: str, options: str = "") -> tuple[Path, str, Path]:
    """Sign the digest with a new key; return what is checked: with whose keys, and over what."""
    key = folder / "key"
    keygen("-t", "ed25519", "-N", "", "-f", key)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    signers = folder / "signers"
    signers.write_text(f"{principals} {options} {public}\n")
    message = folder / "plan.txt"
    message.write_text(DIGEST)
    keygen("-Y", "sign", "-f", key, "-n", "infometis", message)
    return message.with_suffix(".txt.sig"), DIGEST, signers


def test_every_name_of_a_key_is_told(tmp_path: Path) -> None:
    """Who signed is all that the file calls the key, so that no author hides behind an alias."""
    found = check_signature(*signed(tmp_path, "zoe@x,dan@x"))
    assert (found.principal, found.others) == ("zoe@x", ("dan@x",))
    assert found.key.startswith("SHA256:")


def test_a_pattern_is_nobody(tmp_path: Path) -> None:
    """A key that belongs to everybody of a domain says not who signed."""
    with pytest.raises(RefusedError, match="nobody"):
        check_signature(*signed(tmp_path, "*@corp.example"))


def test_a_key_out_of_its_time_is_refused(tmp_path: Path) -> None:
    """What the file says of a key's time holds."""
    with pytest.raises(RefusedError, match="by no key that signers allows"):
        check_signature(*signed(tmp_path, "ann@x", 'valid-before="20200101"'))


def test_another_digest_is_refused(tmp_path: Path) -> None:
    """A signature over one plan opens nothing for another one."""
    signature, digest, signers = signed(tmp_path, "ann@x")
    assert check_signature(signature, digest, signers).principal == "ann@x"
    with pytest.raises(RefusedError, match="no good signature"):
        check_signature(signature, digest.replace("0", "1"), signers)
