"""Entry of both processes: ``python -I -S __main__.py supervisor|provisioner STATE_DIR [PARENT]``.

It is started by path, without site-packages, so it makes its own package importable,
behind the standard library, which nothing beside it may shadow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _main(role: str, state_dir: str, parent: int = 0) -> int:
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    if role == "provisioner":
        from infometis_platform_embedded.daemon.provisioner import serve

        return serve(Path(state_dir))
    return _detach(state_dir, parent)


def _detach(state_dir: str, parent: int) -> int:
    """Run the supervisor as nobody's child; return once it has its pid file, or has failed."""
    from infometis_platform_embedded.daemon.supervisor import Supervisor

    read, write = os.pipe()
    if os.fork():
        os.close(write)
        return 0 if os.read(read, 1) else 1
    os.close(read)
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    return Supervisor(Path(state_dir), parent).run(started=write)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], sys.argv[2], *(int(each) for each in sys.argv[3:])))
