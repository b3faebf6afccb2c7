"""Calls every method of Rucio's own clients that Dapple serves, and checks what comes back.

Each function below is one check, named after the method it is about, <Client>_<method>. It gets a Site: the clients of
one node, with an RSE, a scope and names of its own, so that the checks may run in any order and against any node.
"""
import uuid
from datetime import datetime, timedelta

import pytest
from rucio.common import exception as rucio

from site_fixture import ADLER, BYTES


def names(rows):
    return sorted(r["name"] for r in rows)


def suspicious(s, **filters):
    """The suspicious replicas at the RSE; they come as one list in one line."""
    return [row for rows in s.c.list_suspicious_replicas(s.rse, **filters) for row in rows]


# ReplicaClient


def ReplicaClient_add_replica(s):
    name = s.name()
    assert s.c.add_replica(rse=s.rse, scope=s.scope, name=name, bytes_=BYTES, adler32=ADLER)
    assert s.c.get_did(s.scope, name)["bytes"] == BYTES


def ReplicaClient_add_replicas(s):
    files = s.files(3)
    with pytest.raises(rucio.RSENotFound):
        s.c.add_replicas(rse="NO-SUCH-RSE", files=s.new_files(1))
    with pytest.raises(rucio.ScopeNotFound):
        s.c.add_replicas(rse=s.rse, files=[dict(s.new_files(1)[0], scope="nosuchscope")])
    assert len(list(s.c.list_replicas(dids=files))) == 3


def ReplicaClient_list_replicas(s):
    files = s.files(2)
    s.add_to(s.rse2, files)
    rows = list(s.c.list_replicas(dids=files))
    assert names(rows) == sorted(f["name"] for f in files)
    for row in rows:
        assert set(row["rses"]) == {s.rse, s.rse2}
        assert row["states"] == {s.rse: "AVAILABLE", s.rse2: "AVAILABLE"}
        assert (row["bytes"], row["adler32"]) == (BYTES, ADLER)
        assert all(pfn.startswith("davs://") for pfn in row["pfns"]) and len(row["pfns"]) == 2
    assert [set(r["rses"]) for r in s.c.list_replicas(dids=files[:1], rse_expression=s.rse2)] == [{s.rse2}]
    assert len(list(s.c.list_replicas(dids=files, nrandom=1, sort="random"))) == 1
    assert b"metalink" in s.c.list_replicas(dids=files, metalink=True).encode()
    with pytest.raises(rucio.DataIdentifierNotFound):
        list(s.c.list_replicas(dids=[{"scope": s.scope, "name": "nosuchname"}]))


def ReplicaClient_update_replicas_states(s):
    f = s.files(1)[0]
    s.c.update_replicas_states(s.rse, files=[dict(scope=f["scope"], name=f["name"], state="U")])
    assert list(s.c.list_replicas(dids=[f]))[0]["rses"] == {}
    assert list(s.c.list_replicas(dids=[f], all_states=True))[0]["states"] == {s.rse: "UNAVAILABLE"}


def ReplicaClient_delete_replicas(s):
    f = s.files(1)[0]
    assert s.c.delete_replicas(rse=s.rse, files=[f])
    with pytest.raises(rucio.DataIdentifierNotFound):
        s.c.get_did(f["scope"], f["name"])


def ReplicaClient_get_did_from_pfns(s):
    f = s.files(1)[0]
    pfn = s.pfn(f)
    assert list(s.c.get_did_from_pfns([pfn], None)) == [{pfn: {"scope": f["scope"], "name": f["name"]}}]
    assert list(s.c.get_did_from_pfns([pfn], s.rse)) == [{pfn: {"scope": f["scope"], "name": f["name"]}}]


def ReplicaClient_declare_bad_file_replicas(s):
    f, g = s.files(2)
    assert s.c.declare_bad_file_replicas([s.pfn(f)], "broken") == {}
    assert s.c.declare_bad_file_replicas([dict(scope=g["scope"], name=g["name"], rse=s.rse)], "broken") == {}
    assert "Already declared" in str(s.c.declare_bad_file_replicas([s.pfn(f)], "again"))
    rows = list(s.c.list_replicas(dids=[f, g], all_states=True))
    assert [r["states"] for r in rows] == [{s.rse: "BAD"}] * 2


def ReplicaClient_declare_bad_did_replicas(s):
    f = s.files(1)[0]
    assert not s.c.declare_bad_did_replicas(s.rse, [dict(scope=f["scope"], name=f["name"])], "broken")
    assert list(s.c.list_replicas(dids=[f], all_states=True))[0]["states"] == {s.rse: "BAD"}


def ReplicaClient_declare_suspicious_file_replicas(s):
    f = s.files(1)[0]
    assert s.c.declare_suspicious_file_replicas([s.pfn(f)], "slow") == {}
    assert (f["name"], 1) in [(r["name"], r["cnt"]) for r in suspicious(s)]


def ReplicaClient_list_suspicious_replicas(s):
    f, g = s.files(2)
    for i in range(3):
        s.c.declare_suspicious_file_replicas([s.pfn(f)], f"slow {i}")
    s.c.declare_suspicious_file_replicas([s.pfn(g)], "slow")
    found = {r["name"]: r["cnt"] for r in suspicious(s, nattempts=2)}
    assert found.get(f["name"]) == 3 and g["name"] not in found
    tomorrow = (datetime.utcnow() + timedelta(days=1)).isoformat()
    assert suspicious(s, younger_than=tomorrow) == []


def ReplicaClient_add_bad_pfns(s):
    f = s.files(1)[0]
    expires = (datetime.utcnow() + timedelta(hours=1)).isoformat()
    assert s.c.add_bad_pfns([s.pfn(f)], reason="downtime", state="TEMPORARY_UNAVAILABLE", expires_at=expires)
    assert list(s.c.list_replicas(dids=[f], all_states=True))[0]["states"] == {s.rse: "TEMPORARY_UNAVAILABLE"}
    with pytest.raises(rucio.InputValidationError):
        s.c.add_bad_pfns([s.pfn(s.files(1)[0])], reason="downtime", state="TEMPORARY_UNAVAILABLE", expires_at=None)


def ReplicaClient_set_tombstone(s):
    f = s.files(1)[0]
    s.c.set_tombstone([dict(rse=s.rse, scope=f["scope"], name=f["name"])])
    with pytest.raises(rucio.ReplicaNotFound):
        s.c.set_tombstone([dict(rse=s.rse, scope=s.scope, name="nosuchname")])


def ReplicaClient_quarantine_replicas(s):
    s.c.quarantine_replicas([{"path": "/dark/" + s.name()}], rse=s.rse)
    with pytest.raises(rucio.RSENotFound):
        s.c.quarantine_replicas([{"path": "/dark/x"}], rse="NO-SUCH-RSE")


def ReplicaClient_list_dataset_replicas(s):
    dataset, files = s.dataset(3)
    s.add_to(s.rse2, files[:1])
    for deep in (False, True):
        found = {r["rse"]: r for r in s.c.list_dataset_replicas(s.scope, dataset, deep=deep)}
        assert {r: (found[r]["available_length"], found[r]["available_bytes"]) for r in found} == {
            s.rse: (3, 3 * BYTES), s.rse2: (1, BYTES)}
        assert (found[s.rse]["length"], found[s.rse]["state"]) == (3, "AVAILABLE")


def ReplicaClient_list_dataset_replicas_vp(s):
    dataset, _ = s.dataset(3)
    found = list(s.c.list_dataset_replicas_vp(s.scope, dataset))
    assert [(r["rse"], r["available_length"]) for r in found] == [(s.rse, 3)], "as list_dataset_replicas"
    assert list(s.c.list_dataset_replicas_vp(s.scope, s.name())) == []


def ReplicaClient_list_dataset_replicas_bulk(s):
    (one, _), (two, _) = s.dataset(1), s.dataset(2)
    dids = [{"scope": s.scope, "name": n} for n in (one, two)]
    found = {r["name"]: r["available_length"] for r in s.c.list_dataset_replicas_bulk(dids)}
    assert found == {one: 1, two: 2}


def ReplicaClient_list_datasets_per_rse(s):
    dataset, _ = s.dataset(2)
    assert dataset in names(s.c.list_datasets_per_rse(s.rse, filters={"scope": s.scope}))


# DIDClient


def DIDClient_add_did(s):
    name = s.name()
    assert s.c.add_did(s.scope, name, "DATASET", meta={"project": "p1"}, statuses={"monotonic": True})
    assert s.c.get_did(s.scope, name)["type"] == "DATASET"
    with pytest.raises(rucio.DataIdentifierAlreadyExists):
        s.c.add_did(s.scope, name, "DATASET")
    with pytest.raises(rucio.ScopeNotFound):
        s.c.add_did("nosuchscope", name, "DATASET")


def DIDClient_add_dids(s):
    dids = [{"scope": s.scope, "name": s.name(), "type": t} for t in ("DATASET", "CONTAINER")]
    assert s.c.add_dids(dids)
    assert [s.c.get_did(**{k: d[k] for k in ("scope", "name")})["type"] for d in dids] == ["DATASET", "CONTAINER"]


def DIDClient_add_dataset(s):
    files = s.files(2)
    name = s.name()
    assert s.c.add_dataset(s.scope, name, files=files)
    assert names(s.c.list_files(s.scope, name)) == sorted(f["name"] for f in files)


def DIDClient_add_datasets(s):
    names_ = [s.name(), s.name()]
    assert s.c.add_datasets([{"scope": s.scope, "name": n} for n in names_])
    assert all(s.c.get_did(s.scope, n)["type"] == "DATASET" for n in names_)


def DIDClient_add_container(s):
    name = s.name()
    assert s.c.add_container(s.scope, name)
    assert s.c.get_did(s.scope, name)["type"] == "CONTAINER"


def DIDClient_add_containers(s):
    names_ = [s.name(), s.name()]
    assert s.c.add_containers([{"scope": s.scope, "name": n} for n in names_])
    assert all(s.c.get_did(s.scope, n)["type"] == "CONTAINER" for n in names_)


def DIDClient_attach_dids(s):
    dataset, _ = s.dataset(0)
    files = s.files(2)
    assert s.c.attach_dids(s.scope, dataset, files)
    assert names(s.c.list_content(s.scope, dataset)) == sorted(f["name"] for f in files)
    with pytest.raises(rucio.FileAlreadyExists):
        s.c.attach_dids(s.scope, dataset, files[:1])


def DIDClient_detach_dids(s):
    dataset, files = s.dataset(2)
    assert s.c.detach_dids(s.scope, dataset, [{"scope": s.scope, "name": files[0]["name"]}])
    assert names(s.c.list_content(s.scope, dataset)) == [files[1]["name"]]
    with pytest.raises(rucio.DataIdentifierNotFound):
        s.c.detach_dids(s.scope, dataset, [{"scope": s.scope, "name": "nosuchname"}])


def attached(s, method, kinds):
    """Attaches files or collections to a new one each by a bulk method, and says whether all are there."""
    attachments, wanted = [], {}
    for _ in range(2):
        parent = s.name()
        s.c.add_did(s.scope, parent, kinds[0])
        if kinds[1] == "FILE":
            children = s.files(2)
        else:
            children = [{"scope": s.scope, "name": s.name()} for _ in range(2)]
            for child in children:
                s.c.add_did(child["scope"], child["name"], kinds[1])
        attachments.append({"scope": s.scope, "name": parent, "dids": children})
        wanted[parent] = sorted(c["name"] for c in children)
    assert method(attachments)
    for parent, children in wanted.items():
        assert names(s.c.list_content(s.scope, parent)) == children


def DIDClient_attach_dids_to_dids(s):
    attached(s, s.c.attach_dids_to_dids, ("DATASET", "FILE"))


def DIDClient_add_files_to_datasets(s):
    attached(s, s.c.add_files_to_datasets, ("DATASET", "FILE"))


def DIDClient_add_datasets_to_containers(s):
    attached(s, s.c.add_datasets_to_containers, ("CONTAINER", "DATASET"))


def DIDClient_add_containers_to_containers(s):
    attached(s, s.c.add_containers_to_containers, ("CONTAINER", "CONTAINER"))


def DIDClient_add_files_to_dataset(s):
    dataset, _ = s.dataset(0)
    files = s.new_files(2)
    assert s.c.add_files_to_dataset(s.scope, dataset, files, rse=s.rse)
    assert len(list(s.c.list_replicas(dids=[{"scope": s.scope, "name": dataset}]))) == 2


def DIDClient_add_files_to_archive(s):
    archive, files = s.archive(2)
    assert names(s.c.list_archive_content(s.scope, archive)) == sorted(f["name"] for f in files)


def DIDClient_add_datasets_to_container(s):
    container, (dataset, _) = s.name(), s.dataset(1)
    s.c.add_container(s.scope, container)
    assert s.c.add_datasets_to_container(s.scope, container, [{"scope": s.scope, "name": dataset}])
    assert names(s.c.list_content(s.scope, container)) == [dataset]


def DIDClient_add_containers_to_container(s):
    outer, inner = s.name(), s.name()
    s.c.add_containers([{"scope": s.scope, "name": n} for n in (outer, inner)])
    assert s.c.add_containers_to_container(s.scope, outer, [{"scope": s.scope, "name": inner}])
    assert names(s.c.list_content(s.scope, outer)) == [inner]


def DIDClient_list_content(s):
    dataset, files = s.dataset(2)
    rows = list(s.c.list_content(s.scope, dataset))
    assert names(rows) == sorted(f["name"] for f in files)
    assert {(r["type"], r["bytes"], r["adler32"]) for r in rows} == {("FILE", BYTES, ADLER)}


def DIDClient_list_files(s):
    dataset, files = s.dataset(2)
    assert {r["bytes"] for r in s.c.list_files(s.scope, dataset)} == {BYTES}
    assert names(s.c.list_files(s.scope, dataset, long=True)) == sorted(f["name"] for f in files)


def DIDClient_bulk_list_files(s):
    (one, a), (two, b) = s.dataset(1), s.dataset(2)
    rows = list(s.c.bulk_list_files([{"scope": s.scope, "name": n} for n in (one, two)]))
    assert names(rows) == sorted(f["name"] for f in a + b)
    assert {r["parent_name"] for r in rows} == {one, two}


def DIDClient_get_did(s):
    dataset, _ = s.dataset(3)
    d = s.c.get_did(s.scope, dataset, dynamic_depth="FILE")
    assert (d["type"], d["open"], d["length"], d["bytes"]) == ("DATASET", True, 3, 3 * BYTES)
    with pytest.raises(rucio.DataIdentifierNotFound):
        s.c.get_did(s.scope, "nosuchname")


def DIDClient_list_dids(s):
    dataset, _ = s.dataset(0)
    prefix = dataset[:-3] + "*"
    assert list(s.c.list_dids(s.scope, {"name": prefix}, did_type="dataset")) == [dataset]
    assert dataset in names(s.c.list_dids(s.scope, {"name": prefix}, did_type="collection", long=True))
    assert list(s.c.list_dids(s.scope, {"name": prefix}, did_type="container")) == []


def DIDClient_list_dids_extended(s):
    with pytest.raises(rucio.DeprecationError):  # the client itself refuses
        s.c.list_dids_extended(s.scope, {"name": "x*"})


def DIDClient_get_metadata(s):
    f = s.files(1)[0]
    meta = s.c.get_metadata(f["scope"], f["name"])
    assert (meta["did_type"], meta["bytes"], meta["adler32"]) == ("FILE", BYTES, ADLER)


def DIDClient_get_metadata_bulk(s):
    files = s.files(2)
    dids = [{"scope": f["scope"], "name": f["name"]} for f in files]
    assert names(s.c.get_metadata_bulk(dids)) == sorted(f["name"] for f in files)


def DIDClient_set_metadata(s):
    dataset, _ = s.dataset(0)
    assert s.c.set_metadata(s.scope, dataset, "project", "p2")
    assert s.c.get_metadata(s.scope, dataset)["project"] == "p2"


def DIDClient_resurrect(s):
    dataset, files = s.dataset(2)
    did = {"scope": s.scope, "name": dataset}
    s.c.set_metadata(s.scope, dataset, "own_key", "x")
    s.c.set_metadata(s.scope, dataset, "lifetime", 86400)
    assert s.c.get_did(s.scope, dataset)["expired_at"] is not None
    s.c.set_metadata(s.scope, dataset, "lifetime", None)
    assert s.c.get_did(s.scope, dataset)["expired_at"] is None
    s.c.set_metadata(s.scope, dataset, "lifetime", -1)
    with pytest.raises(rucio.DataIdentifierNotFound):
        s.c.get_did(s.scope, dataset)
    assert s.c.resurrect([did])
    assert s.c.get_did(s.scope, dataset)["expired_at"] is None
    assert names(s.c.list_content(s.scope, dataset)) == sorted(f["name"] for f in files)
    assert s.c.get_metadata(s.scope, dataset, plugin="JSON")["own_key"] == "x"
    with pytest.raises(rucio.DataIdentifierNotFound):
        s.c.resurrect([did])


def DIDClient_set_metadata_bulk(s):
    dataset, _ = s.dataset(0)
    assert s.c.set_metadata_bulk(s.scope, dataset, {"project": "p3", "run_number": 7})
    meta = s.c.get_metadata(s.scope, dataset)
    assert (meta["project"], meta["run_number"]) == ("p3", 7)


def DIDClient_set_dids_metadata_bulk(s):
    dids = [{"scope": s.scope, "name": s.dataset(0)[0], "meta": {"project": f"p{i}"}} for i in range(2)]
    assert s.c.set_dids_metadata_bulk(dids)
    assert [s.c.get_metadata(d["scope"], d["name"])["project"] for d in dids] == ["p0", "p1"]


def DIDClient_delete_metadata(s):
    dataset, _ = s.dataset(0)
    s.c.set_metadata(s.scope, dataset, "own_key", "x")
    assert s.c.get_metadata(s.scope, dataset, plugin="JSON")["own_key"] == "x"
    assert s.c.delete_metadata(s.scope, dataset, "own_key")
    assert "own_key" not in s.c.get_metadata(s.scope, dataset, plugin="JSON")


def DIDClient_set_status(s):
    dataset, _ = s.dataset(0)
    assert s.c.set_status(s.scope, dataset, open=False)
    assert s.c.get_did(s.scope, dataset)["open"] is False
    assert s.c.set_status(s.scope, dataset, open=True)
    assert s.c.get_did(s.scope, dataset)["open"] is True


def DIDClient_close(s):
    dataset, _ = s.dataset(0)
    assert s.c.close(s.scope, dataset)
    assert s.c.get_did(s.scope, dataset)["open"] is False
    with pytest.raises(rucio.UnsupportedOperation):
        s.c.attach_dids(s.scope, dataset, s.files(1))


def DIDClient_list_did_rules(s):
    assert list(s.c.list_did_rules(s.scope, s.dataset(0)[0])) == []


def DIDClient_list_associated_rules_for_file(s):
    assert list(s.c.list_associated_rules_for_file(s.scope, s.files(1)[0]["name"])) == []


def DIDClient_scope_list(s):
    dataset, _ = s.dataset(0)
    assert dataset in names(s.c.scope_list(s.scope))
    assert names(s.c.scope_list(s.scope, name=dataset)) == [dataset] or names(s.c.scope_list(s.scope, name=dataset)) == []


def DIDClient_list_parent_dids(s):
    dataset, files = s.dataset(1)
    assert names(s.c.list_parent_dids(s.scope, files[0]["name"])) == [dataset]


def DIDClient_list_content_history(s):
    dataset, files = s.dataset(1)
    s.c.detach_dids(s.scope, dataset, files)
    assert list(s.c.list_content_history(s.scope, dataset)) == [], "what was detached is not kept"


def DIDClient_get_dataset_by_guid(s):
    dataset, files = s.dataset(1)
    guid = uuid.uuid4().hex
    s.c.set_metadata(s.scope, files[0]["name"], "guid", guid)
    assert list(s.c.get_dataset_by_guid(guid)) == [{"scope": s.scope, "name": dataset}]
    with pytest.raises(rucio.DataIdentifierNotFound):
        list(s.c.get_dataset_by_guid(uuid.uuid4().hex))


def DIDClient_list_archive_content(s):
    archive, files = s.archive(2)
    rows = list(s.c.list_archive_content(s.scope, archive))
    assert names(rows) == sorted(f["name"] for f in files) and {r["bytes"] for r in rows} == {BYTES}


# RSEClient


def RSEClient_add_rse(s):
    rse = s.rse_name()
    assert s.c.add_rse(rse, deterministic=False, rse_type="TAPE")
    got = s.c.get_rse(rse)
    assert (got["rse"], got["deterministic"], got["rse_type"]) == (rse, False, "TAPE")
    with pytest.raises(rucio.Duplicate):
        s.c.add_rse(rse)


def RSEClient_get_rse(s):
    got = s.c.get_rse(s.rse)
    assert (got["rse"], len(got["id"]), len(got["protocols"])) == (s.rse, 32, 1)
    with pytest.raises(rucio.RSENotFound):
        s.c.get_rse("NO-SUCH-RSE")


def RSEClient_update_rse(s):
    rse = s.new_rse()
    assert s.c.update_rse(rse, {"availability_write": False})
    assert s.c.get_rse(rse)["availability_write"] is False


def RSEClient_delete_rse(s):
    rse = s.new_rse()
    assert s.c.delete_rse(rse)
    with pytest.raises(rucio.RSENotFound):
        s.c.get_rse(rse)


def RSEClient_list_rses(s):
    assert s.rse in [r["rse"] for r in s.c.list_rses()]
    assert sorted(r["rse"] for r in s.c.list_rses(f"{s.rse}|{s.rse2}")) == sorted([s.rse, s.rse2])
    with pytest.raises(rucio.InvalidRSEExpression):
        list(s.c.list_rses("((("))


def RSEClient_add_rse_attribute(s):
    rse = s.new_rse()
    assert s.c.add_rse_attribute(rse, "tier", 2)
    assert [r["rse"] for r in s.c.list_rses(f"tier=2&{rse}")] == [rse]


def RSEClient_list_rse_attributes(s):
    rse = s.new_rse()
    s.c.add_rse_attribute(rse, "site", "CERN")
    assert s.c.list_rse_attributes(rse) == {rse: True, "site": "CERN"}


def RSEClient_delete_rse_attribute(s):
    rse = s.new_rse()
    s.c.add_rse_attribute(rse, "site", "CERN")
    assert s.c.delete_rse_attribute(rse, "site")
    with pytest.raises(rucio.RSEAttributeNotFound):
        s.c.delete_rse_attribute(rse, "site")


def RSEClient_add_protocol(s):
    rse = s.new_rse()
    assert s.c.add_protocol(rse, s.protocol("root", 1094))
    assert [p["scheme"] for p in s.c.get_protocols(rse)] == ["root"]
    with pytest.raises(rucio.Duplicate):
        s.c.add_protocol(rse, s.protocol("root", 1094))


def RSEClient_get_protocols(s):
    assert [(p["scheme"], p["port"]) for p in s.c.get_protocols(s.rse)] == [("davs", 443)]
    assert [p["scheme"] for p in s.c.get_rse(s.rse)["protocols"]] == ["davs"]


def RSEClient_lfns2pfns(s):
    lfn = f"{s.scope}:file1"
    pfns = s.c.lfns2pfns(s.rse, [lfn], operation="read")
    assert list(pfns) == [lfn] and pfns[lfn].startswith("davs://") and pfns[lfn].endswith("/file1")


def RSEClient_delete_protocols(s):
    rse = s.new_rse()
    s.c.add_protocol(rse, s.protocol("root", 1094))
    assert s.c.delete_protocols(rse, "root", hostname="storage.example", port=1094)
    with pytest.raises(rucio.RSEProtocolNotSupported):
        s.c.delete_protocols(rse, "root")


def RSEClient_update_protocols(s):
    rse = s.new_rse()
    s.c.add_protocol(rse, s.protocol("root", 1094))
    assert s.c.update_protocols(rse, "root", {"prefix": "/other/"}, hostname="storage.example", port=1094)
    assert s.c.get_protocols(rse)[0]["prefix"] == "/other/"


def RSEClient_swap_protocols(s):
    rse = s.new_rse()
    for i, scheme in enumerate(("root", "davs")):
        protocol = s.protocol(scheme, 1000 + i)
        protocol["domains"]["wan"]["read"] = i + 1
        s.c.add_protocol(rse, protocol)
    assert s.c.swap_protocols(rse, "wan", "read", "root", "davs")
    assert {p["scheme"]: p["domains"]["wan"]["read"] for p in s.c.get_protocols(rse)} == {"root": 2, "davs": 1}


def RSEClient_set_rse_usage(s):
    rse = s.new_rse()
    assert s.c.set_rse_usage(rse, source="srm", used=10, free=20, files=3)
    usage = {u["source"]: u for u in s.c.get_rse_usage(rse)}
    assert (usage["srm"]["used"], usage["srm"]["total"], usage["srm"]["files"]) == (10, 30, 3)


def RSEClient_get_rse_usage(s):
    rse = s.new_rse()
    s.add_to(rse, s.new_files(3))
    usage = list(s.c.get_rse_usage(rse, filters={"source": "rucio"}))
    assert [(u["source"], u["used"], u["files"]) for u in usage] == [("rucio", 3 * BYTES, 3)]


def RSEClient_list_rse_usage_history(s):
    rse = s.new_rse()
    for free in (20, 30):
        s.c.set_rse_usage(rse, source="srm", used=10, free=free)
    assert [u["free"] for u in s.c.list_rse_usage_history(rse, filters={"source": "srm"})] == [30, 20]


def RSEClient_set_rse_limits(s):
    assert s.c.set_rse_limits(s.new_rse(), "MinFreeSpace", 10)


def RSEClient_get_rse_limits(s):
    rse = s.new_rse()
    s.c.set_rse_limits(rse, "MinFreeSpace", 10)
    assert s.c.get_rse_limits(rse) == {"MinFreeSpace": 10}


def RSEClient_delete_rse_limits(s):
    rse = s.new_rse()
    s.c.set_rse_limits(rse, "MinFreeSpace", 10)
    assert s.c.delete_rse_limits(rse, "MinFreeSpace")
    assert s.c.get_rse_limits(rse) == {}


def RSEClient_add_distance(s):
    a, b = s.new_rse(), s.new_rse()
    assert s.c.add_distance(a, b, {"distance": 3})
    with pytest.raises(rucio.Duplicate):
        s.c.add_distance(a, b, {"distance": 3})


def RSEClient_get_distance(s):
    a, b = s.new_rse(), s.new_rse()
    s.c.add_distance(a, b, {"distance": 3}, bidirectional=True)
    assert [(d["distance"], d["src_rse"], d["dest_rse"]) for d in s.c.get_distance(b, a)] == [(3, b, a)]


def RSEClient_update_distance(s):
    a, b = s.new_rse(), s.new_rse()
    s.c.add_distance(a, b, {"distance": 3})
    assert s.c.update_distance(a, b, {"distance": 0})
    assert s.c.get_distance(a, b)[0]["distance"] == 0


def RSEClient_delete_distance(s):
    a, b = s.new_rse(), s.new_rse()
    s.c.add_distance(a, b, {"distance": 3}, bidirectional=True)
    assert s.c.delete_distance(a, b)
    assert (len(s.c.get_distance(a, b)), len(s.c.get_distance(b, a))) == (0, 1)


# ScopeClient


def ScopeClient_add_scope(s):
    scope = s.name()[:20]
    assert s.c.add_scope("root", scope)
    with pytest.raises(rucio.Duplicate):
        s.c.add_scope("root", scope)
    with pytest.raises(rucio.AccountNotFound):
        s.c.add_scope("nosuchaccount", s.name()[:20])


def ScopeClient_list_scopes(s):
    assert s.scope in s.c.list_scopes()


def ScopeClient_list_scope_owners(s):
    assert {"scope": s.scope, "account": "root"} in list(s.c.list_scope_owners())


def ScopeClient_list_scopes_for_account(s):
    assert s.scope in s.c.list_scopes_for_account("root")
    with pytest.raises(rucio.AccountNotFound):
        s.c.list_scopes_for_account("nosuchaccount")


def ScopeClient_update_scope(s):
    scope, account = s.name()[:20], s.account()
    s.c.add_scope("root", scope)
    assert s.c.update_scope(account, scope)
    assert s.c.list_scopes_for_account(account) == [scope]


# AccountClient


def AccountClient_add_account(s):
    account = s.account()
    with pytest.raises(rucio.Duplicate):
        s.c.add_account(account, "USER", "x@example.org")


def AccountClient_get_account(s):
    account = s.account()
    got = s.c.get_account(account)
    assert (got["account"], got["account_type"], got["status"]) == (account, "USER", "ACTIVE")


def AccountClient_update_account(s):
    account = s.account()
    assert s.c.update_account(account, "email", "new@example.org")
    assert s.c.get_account(account)["email"] == "new@example.org"


def AccountClient_delete_account(s):
    account = s.account()
    assert s.c.delete_account(account)
    assert s.c.get_account(account)["status"] == "DELETED"


def AccountClient_list_accounts(s):
    account = s.account()
    assert account in [a["account"] for a in s.c.list_accounts(account_type="USER")]
    assert account not in [a["account"] for a in s.c.list_accounts(account_type="SERVICE")]


def AccountClient_whoami(s):
    assert s.c.whoami()["account"] == "root"


def AccountClient_add_identity(s):
    account, identity = s.account(), s.name()
    assert s.c.add_identity(account, identity, "USERPASS", "x@example.org", password="a secret of its own")
    with pytest.raises(rucio.Duplicate):
        s.c.add_identity(account, identity, "USERPASS", "x@example.org", password="a secret of its own")


def AccountClient_list_identities(s):
    account, identity = s.account(), "/DC=ch/CN=" + s.name()
    s.c.add_identity(account, identity, "X509", "x@example.org")
    assert [(i["identity"], i["type"]) for i in s.c.list_identities(account)] == [(identity, "X509")]


def AccountClient_del_identity(s):
    account, identity = s.account(), "/DC=ch/CN=" + s.name()
    s.c.add_identity(account, identity, "X509", "x@example.org")
    assert s.c.del_identity(account, identity, "X509")
    assert list(s.c.list_identities(account)) == []


def AccountClient_add_account_attribute(s):
    assert s.c.add_account_attribute(s.account(), "country", "ch")


def AccountClient_list_account_attributes(s):
    account = s.account()
    s.c.add_account_attribute(account, "country", "ch")
    assert [(a["key"], a["value"]) for a in list(s.c.list_account_attributes(account))[0]] == [("country", "ch")]


def AccountClient_delete_account_attribute(s):
    account = s.account()
    s.c.add_account_attribute(account, "country", "ch")
    assert s.c.delete_account_attribute(account, "country")
    assert list(s.c.list_account_attributes(account)) == [[]]


RULES = "Dapple has no replication rules"
LIMITS = "no account limits or usage: Dapple charges replicas to no account"
UNSUPPORTED = {
    "DIDClient_create_did_sample": "not in the API that Dapple serves",
    "RSEClient_add_qos_policy": "QoS policies serve replication rules",
    "RSEClient_delete_qos_policy": "QoS policies serve replication rules",
    "RSEClient_list_qos_policies": "QoS policies serve replication rules",
    "AccountClient_list_account_rules": RULES,
    "AccountClient_get_account_limits": LIMITS,
    "AccountClient_set_account_limit": LIMITS,
    "AccountClient_delete_account_limit": LIMITS,
    "AccountClient_get_global_account_limit": LIMITS,
    "AccountClient_get_global_account_limits": LIMITS,
    "AccountClient_get_local_account_limits": LIMITS,
    "AccountClient_get_local_account_limit": LIMITS,
    "AccountClient_set_local_account_limit": LIMITS,
    "AccountClient_delete_local_account_limit": LIMITS,
    "AccountClient_set_global_account_limit": LIMITS,
    "AccountClient_delete_global_account_limit": LIMITS,
    "AccountClient_get_local_account_usage": LIMITS,
    "AccountClient_get_global_account_usage": LIMITS,
    "AccountClient_get_account_usage_history": LIMITS,
}
