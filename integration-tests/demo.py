"""Serves the Django and the Flask sample as an operator would: nginx in front, scoter behind a Unix socket.

`make demo` calls this. Everything runs from one temporary directory, nginx on free loopback ports, until
Ctrl-C. With --once it stops after one request to each, and succeeds only if both were answered 200.
"""

import argparse
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SCOTER = REPOSITORY / ".venv" / "bin" / "scoter"
NGINX_CONF = REPOSITORY / "nginx-conf"
APPS = REPOSITORY / "integration-tests" / "apps"
READY_WITHIN_SECONDS = 20
LINES_SHOWN = 6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="stop after one request to each sample")
    once = parser.parse_args().once

    # However the demo ends, it takes its servers along.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        home = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scoter-demo-")))
        servers = []
        statuses = []
        for name, prepare in {"Django": prepare_django, "Flask": prepare_flask}.items():
            port = serve(stack, servers, home / name.lower(), prepare)
            statuses.append(show(name, port))
        if once:
            return 0 if statuses == [200, 200] else 1
        print("\nServing until Ctrl-C. Django's administrator, under /admin/, is admin with password admin.", flush=True)
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        return "a server stopped by itself; its last words are above"
    return 0


def serve(stack, servers, home, prepare):
    """Puts nginx and scoter in front of a sample and returns nginx's port."""
    home.mkdir()
    arguments, environment = prepare(home)
    upstream = home / "scoter.sock"
    servers.append(start(stack, SCOTER, *arguments, "--bind", f"unix:{upstream}", env=environment))
    wait_for(servers[-1], socket.AF_UNIX, str(upstream))

    port = free_port()
    configure_nginx(home / "nginx", port, upstream, home / "www")
    servers.append(start(stack, "nginx", "-p", home / "nginx", "-c", "nginx.conf", "-e", "stderr"))
    wait_for(servers[-1], socket.AF_INET, ("127.0.0.1", port))
    return port


def prepare_django(home):
    """Makes database and static files in `home`; returns scoter's arguments and environment."""
    environment = os.environ | {"DJANGO_SITE_DATA": str(home)}
    site = APPS / "django_site"
    subprocess.run([sys.executable, site / "manage.py", "prepare"], env=environment, check=True)
    return ["project.wsgi", "--chdir", site], environment


def prepare_flask(home):
    """Copies the static files to `home`; returns scoter's arguments and environment."""
    environment = os.environ | {"FLASK_APP_DATA": str(home / "uploads")}
    shutil.copytree(APPS / "flask_app" / "static", home / "www" / "static")
    return ["flask_app:app", "--pythonpath", APPS], environment


def configure_nginx(home, port, upstream, root):
    """Copies nginx-conf and edits the lines marked "# yours"; the rest stays as it is shipped."""
    shutil.copytree(NGINX_CONF, home / "scoter")
    adapt(home / "scoter" / "upstream.conf", server=f"unix:{upstream}")
    adapt(home / "scoter" / "site.conf", listen=f"127.0.0.1:{port}", root=root)
    # No master process: as root that would run workers as nobody, who may not enter the temporary directory.
    (home / "nginx.conf").write_text(
        """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { }
http {
    access_log off;
    types { text/css css; text/javascript js; image/svg+xml svg; }
    client_body_temp_path body;
    fastcgi_temp_path     fastcgi;
    proxy_temp_path       proxy;
    scgi_temp_path        scgi;
    uwsgi_temp_path       uwsgi;
    include scoter/upstream.conf;
    include scoter/site.conf;
}
"""
    )


def adapt(path, **values):
    """Gives each named directive of a line marked "# yours" its value."""
    text = path.read_text()
    for directive, value in values.items():
        text, count = re.subn(rf"(?m)^(\s*{directive}\s+)[^;]+(;\s*# yours\b)", rf"\g<1>{value}\2", text)
        if count != 1:
            sys.exit(f'{path.name}: expected one "{directive}" marked "# yours", found {count}')
    path.write_text(text)


def start(stack, *command, env=None):
    """Starts a server that is stopped and waited for when `stack` unwinds."""
    try:
        # A session of its own: Ctrl-C reaches this process, and this process stops the servers in order.
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, env=env)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}; `make demo` installs what is missing")
    stack.callback(stop, server)
    return server


def stop(server):
    server.terminate()
    try:
        server.wait(READY_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def wait_for(server, family, address):
    """Returns when `server` accepts connections."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket(family) as connection:
            connection.connect(address)
            return
        if server.poll() is not None:
            sys.exit(f"{server.args[0]} stopped with exit code {server.returncode}; its last words are above")
        time.sleep(0.05)
    sys.exit(f"{server.args[0]} does not answer after {READY_WITHIN_SECONDS} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def show(name, port):
    """Asks for the front page, prints how the reply begins and returns its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_WITHIN_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        reply = connection.getresponse()
        lines = reply.read().decode(errors="replace").splitlines()
    print(f"\n{name}: http://127.0.0.1:{port}/")
    print(f"    HTTP/{reply.version / 10} {reply.status} {reply.reason}")
    for line in lines[:LINES_SHOWN]:
        print(f"    {line}")
    sys.stdout.flush()
    return reply.status


if __name__ == "__main__":
    sys.exit(main())
