"""Runs the checks of methods.py against every node in DAPPLE_URLS, and sees that no method of the clients is forgotten."""
import os

import methods
import pytest
from rucio.client.accountclient import AccountClient
from rucio.client.didclient import DIDClient
from rucio.client.replicaclient import ReplicaClient
from rucio.client.rseclient import RSEClient
from rucio.client.scopeclient import ScopeClient
from site_fixture import Site

CLIENTS = (ReplicaClient, DIDClient, RSEClient, ScopeClient, AccountClient)
CHECKS = {name: check for name, check in vars(methods).items() if name.split("_")[0].endswith("Client")}


@pytest.fixture(scope="session", params=os.environ["DAPPLE_URLS"].split(","))
def site(request):
    return Site(request.param)


def test_every_method_is_known():
    public = {f"{c.__name__}_{name}" for c in CLIENTS for name, f in vars(c).items() if callable(f) and not name.startswith("_")}
    assert public == set(CHECKS) | set(methods.UNSUPPORTED)
    assert not set(CHECKS) & set(methods.UNSUPPORTED)


@pytest.mark.parametrize("check", list(CHECKS.values()), ids=list(CHECKS))
def test_method(site, check):
    check(site)
