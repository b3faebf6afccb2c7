"""Runs Rucio's command lines, rucio and rucio-admin, against the first node in DAPPLE_URLS."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from site_fixture import Site

SOURCE = Path(os.environ["RUCIO_SOURCE"])
URL = os.environ["DAPPLE_URLS"].split(",")[0]


@pytest.fixture(scope="module")
def site():
    return Site(URL)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("rucio")
    (home / "etc").mkdir()
    (home / "etc" / "rucio.cfg").write_text(
        f"[client]\nrucio_host = {URL}\nauth_host = {URL}\nauth_type = userpass\n"
        "username = ddmlab\npassword = secret\naccount = root\n[policy]\npermission = generic\nschema = generic\n")

    def command(tool, *arguments):
        env = dict(os.environ, RUCIO_HOME=str(home), COLUMNS="300")
        done = subprocess.run([sys.executable, str(SOURCE / "bin" / tool), *arguments], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return command


def test_rses(run, site):
    rse, old = site.rse_name(), site.rse_name()
    run("rucio", "rse", "add", rse)
    run("rucio-admin", "rse", "add", old)
    for listed in (run("rucio", "rse", "list"), run("rucio", "list-rses"), run("rucio-admin", "rse", "list")):
        assert {rse, old} <= set(listed.split())
    run("rucio", "rse", "protocol", "add", rse, "--hostname", "one.example", "--scheme", "https", "--prefix", "/one/", "--port", "8443")
    run("rucio-admin", "rse", "add-protocol", "--hostname", "two.example", "--scheme", "root", "--prefix", "/two/", "--port", "1094", old)
    assert "one.example" in run("rucio", "rse", "show", rse)
    assert "two.example" in run("rucio-admin", "rse", "info", old)


def test_scopes(run, site):
    assert site.scope in run("rucio", "scope", "list")
    assert site.scope in run("rucio", "list-scopes")


def test_dids(run, site):
    one, two = site.name(), site.name()
    run("rucio", "did", "add", "--type", "dataset", f"{site.scope}:{one}")
    run("rucio", "add-dataset", f"{site.scope}:{two}")
    listed = run("rucio", "did", "list", f"{site.scope}:*")
    assert one in listed and two in listed
    assert two in run("rucio", "list-dids", f"{site.scope}:{two}")


def test_erase(run, site):
    dataset, _ = site.dataset(0)
    did = f"{site.scope}:{dataset}"
    for erase in (("did", "remove"), ("erase",)):
        run("rucio", *erase, did)
        assert site.c.get_did(site.scope, dataset)["expired_at"] is not None
        run("rucio", *erase, "--undo", did)
        assert site.c.get_did(site.scope, dataset)["expired_at"] is None


def test_replicas(run, site):
    dataset, files = site.dataset(2)
    did = f"{site.scope}:{dataset}"
    for listed in (run("rucio", "replica", "list", "file", did), run("rucio", "list-file-replicas", did)):
        assert all(f["name"] in listed for f in files) and site.rse in listed
    for listed in (run("rucio", "replica", "list", "dataset", did), run("rucio", "list-dataset-replicas", did)):
        assert site.rse in listed


def test_declare_bad(run, site):
    one, two = site.files(2)
    run("rucio", "replica", "state", "update", "bad", site.pfn(one), "--reason", "broken")
    run("rucio-admin", "replicas", "declare-bad", "--reason", "broken", site.pfn(two))
    rows = list(site.c.list_replicas(dids=[one, two], all_states=True))
    assert [r["states"] for r in rows] == [{site.rse: "BAD"}] * 2
