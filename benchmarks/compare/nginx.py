"""nginx in front of a server, with the parameters of ../../nginx-conf, the same for all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterable, Iterator

from . import children
from .client import Address, ask_until_answered, free_port
from .failure import MeasurementFailed
from .process_tree import ProcessTree
from .servers import Running, temporary_home
from .tools import REPOSITORY, found

READY_WITHIN_SECONDS = 10.0

NGINX = "nginx"

CONFIGURATION = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    fastcgi_temp_path     fastcgi;
    proxy_temp_path       proxy;
    scgi_temp_path        scgi;
    uwsgi_temp_path       uwsgi;
    map "$host|$http_host" $scoter_port_suffix {{
        default "";
        "~*^(?<scoter_host>[^|]+)\\|\\k<scoter_host>\\.?(?<scoter_port>:[0-9]{{1,5}})$" $scoter_port;
    }}
    upstream application {{
        server {upstream};
{keepalive}    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
{location}
        }}
    }}
}}
"""

UWSGI_PASS = """\
            include    {params};
            uwsgi_pass application;"""

# What a site passes on to a server that speaks HTTP.
PROXY_PASS = """\
            proxy_http_version 1.1;
            proxy_set_header Connection        "";
            proxy_set_header Host              $http_host;
            proxy_set_header X-Real-IP         $remote_addr;
            proxy_set_header X-Forwarded-For   $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-Start   "t=$msec";
            proxy_set_header X-Request-ID      $request_id;
            proxy_pass http://application;"""

KEEPALIVE = """\
        keepalive 64;
        keepalive_requests 1000000000;
"""


@contextlib.contextmanager
def in_front_of(
    running: Running, cores: Iterable[int]
) -> Iterator[tuple[Address, dict[str, ProcessTree]]]:
    """Runs nginx; yields where it listens, and the processes of nginx and of the server apart."""
    with temporary_home() as home:
        address = Address(port=free_port())
        (home / "nginx.conf").write_text(configuration(running, address))
        command = [found("nginx"), "-p", str(home), "-c", "nginx.conf", "-e", "stderr"]
        process = children.start(command, cores, home, home / "output", os.environ)
        try:
            try:
                ask_until_answered(
                    address, "http", READY_WITHIN_SECONDS, given_up=lambda: process.poll() is not None
                )
            except MeasurementFailed as failure:
                raise MeasurementFailed(f"nginx: {failure}\n{children.last_words(home / 'output')}") from None
            yield address, {NGINX: ProcessTree((process.pid,)), **running.parts}
        finally:
            children.stop(process)


def configuration(running: Running, address: Address) -> str:
    speaks_uwsgi = running.protocol == "uwsgi"
    params = Path(REPOSITORY / "nginx-conf" / "uwsgi_params")
    return CONFIGURATION.format(
        upstream=f"unix:{running.address.path}",
        keepalive="" if speaks_uwsgi else KEEPALIVE,
        port=address.port,
        location=UWSGI_PASS.format(params=params) if speaks_uwsgi else PROXY_PASS,
    )
