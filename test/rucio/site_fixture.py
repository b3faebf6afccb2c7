"""What a check works with: Rucio's client at one node, and names that nobody else uses."""
import random
import string

from rucio.client import Client

BYTES = 1234
ADLER = "0cc737eb"


class Site:
    """The clients of one node with two RSEs and a scope of its own."""

    def __init__(self, url):
        self.c = Client(rucio_host=url, auth_host=url, account="root", auth_type="userpass",
                        creds={"username": "ddmlab", "password": "secret"})
        self.scope = self.name()[:20]
        self.c.add_scope("root", self.scope)
        self.rse, self.rse2 = self.new_rse(), self.new_rse()
        for rse in (self.rse, self.rse2):
            self.c.add_protocol(rse, self.protocol("davs", 443, rse))

    def name(self):
        return "n" + "".join(random.choices(string.ascii_lowercase + string.digits, k=16))

    def rse_name(self):
        return "R-" + self.name().upper()

    def new_rse(self):
        rse = self.rse_name()
        self.c.add_rse(rse)
        return rse

    def account(self):
        account = self.name()
        self.c.add_account(account, "USER", "x@example.org")
        return account

    def protocol(self, scheme, port, rse="x"):
        every = {"read": 1, "write": 1, "delete": 1}
        return {"scheme": scheme, "hostname": "storage.example", "port": port, "prefix": f"/{rse}/",
                "impl": "rucio.rse.protocols.gfal.Default", "domains": {"lan": dict(every), "wan": dict(every)}}

    def new_files(self, n):
        return [{"scope": self.scope, "name": self.name(), "bytes": BYTES, "adler32": ADLER} for _ in range(n)]

    def add_to(self, rse, files):
        self.c.add_replicas(rse=rse, files=files)

    def files(self, n):
        files = self.new_files(n)
        self.add_to(self.rse, files)
        return files

    def dataset(self, n):
        name = self.name()
        files = self.files(n) if n else []
        self.c.add_dataset(self.scope, name)
        if files:
            self.c.attach_dids(self.scope, name, files)
        return name, files

    def archive(self, n):
        archive = self.name() + ".zip"  # the ending makes a file an archive
        self.add_to(self.rse, [dict(self.new_files(1)[0], name=archive)])
        files = self.new_files(n)
        self.c.add_files_to_archive(self.scope, archive, files)
        return archive, files

    def pfn(self, f):
        row = list(self.c.list_replicas(dids=[f], all_states=True))[0]
        return next(iter(row["pfns"]))
