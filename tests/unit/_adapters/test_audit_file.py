"""The ledger on disk, with genuine files, processes, locks and full disks."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infometis_sdk._adapters.audit_file import AuditFile
from infometis_sdk.engine.audit import verify
from infometis_sdk.errors import AuditError
from infometis_sdk.model.audit import AuditEvent

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.audit_report import AuditReport

STACK = "demo-dev"


def event(verb: str = "apply", reason: str = "") -> AuditEvent:
    """Return an event."""
    return AuditEvent(kind="write", verb=verb, stack_id=STACK, reason=reason)


def report_of(ledger: AuditFile) -> AuditReport:
    """Verify what is on disk against the head beside it."""
    head = ledger.head(STACK)
    return verify(STACK, ledger.read(STACK), {"head.json": [head] if head else []})


def test_records_are_chained_and_private(tmp_path: Path) -> None:
    """Files are for their owner alone, and the head is the newest record."""
    ledger = AuditFile(tmp_path / "audit")
    first, second = ledger.record(event()), ledger.record(event())
    assert (first.sequence, first.previous) == (1, "")
    assert (2, first.hash) == (second.sequence, second.previous)
    assert second.head == ledger.head(STACK)
    assert report_of(ledger).intact
    folder = ledger.path(STACK).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {0o600} == {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}


WRITER = """
import sys
from pathlib import Path
from infometis_sdk._adapters.audit_file import AuditFile
from infometis_sdk.model.audit import AuditEvent
ledger = AuditFile(Path(sys.argv[1]))
for n in range(int(sys.argv[2])):
    ledger.record(AuditEvent(kind="write", verb=sys.argv[3], stack_id="demo-dev"))
    print(n, flush=True)
"""


def writer(root: Path, count: int, name: str) -> subprocess.Popen[str]:
    """Start a process that records."""
    return subprocess.Popen(
        (sys.executable, "-c", WRITER, str(root), str(count), name),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_share_one_chain(tmp_path: Path) -> None:
    """Records of processes that write at once are all there, in one chain."""
    running = [writer(tmp_path, 40, name) for name in ("a", "b", "c")]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    ledger = AuditFile(tmp_path)
    report = report_of(ledger)
    assert report.intact, str(report)
    assert report.records == 120


def test_a_writer_that_is_killed_leaves_a_chain_that_goes_on(tmp_path: Path) -> None:
    """SIGKILL at any moment neither breaks the chain nor blocks the next writer."""
    for _ in range(3):
        process = writer(tmp_path, 100_000, "victim")
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        ledger = AuditFile(tmp_path)
        ledger.record(event("after"))
        report = report_of(ledger)
        assert report.intact, str(report)


def test_a_torn_line_is_closed_and_the_chain_goes_on(tmp_path: Path) -> None:
    """What a crash left of a record is a line of its own, and no fault."""
    ledger = AuditFile(tmp_path)
    ledger.record(event())
    with ledger.path(STACK).open("a", encoding="ascii") as stream:
        stream.write('{"chain":"unfinis')
    assert report_of(ledger).intact
    assert ledger.record(event()).sequence == 2
    report = report_of(ledger)
    assert report.intact, str(report)
    assert report.records == 2
    assert len(report.notes) == 1


def test_a_lost_end_of_line_is_mended(tmp_path: Path) -> None:
    """A whole record without the end of its line counts, and the next one begins a new line."""
    ledger = AuditFile(tmp_path)
    ledger.record(event())
    path = ledger.path(STACK)
    os.truncate(path, path.stat().st_size - 1)
    assert ledger.record(event()).sequence == 2
    assert report_of(ledger).intact


def test_a_cut_file_goes_on_from_the_head_so_that_the_gap_stays(tmp_path: Path) -> None:
    """Records taken from the end are missed at once, and for ever."""
    ledger = AuditFile(tmp_path)
    for _ in range(4):
        ledger.record(event())
    path = ledger.path(STACK)
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    path.write_text("".join(lines[:2]), encoding="ascii")
    assert {("truncated", 3), ("truncated", 4)} == {
        (f.kind, f.sequence) for f in report_of(ledger).faults
    }
    assert ledger.record(event()).sequence == 5
    assert {("removed", 3), ("removed", 4)} == {
        (f.kind, f.sequence) for f in report_of(ledger).faults
    }


def test_rotated_files_are_one_chain(tmp_path: Path) -> None:
    """Who moves the file away under a name beginning alike breaks nothing; who removes it does."""
    ledger = AuditFile(tmp_path)
    path = ledger.path(STACK)
    for suffix in (".2", ".1"):
        ledger.record(event())
        ledger.record(event())
        path.rename(path.with_name(path.name + suffix))
    assert ledger.record(event()).sequence == 5
    assert report_of(ledger).intact
    path.with_name(path.name + ".2").unlink()
    assert {1, 2} == {f.sequence for f in report_of(ledger).faults}


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    """A disk that takes no more is an error with the reason, and the chain stays whole."""
    ledger = AuditFile(tmp_path)
    ledger.record(event())
    size = ledger.path(STACK).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # The kernel takes 100 bytes more and then no more, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        with pytest.raises(AuditError, match=os.strerror(errno.EFBIG)):
            ledger.record(event(reason="x" * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert size == ledger.path(STACK).stat().st_size
    assert report_of(ledger).intact
    assert ledger.record(event()).sequence == 2


def test_a_folder_that_may_not_be_made_is_an_error(tmp_path: Path) -> None:
    """Where a file stands in the way of the folder, the error names it."""
    (tmp_path / "audit").write_text("", encoding="ascii")
    with pytest.raises(AuditError, match="demo-dev"):
        AuditFile(tmp_path / "audit").record(event())


def test_text_of_any_kind_stays_on_one_line(tmp_path: Path) -> None:
    """What people or file systems say cannot break a line, nor what is no text at all."""
    ledger = AuditFile(tmp_path)
    ledger.record(event(reason="one\ntwo\u2028three\r\x1b[31m\udcff"))
    assert len(ledger.path(STACK).read_bytes().splitlines()) == 1
    assert report_of(ledger).intact
