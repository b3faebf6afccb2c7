#!/usr/bin/env python3
"""Checks a three-node cluster with Rucio's own clients, command lines and tests.

RUCIO_SOURCE is the root of a tree of Rucio's source. Without it, or without the packages that its client needs, the check
fails and says why. The list of methods and tests in docs/rucio-compatibility.md is compared with what ran; --write brings
it up to date.
"""
import argparse
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DOCUMENT = ROOT / "docs" / "rucio-compatibility.md"
PACKAGES = {"requests": "python3-requests", "dogpile.cache": "python3-dogpile.cache", "jsonschema": "python3-jsonschema",
            "packaging": "python3-packaging", "tabulate": "python3-tabulate", "rich": "python3-rich", "click": "python3-click",
            "typing_extensions": "python3-typing-extensions", "sqlalchemy": "python3-sqlalchemy",
            "dateutil": "python3-dateutil", "pytest": "python3-pytest", "flask": "python3-flask", "xmltodict": "python3-xmltodict"}
CONFIG = """[common]
loglevel = ERROR
[client]
rucio_host = {url}
auth_host = {url}
auth_type = userpass
username = ddmlab
password = secret
account = root
[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
support = none
support_rucio = none
[test]
cacert = none
usercert = none
userkey = none
"""


def missing_packages():
    missing = []
    for module, package in PACKAGES.items():
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if not found:
            missing.append(package)
    return missing


@contextlib.contextmanager
def cluster(folder):
    """Runs three nodes and yields their URLs."""
    subprocess.run(["go", "build", "-o", folder / "dapple", "./cmd/dapple"], cwd=ROOT, check=True)
    log = open(folder / "dapple.log", "w")
    nodes = subprocess.Popen([folder / "dapple", "dev", "--nodes", "3", "--http-port", "0", "--data-dir", folder / "data"],
                             stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield list(ready_urls(nodes, folder / "dapple.log"))
    finally:
        nodes.terminate()
        nodes.wait(30)
        nodes.stdout.close()
        log.close()


def ready_urls(nodes, log):
    """The URLs that the cluster prints before it says that it is ready."""
    for line in nodes.stdout:
        if line == "ready\n":
            return
        if found := re.fullmatch(r"node \d+: (\S+)\n", line):
            yield found[1]
    sys.exit(f"the cluster does not come up:\n{log.read_text()}")


def prepare(source, url):
    """Makes what Rucio's test bed has before its tests run: an account, scopes and RSEs."""
    sys.path.insert(0, str(source / "lib"))
    from rucio.client import Client
    c = Client(rucio_host=url, auth_host=url, account="root", auth_type="userpass", creds={"username": "ddmlab", "password": "secret"})
    c.add_account("jdoe", "SERVICE", "jdoe@example.org")
    for scope in ("mock", "archive"):
        c.add_scope("root", scope)
    every = {"read": 1, "write": 1, "delete": 1}
    for rse in ("MOCK", "MOCK2", "MOCK3", "MOCK4", "MOCK5"):
        c.add_rse(rse)
        c.add_protocol(rse, {"scheme": "file", "hostname": rse.lower() + ".example", "port": 0, "prefix": f"/{rse}/",
                             "impl": "rucio.rse.protocols.posix.Default", "domains": {"lan": every, "wan": every}})


def pytest(folder, source, urls, *arguments, cwd):
    env = dict(os.environ, RUCIO_HOME=str(folder), RUCIO_SOURCE=str(source), DAPPLE_URLS=",".join(urls), DAPPLE_URL=urls[0],
               SUITE="client", PYTHONDONTWRITEBYTECODE="1",
               PYTHONPATH=os.pathsep.join(map(str, (source / "lib", source, HERE))))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", "--tb=short", *arguments],
                          env=env, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=900)
    passed = re.findall(r"^PASSED (\S+)", done.stdout, re.M)
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(f"FAILED: {' '.join(arguments)}")
    print(done.stdout.splitlines()[-1])
    return passed


def document(tests):
    """The part of the document that is made here: every method of the clients, and the tests of Rucio that pass."""
    sys.path.insert(0, str(HERE))
    import methods
    lines = ["| method | |", "|---|---|"]
    checks = [n for n in vars(methods) if n.split("_")[0].endswith("Client")]
    rows = {n: "pass" for n in checks} | {n: "unsupported: " + why for n, why in methods.UNSUPPORTED.items()}
    lines += [f"| {name.replace('_', '.', 1)} | {rows[name]} |" for name in sorted(rows)]
    lines += ["", f"{len(checks)} methods pass, {len(methods.UNSUPPORTED)} are unsupported.", "", "## Rucio's own tests", "",
              f"These {len(tests)} pass unchanged:", "", *(f"- `{test}`" for test in tests)]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the list into docs/rucio-compatibility.md")
    write = parser.parse_args().write
    if not os.environ.get("RUCIO_SOURCE"):
        sys.exit("rucio-client-check: RUCIO_SOURCE names no tree of Rucio's source")
    if missing := missing_packages():
        sys.exit("rucio-client-check: missing Debian packages: " + " ".join(missing))
    source = Path(os.environ["RUCIO_SOURCE"]).resolve()
    tests = (HERE / "rest-tests.txt").read_text().split()
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as urls:
        folder = Path(name)
        (folder / "etc").mkdir()
        (folder / "etc" / "rucio.cfg").write_text(CONFIG.format(url=urls[0]))
        os.environ["RUCIO_HOME"] = name
        print("every method of the clients, against each of three nodes; the command lines:")
        pytest(folder, source, urls, "--noconftest", f"--rootdir={HERE}", "test_methods.py", "test_cli.py", cwd=HERE)
        prepare(source, urls[0])
        print("Rucio's own tests:")
        passed = pytest(folder, source, urls, "-p", "restonly", *tests, cwd=source)
        if lost := sorted(set(tests) - set(passed)):
            sys.exit(f"these tests did not pass, they were skipped perhaps: {lost}")
    text, mark = DOCUMENT.read_text(), "<!-- written by scripts/rucio-client-check -->\n"
    head, found, tail = text.partition(mark)
    if write:
        DOCUMENT.write_text(head + mark + document(tests))
    elif not found or tail != document(tests):
        sys.exit(f"{DOCUMENT} is out of date: scripts/rucio-client-check --write")
    print("rucio-client-check: all is well")


if __name__ == "__main__":
    main()
