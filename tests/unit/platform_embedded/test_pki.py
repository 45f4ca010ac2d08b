from __future__ import annotations

import datetime as dt
import stat
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infometis_platform_embedded.pki import LEAVES, ensure_pki, expires_soon

if TYPE_CHECKING:
    from pathlib import Path


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_each_leaf_is_signed_by_its_authority(tmp_path: Path) -> None:
    """Every certificate chains to the authority that it names, and to no other."""
    folder = tmp_path / "pki"
    assert ensure_pki(folder)
    for leaf in LEAVES:
        certificate = _read(folder / f"{leaf.name}.crt")
        certificate.verify_directly_issued_by(_read(folder / f"{leaf.authority}.crt"))
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert [each.value for each in common] == [leaf.user]


def test_clients_are_no_servers(tmp_path: Path) -> None:
    """Only what serves an address may act as a server."""
    ensure_pki(tmp_path / "pki")
    for leaf in LEAVES:
        extensions = _read(tmp_path / "pki" / f"{leaf.name}.crt").extensions
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        serves = bool(leaf.addresses or leaf.names)
        assert (ExtendedKeyUsageOID.SERVER_AUTH in usage) == serves


def test_every_file_is_private(tmp_path: Path) -> None:
    """Every file is readable by its owner only, and so is the folder."""
    ensure_pki(tmp_path / "pki")
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "pki").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """What is there and valid is kept."""
    folder = tmp_path / "pki"
    ensure_pki(folder)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    assert not ensure_pki(folder)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_a_spoilt_leaf_is_issued_again(tmp_path: Path) -> None:
    """A leaf that is lost or torn is issued again by the same authority."""
    folder = tmp_path / "pki"
    ensure_pki(folder)
    authority = (folder / "ca.crt").read_bytes()
    (folder / "admin.crt").write_text("torn")
    assert ensure_pki(folder)
    assert (folder / "ca.crt").read_bytes() == authority
    _read(folder / "admin.crt").verify_directly_issued_by(_read(folder / "ca.crt"))
    assert not expires_soon(folder / "admin.crt")


def test_an_ending_is_seen_in_time(tmp_path: Path) -> None:
    """A leaf lives for more than a year, an authority for ten."""
    ensure_pki(tmp_path / "pki")
    now = dt.datetime.now(dt.UTC)
    assert _read(tmp_path / "pki" / "admin.crt").not_valid_after_utc - now > dt.timedelta(days=365)
    assert _read(tmp_path / "pki" / "ca.crt").not_valid_after_utc - now > dt.timedelta(days=3640)
    assert expires_soon(tmp_path / "absent.crt")
