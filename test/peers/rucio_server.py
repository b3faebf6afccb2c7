"""Runs Rucio's server on a PostgreSQL of its own, until it is ended. See scripts/rucio-server."""
import argparse
import contextlib
import glob
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

READY_SECONDS = 300
# A worker imports all of Rucio before it says that it lives, which takes minutes on a busy machine.
WORKER_SECONDS = 600
# What the server imports and Debian has, and the packages with that.
PACKAGES = {"gunicorn": "gunicorn", "flask": "python3-flask", "psycopg": "python3-psycopg", "alembic": "python3-alembic",
            "dogpile.cache": "python3-dogpile.cache", "dateutil": "python3-dateutil", "requests": "python3-requests",
            "jsonschema": "python3-jsonschema", "pymemcache": "python3-pymemcache", "packaging": "python3-packaging",
            "typing_extensions": "python3-typing-extensions"}
# What it imports and does not need for this: modules that are not there are empty ones, of which anything can be asked.
OPTIONAL = ["paramiko", "stomp", "statsd", "prometheus_client", "geoip2", "geoip2.database", "redis", "boto3", "botocore", "botocore.client",
            "magic", "tabulate", "google", "google.oauth2", "google.oauth2.service_account", "oic", "oic.oic", "oic.oic.message", "oic.utils",
            "oic.utils.authn", "oic.utils.authn.client", "jwkest", "jwkest.jws", "jwkest.jwt"]
EMPTY = '''from unittest import mock


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return mock.MagicMock()
'''
CONFIG = """[common]
loglevel = ERROR
[client]
rucio_host = http://127.0.0.1:{port}
auth_host = http://127.0.0.1:{port}
[database]
default = postgresql+psycopg://rucio@/rucio?host={sockets}
pool_size = 20
max_overflow = 20
[cache]
url = unix:{cache}
[bootstrap]
userpass_identity = bench
userpass_pwd = bench
userpass_email = bench@example.org
[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
support = none
support_rucio = none
{policy}
"""
# Nobody may delete replicas by the generic permissions. With this package of permissions root and admins may.
DELETION = """from rucio.core.account import has_account_attribute


def has_permission(issuer, action, kwargs, *, session):
    if action != "delete_replicas":
        return None  # as the generic permissions say
    return issuer.external == "root" or has_account_attribute(account=issuer, key="admin", session=session)
"""
BOOTSTRAP = """from rucio.db.sqla import models
from rucio.db.sqla.session import get_engine
from rucio.db.sqla.util import create_base_vo, create_root_account
models.register_models(get_engine())
create_base_vo()
create_root_account()
"""


def there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def missing():
    """Says what is needed and not there, one a line."""
    if not os.environ.get("RUCIO_SOURCE"):
        yield "RUCIO_SOURCE names no tree of Rucio's source"
    for module, package in PACKAGES.items():
        if not there(module):
            yield f"no Python module {module} (Debian's {package})"
    if not there("sqlalchemy") or int(importlib.import_module("sqlalchemy").__version__.split(".")[0]) < 2:
        yield "no SQLAlchemy 2 (PYTHONPATH may lead to it)"
    if not shutil.which("memcached"):
        yield "no memcached"
    if not binaries():
        yield "no PostgreSQL (Debian's postgresql)"


def binaries():
    """The folder of PostgreSQL's newest server."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    path = found[-1] if found else shutil.which("initdb")
    return Path(path).resolve().parent if path else None


@contextlib.contextmanager
def process(*args, **kwargs):
    """A process that is ended when it is left."""
    running = subprocess.Popen([str(a) for a in args], start_new_session=True, **kwargs)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def database(folder):
    """A PostgreSQL that syncs to the disk as it does by default; yields the folder of its socket."""
    data = folder / "data"
    user = {}
    if os.geteuid() == 0:  # it refuses to run as root
        entry = pwd.getpwnam("postgres")
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    subprocess.run([binaries() / "initdb", "--pgdata", data, "--username", "rucio", "--auth", "trust", "--encoding", "UTF8"],
                   check=True, stdout=subprocess.DEVNULL, cwd=folder, **user)
    with process(binaries() / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", cwd=folder, **user) as running:
        create = [binaries() / "createdb", "--host", folder, "--username", "rucio", "rucio"]
        end = time.monotonic() + READY_SECONDS
        while subprocess.run(create, stderr=subprocess.DEVNULL).returncode != 0:
            if running.poll() is not None or time.monotonic() > end:
                raise RuntimeError("PostgreSQL is not ready")
            time.sleep(0.1)
        yield folder


@contextlib.contextmanager
def cache(folder):
    """A memcached, without which Rucio asks the database for everything again; yields its socket."""
    user = []
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        user = ["-u", "nobody"]
    with process("memcached", "-s", folder / "socket", "-a", "0777", *user):
        yield folder / "socket"


def stubs(folder):
    """Empty modules in the place of those that are not there."""
    for module in OPTIONAL:
        if not there(module):
            path = folder / module.replace(".", "/")
            path.mkdir(parents=True, exist_ok=True)
            (path / "__init__.py").write_text(EMPTY)
    return folder


def open_deletion(folder):
    """Makes a policy package with DELETION and returns the setting that names it."""
    package = folder / "dapple_open_deletion"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "permission.py").write_text(DELETION)
    return "package = " + package.name


def serve(listener, folder, opened, workers):
    """Runs everything until the server ends."""
    folder.chmod(0o711)
    for name in ("postgres", "memcached"):
        (folder / name).mkdir()
    port = listener.getsockname()[1]
    with database(folder / "postgres") as sockets, cache(folder / "memcached") as cached:
        policy = open_deletion(folder / "stubs") if opened else ""
        config = folder / "rucio.cfg"
        config.write_text(CONFIG.format(port=port, sockets=sockets, cache=cached, policy=policy))
        source = Path(os.environ["RUCIO_SOURCE"]).resolve() / "lib"
        path = [str(source), os.environ.get("PYTHONPATH", ""), str(stubs(folder / "stubs"))]
        env = {**os.environ, "RUCIO_CONFIG": str(config), "PYTHONPATH": ":".join(filter(None, path)), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, "-c", BOOTSTRAP], check=True, env=env, cwd=folder)
        with process(sys.executable, "-m", "gunicorn", "--workers", workers, "--threads", 4, "--timeout", WORKER_SECONDS,
                     "--bind", f"fd://{listener.fileno()}",
                     "--log-level", "warning", "rucio.web.rest.main:application",
                     env=env, cwd=folder, pass_fds=[listener.fileno()]) as server:
            server.wait()


def end_with_input():
    """Ends this process once its input ends."""
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(prog="rucio-server", description=__doc__)
    parser.add_argument("port", type=int, help="port to serve at, 0 for any that is free")
    parser.add_argument("--open-deletion", action="store_true", help="let root and admins delete replicas")
    parser.add_argument("--workers", type=int, default=4, help="number of processes that answer; each takes a while to start")
    parser.add_argument("--until-eof", action="store_true", help="end when the standard input ends")
    arguments = parser.parse_args()
    why = list(missing())
    if why:
        sys.exit("rucio-server: " + "; ".join(why))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if arguments.until_eof:
        threading.Thread(target=end_with_input, daemon=True).start()
    # Requests wait from here on until the server is up: whoever reads the URL need not ask again and again.
    with socket.create_server(("127.0.0.1", arguments.port), backlog=1024) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        with tempfile.TemporaryDirectory(prefix="rucio-server-") as folder:
            serve(listener, Path(folder), arguments.open_deletion, arguments.workers)


if __name__ == "__main__":
    main()
