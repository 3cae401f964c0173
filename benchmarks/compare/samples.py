"""The Django and the Flask application of the integration tests, made ready to be served."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .failure import MeasurementFailed
from .servers import Application
from .tools import SAMPLES, Tools


@dataclass(frozen=True)
class Page:
    """A page of a real application that always has the same length and changes nothing."""

    name: str
    application: Application
    path: str


def flask(home: Path) -> Page:
    """Returns Flask's page: a template and a signed session cookie."""
    application = Application("flask_app", "app", SAMPLES, {"FLASK_APP_DATA": str(home / "uploads")})
    return Page("Flask", application, "/")


def django(home: Path, tools: Tools) -> Page:
    """Makes Django's database and returns its page: the form to log in, with eight middlewares."""
    site = SAMPLES / "django_site"
    environment = {"DJANGO_SITE_DATA": str(home)}
    prepared = subprocess.run(
        [str(tools.peers_python), str(site / "manage.py"), "prepare"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )
    if prepared.returncode != 0:
        raise MeasurementFailed(f"the Django sample: {prepared.stderr.strip()[-500:]}")
    return Page("Django", Application("project.wsgi", "application", site, environment), "/accounts/login/")
