"""nginx in front of a server, with the parameters of ../../nginx-conf, the same for all.

Its module of ../../nginx-conf/keepalive is loaded only in front of a server that is measured with it: the others
do not know what it asks for, and would close each connection all the same.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

from . import children
from .client import Address, ask_until_answered, free_port
from .connections import check_kept
from .failure import MeasurementFailed
from .process_tree import ProcessTree
from .servers import Running, temporary_home
from .tools import REPOSITORY, found

READY_WITHIN_SECONDS = 10.0

NGINX = "nginx"

CONFIGURATION = """\
{load_module}daemon off;
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
{buffers}    map "$host|$http_host" $scoter_port_suffix {{
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

# No group has more clients, so nginx never closes a connection because it keeps too many.
KEEPALIVE = """\
        keepalive 256;
        keepalive_requests 1000000000;
"""

# Those of ../../nginx-conf/site.conf, and the same for a server that speaks HTTP: with nginx's own a response of
# 64 KB may take the way through a file.
BUFFERS = """\
    uwsgi_buffer_size 16k;
    uwsgi_buffers     8 16k;
    proxy_buffer_size 16k;
    proxy_buffers     8 16k;
"""
# How lines end that nginx-conf leaves to whoever has the module.
FOR_THE_MODULE = "# keepalive"


@dataclass(frozen=True)
class Front:
    """How nginx differs from the one that most groups have."""

    # The module that keeps uwsgi connections, if it is to be loaded and to ask for that.
    module: Path | None = None
    buffers: str = ""

    def keeps(self, running: Running) -> bool:
        """Whether nginx keeps connections to the server: over HTTP it can do so without a module."""
        return self.module is not None or running.protocol == "http"


PLAIN = Front()


@contextlib.contextmanager
def in_front_of(
    running: Running, cores: Iterable[int], front: Front = PLAIN, path: str = "/"
) -> Iterator[tuple[Address, dict[str, ProcessTree]]]:
    """Runs nginx; yields where it listens, and the processes of nginx and of the server apart.

    It has answered once then, and keeps its connection to the server if that is what is measured.
    """
    with temporary_home() as home:
        address = Address(port=free_port())
        params = home / "uwsgi_params"
        params.write_text(parameters(front))
        (home / "nginx.conf").write_text(configuration(running, address, front, params))
        command = [found("nginx"), "-p", str(home), "-c", "nginx.conf", "-e", "stderr"]
        process = children.start(command, cores, home, home / "output", os.environ)
        try:
            try:
                ask_until_answered(
                    address, "http", READY_WITHIN_SECONDS, path, given_up=lambda: process.poll() is not None
                )
                check_kept(running.address, front.keeps(running))
            except MeasurementFailed as failure:
                raise MeasurementFailed(f"nginx: {failure}\n{children.last_words(home / 'output')}") from None
            yield address, {NGINX: ProcessTree((process.pid,)), **running.parts}
        finally:
            children.stop(process)


def configuration(running: Running, address: Address, front: Front, params: Path) -> str:
    speaks_uwsgi = running.protocol == "uwsgi"
    return CONFIGURATION.format(
        load_module=f"load_module {front.module};\n" if front.module else "",
        buffers=front.buffers,
        upstream=f"unix:{running.address.path}",
        keepalive=KEEPALIVE if front.keeps(running) else "",
        port=address.port,
        location=UWSGI_PASS.format(params=params) if speaks_uwsgi else PROXY_PASS,
    )


def parameters(front: Front) -> str:
    """Returns the operator's `uwsgi_params`; with the module, the lines that are for it are active."""
    lines = (REPOSITORY / "nginx-conf" / "uwsgi_params").read_text().splitlines(keepends=True)
    if front.module is None:
        return "".join(lines)
    active = [line.lstrip("#") if line.rstrip().endswith(FOR_THE_MODULE) else line for line in lines]
    if active == lines:
        raise MeasurementFailed(f"uwsgi_params: no line ends with `{FOR_THE_MODULE}`")
    return "".join(active)
