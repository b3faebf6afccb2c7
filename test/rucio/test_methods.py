"""Runs the checks of methods.py against every node in DAPPLE_URLS, and sees that no method of the clients is forgotten."""
import os

import methods
import pytest
from rucio.client.accountclient import AccountClient
from rucio.client.didclient import DIDClient
from rucio.client.replicaclient import ReplicaClient
from rucio.client.rseclient import RSEClient
from rucio.client.scopeclient import ScopeClient
from rucio.common.exception import UnsupportedOperation
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


@pytest.mark.parametrize("call", [
    lambda c: c.list_qos_policies("X"),
    lambda c: c.add_qos_policy("X", "FAST"),
    lambda c: c.get_local_account_limits("root"),
    lambda c: c.set_local_account_limit("root", "X", 1),
    lambda c: list(c.get_local_account_usage("root")),
    lambda c: list(c.list_account_rules("root")),
    lambda c: c.create_did_sample("a", "b", "c", "d", 1),
])
def test_what_is_not_served_says_so(site, call):
    with pytest.raises(UnsupportedOperation):
        call(site.c)


@pytest.mark.parametrize("check", list(CHECKS.values()), ids=list(CHECKS))
def test_method(site, check):
    check(site)
