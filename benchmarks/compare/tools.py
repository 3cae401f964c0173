"""The programs that are measured, and those that measure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .failure import MeasurementFailed

REPOSITORY = Path(__file__).resolve().parent.parent.parent
APPLICATIONS = REPOSITORY / "benchmarks" / "applications"
SAMPLES = REPOSITORY / "integration-tests" / "apps"
# Where `make nginx-module` puts it, wherever Cargo builds.
NGINX_MODULE = REPOSITORY / "target" / "nginx-module" / "ngx_http_uwsgi_keep_conn_module.so"


@dataclass(frozen=True)
class Tools:
    """Where each program is; a program that is missing fails when it is asked for, not before."""

    load: Path
    floor: Path
    scoter: Path
    peers: Path
    target: Path

    @classmethod
    def found(cls, target: Path, scoter: Path, peers: Path) -> Tools:
        return cls(target / "release" / "load", target / "release" / "floor", scoter, peers, target)

    @property
    def scoter_python(self) -> Path:
        return self.scoter.parent / "python"

    @property
    def peers_python(self) -> Path:
        return self.peers / "bin" / "python"

    def peer(self, name: str) -> str:
        """Returns a program of the peers' environment."""
        return needed(self.peers / "bin" / name)

    def versions(self) -> dict[str, str]:
        """Returns the version of everything that was measured, as it names itself."""
        return {
            "scoter": f"{said(self.scoter, '--version')}, revision {self.revision()}",
            "uWSGI": said(self.peers / "bin" / "uwsgi", "--version"),
            "gunicorn": said(self.peers / "bin" / "gunicorn", "--version"),
            "granian": said(self.peers / "bin" / "granian", "--version"),
            "nginx": said(Path(shutil.which("nginx") or "nginx"), "-v"),
            "Python of scoter": said(self.scoter_python, "--version"),
            "Python of the peers": said(self.peers_python, "--version"),
        }

    def revision(self) -> str:
        """Returns the commit that is checked out, and whether something was changed since."""
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        return described.stdout.strip() or "unknown"


def needed(program: Path) -> str:
    if not os.access(program, os.X_OK):
        raise MeasurementFailed(
            f"{program.name} is not installed ({program}); `make bench` installs what is missing"
        )
    return str(program)


def nginx_module() -> Path:
    """Returns the module of nginx-conf/keepalive."""
    if not NGINX_MODULE.exists():
        raise MeasurementFailed(
            f"the module of nginx-conf/keepalive is not built ({NGINX_MODULE}); `make nginx-module` does that"
        )
    return NGINX_MODULE


def found(name: str) -> str:
    """Returns a program of the system."""
    path = shutil.which(name)
    if path is None:
        raise MeasurementFailed(f"{name} is not installed; `make bench` installs what is missing")
    return path


def said(program: Path, option: str) -> str:
    """Returns the number in a program's answer to a question for its version."""
    try:
        answer = subprocess.run(
            [str(program), option], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    number = re.search(r"\d+(\.\d+)+\S*", answer.stdout + answer.stderr)
    return number.group().rstrip(")") if number else "unknown"
