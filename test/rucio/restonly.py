"""A pytest plugin that runs Rucio's own tests, unchanged, against a Dapple node over HTTP.

Rucio's test modules import the server's code (rucio.core, rucio.db and the like) even where a test speaks only REST.
None of it is here: such imports get stand-ins, and a test that calls one is skipped with the name of what it called.
The rest_client fixture, which talks to a Flask application in the same process, gets an application that passes every
request on to the URL in DAPPLE_URL.
"""
import http.client
import importlib.abc
import importlib.machinery
import os
import sys
import types
from urllib.parse import urlsplit

import pytest

SERVER_PACKAGES = ("rucio.core", "rucio.daemons", "rucio.gateway", "rucio.web", "rucio.transfertool", "rucio.db.sqla",
                   "rucio.tests.common_server")
REAL_MODULES = ("rucio.db.sqla.constants",)
PROXY_MODULE = "rucio.web.rest.flaskapi.v1.main"


class Phase:
    """Tells whether a test runs: only then is a call of a stand-in a reason to skip it."""
    running = False


class StandIn:
    """Takes the place of something in the server's code."""

    def __init__(self, name):
        self.__dict__["_name"] = name
        self.__dict__["__name__"] = name

    def __getattr__(self, attribute):
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)
        return StandIn(f"{self._name}.{attribute}")

    def __call__(self, *args, **kwargs):
        if Phase.running:
            pytest.skip(f"needs the server's own code: {self._name}")
        if len(args) == 1 and callable(args[0]) and not kwargs:
            return args[0]  # a decorator, at import
        return self

    def __getitem__(self, key):
        return self(key)

    def __mro_entries__(self, bases):
        return (object,)


class StandInModule(types.ModuleType):
    def __getattr__(self, attribute):
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)
        return StandIn(f"{self.__name__}.{attribute}")


class ServerImports(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the server's packages, and puts stand-ins in their place."""

    def find_spec(self, name, path=None, target=None):
        if name in REAL_MODULES or not any(name == p or name.startswith(p + ".") for p in SERVER_PACKAGES):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = StandInModule(spec.name)
        if spec.name == "rucio.db.sqla":  # the real constants are looked up beside it
            import rucio.db
            module.__path__ = [os.path.join(rucio.db.__path__[0], "sqla")]
        else:
            module.__path__ = []
        return module

    def exec_module(self, module):
        if module.__name__ == PROXY_MODULE:
            module.application = proxy_application()
        elif module.__name__ == "rucio.db.sqla":
            module.filter_thread_work = StandIn("rucio.db.sqla.filter_thread_work")


def proxy_application():
    """A Flask application that passes every request on to DAPPLE_URL."""
    from flask import Flask

    app = Flask("dapple-proxy")
    app.wsgi_app = forward
    return app


def forward(environ, start_response):
    target = urlsplit(os.environ["DAPPLE_URL"])
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
    headers = {k[5:].replace("_", "-").title(): v for k, v in environ.items() if k.startswith("HTTP_") and k != "HTTP_HOST"}
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    uri = environ.get("REQUEST_URI") or environ["RAW_URI"]
    if environ.get("QUERY_STRING") and "?" not in uri:
        uri += "?" + environ["QUERY_STRING"]
    connection.request(environ["REQUEST_METHOD"], uri, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    hop = ("transfer-encoding", "connection")
    start_response(f"{answer.status} {answer.reason}", [(k, v) for k, v in answer.getheaders() if k.lower() not in hop])
    return [data]


sys.meta_path.insert(0, ServerImports())


def pytest_collection_finish(session):
    """Imports what fixtures would import in the middle of a test, when decorators of the server count as calls."""
    import tests.temp_factories  # noqa: F401


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    Phase.running = True
    try:
        yield
    finally:
        Phase.running = False
