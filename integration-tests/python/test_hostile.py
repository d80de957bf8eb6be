"""Hostile bytes in tables: a clear error in time and memory, never a crash, a smaller table or a changed one."""

import gzip
import io
import json
import os
import struct
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Lake
from hostile import CORRUPT, NOT_FOUND, REFUSED, Table, add, field, fingerprint, judge, schema, vector, vector_file, z85

ROWS = 30
ANSWERS = (0, NOT_FOUND, REFUSED, CORRUPT)


def rows_of(first, count=10):
    lines = [f"{i},n{i},{i}.5,2026-01-0{1 + i % 3}" for i in range(first, first + count)]
    return ("id,name,x,day\n" + "\n".join(lines) + "\n").encode()


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """A plain table, a partitioned one, one with deletion vectors on, and two that stand on a checkpoint alone."""
    root = tmp_path_factory.mktemp("bases")
    lake = Lake(root)
    kinds = {
        "plain": [],
        "parts": ["--partition-by", "day"],
        "dv": ["--property", "delta.feature.deletionVectors=supported"],
        "classic": [],
        "v2": ["--property", "delta.feature.v2Checkpoint=supported", "--property", "delta.checkpointPolicy=v2"],
    }
    tables = {}
    for kind, flags in kinds.items():
        table = Table(root / kind)
        columns = "id long, name string, x double, day date"
        lake.run("create", table.path, "--schema", columns, *flags)
        for batch in range(3):
            lake.run("import", table.path, "-", "--input-format", "csv", stdin=rows_of(10 * batch))
        if kind in ("classic", "v2"):
            lake.run("checkpoint", table.path)
            table.only_the_checkpoint()
        tables[kind] = table
    return tables


CASES = []


def case(base="plain", status=CORRUPT, rows=None, fsck=None):
    """What a scan of the damaged table ends with: an exit code, or rows. `fsck` ends with the same unless said."""

    def take(damage):
        wanted = 0 if rows is not None else status
        CASES.append((damage.__name__, base, damage, wanted, rows, wanted if fsck is None else fsck))
        return damage

    return take


def each(base, values, **wanted):
    """One case a value, named after it. A large value is made when it is needed."""

    def take(damage):
        for name, value in values.items():
            lazy = callable(value) and value.__code__.co_argcount == 0
            one = lambda table, value=value, lazy=lazy: damage(table, value() if lazy else value)
            one.__name__ = f"{damage.__name__}[{name}]"
            case(base, **wanted)(one)

    return take


def metadata(table, **more):
    return {"metaData": {**table.actions("metaData")[0], **more}}


def column(table, name, type, **more):
    return metadata(table, schemaString=json.dumps(schema(field(name, type, **more))))


# Commits.


@each(
    "plain",
    {
        "nothing": b"",
        "spaces": b"   \n\n",
        "zeros": lambda: b"\0" * 4096,
        "not JSON": b"hello\n",
        "not UTF-8": b'{"commitInfo":{"x":"\xff\xfe"}}\n',
        "UTF-16": '{"commitInfo":{}}\n'.encode("utf-16"),
        "a number": b"17\n",
        "an array": b"[]\n",
        "two actions on a line": b'{"add":{"path":"a"},"remove":{"path":"a"}}\n',
        "a list for an action": b'{"add":[]}\n',
        "add without a path": b'{"add":{"size":1}}\n',
        "a path that is a number": json.dumps(add(path=7)).encode(),
        "a size that is text": json.dumps(add(size="big")).encode(),
        "a size below zero": json.dumps(add(size=-5)).encode(),
        "a size of 2^64": json.dumps(add(size=2**64)).encode(),
        "a size of 1e999": json.dumps(add()).replace('"size": 10', '"size": 1e999').encode(),
        "a size with a fraction": json.dumps(add(size=1.5)).encode(),
        "a zero in the path": json.dumps(add(path="a\0b")).encode(),
        "partition values that are a list": json.dumps(add(partitionValues=[1])).encode(),
        "nested 1,000,000 deep": lambda: b'{"commitInfo":{"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}}\n",
        "objects nested 100,000 deep": lambda: b'{"commitInfo":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"\n",
        "open brackets": lambda: b'{"add":' + b"[" * 1_000_000,
        "a line of 100 MB": lambda: b'{"commitInfo":{"x":"' + b"a" * 100_000_000 + b'"}}\n',
        "a line of 300 MB": lambda: b'{"commitInfo":{"x":"' + b"a" * 300_000_000 + b'"}}\n',
        "a million adds in one line": lambda: b"".join([json.dumps(add(f"f{i}")).encode() for i in range(1_000_000)]),
        "two protocols": b'{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}\n' * 2,
        "protocol versions that are text": b'{"protocol":{"minReaderVersion":"1","minWriterVersion":2}}\n',
        "protocol versions of 2^40": b'{"protocol":{"minReaderVersion":1099511627776,"minWriterVersion":2}}\n',
        "version 3 without features": b'{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}\n',
        "a txn without a version": b'{"txn":{"appId":"a"}}\n',
        "fewer actions than it says": b'{"commitInfo":{"lake.numActions":3}}\n',
    },
)
def commit(table, data):
    table.commit(table.version + 1).write_bytes(data)


@case(status=(CORRUPT, REFUSED))
def an_empty_path(table):
    table.put(add(path=""))


@case()
def a_torn_commit(table):
    last = table.commit(table.version)
    last.write_bytes(last.read_bytes()[:-50])


@case()
def a_commit_cut_at_the_end_of_a_line(table):
    last = table.commit(table.version)
    last.write_bytes(last.read_bytes().splitlines(keepends=True)[0])


@case()
def an_old_commit_of_no_bytes(table):
    table.commit(1).write_bytes(b"")
    for sum in table.log.glob("*.crc"):
        sum.unlink()


@case()
def a_gap(table):
    table.commit(2).unlink()
    for sum in table.log.glob("*.crc"):
        sum.unlink()


@case()
def two_descriptions(table):
    table.put(metadata(table), metadata(table, name="other"))


@case(status=REFUSED)
def a_reader_version_of_2_to_the_31(table):
    table.put({"protocol": {"minReaderVersion": 2**31 - 1, "minWriterVersion": 1}})


@case(status=REFUSED)
def an_unknown_reader_feature(table):
    features = {"readerFeatures": ["zzz"], "writerFeatures": ["zzz"]}
    table.put({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}})


@case(rows=ROWS)
def a_commit_of_version_2_to_the_63(table):
    (table.log / "99999999999999999999.json").write_text("{}\n")


@case()
def a_commit_far_ahead(table):
    table.put({"commitInfo": {}}, version=9223372036854775807)


@case()
def keys_given_twice(table):
    table.put('{"commitInfo":{"timestamp":1,"timestamp":2}}')


# Statistics.


@each(
    "plain",
    {
        "nested 1,000,000 deep": lambda: '{"numRecords":1,"minValues":{"id":' + "[" * 1_000_000 + "]" * 1_000_000 + "}}",
        "objects nested 100,000 deep": '{"numRecords":1,"minValues":' + '{"id":' * 100_000 + "1" + "}" * 100_001,
        "no JSON": "numRecords=1",
        "a list": "[1,2]",
        "rows below zero": '{"numRecords":-9223372036854775808}',
        "rows of 2^64": '{"numRecords":18446744073709551616}',
        "rows that are text": '{"numRecords":"ten"}',
        "bounds of other types": '{"numRecords":10,"minValues":{"id":"x","x":{},"day":7},"maxValues":{"id":[]}}',
        "bounds that are a list": '{"numRecords":10,"minValues":[1],"maxValues":7,"nullCount":"x"}',
        "bounds beyond all": '{"numRecords":10,"minValues":{"id":1e999,"x":-1e999},"maxValues":{"id":1e999}}',
        "100 MB": lambda: '{"numRecords":10,"minValues":{"name":"' + "a" * 30_000_000 + '"}}',
        "no object ends": '{"numRecords":10,"minValues":{',
    },
    rows=ROWS,
    fsck=(0, CORRUPT),
)
def stats(table, text):
    """Statistics are advice: a file whose statistics can't be read is read whole."""
    for number, action in enumerate(table.actions("add")):
        path = table.commit(number + 1)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if "add" in line:
                line["add"]["stats"] = text
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        if len(text) > 1_000_000:
            break


# Schemas.


def nested_type(depth):
    open, close = '{"type":"struct","fields":[{"name":"a","nullable":true,"metadata":{},"type":', "}]}"
    return open * depth + '"integer"' + close * depth


@each(
    "plain",
    {
        "nested 100": nested_type(100),
        "nested 5,000": nested_type(5_000),
        "nested 100,000": nested_type(100_000),
        "arrays 100,000 deep": json.dumps(schema(field("a", "T"))).replace(
            '"T"', '{"type":"array","containsNull":true,"elementType":' * 100_000 + '"long"' + "}" * 100_000
        ),
        "no JSON": "id long",
        "no text at all": "",
        "null": "null",
        "a type that is unknown": json.dumps(schema(field("a", "money"))),
        "a type that is a number": json.dumps(schema(field("a", 7))),
        "decimal(99,-3)": json.dumps(schema(field("a", "decimal(99,-3)"))),
        "decimal(10,20)": json.dumps(schema(field("a", "decimal(10,20)"))),
        "the same name twice": json.dumps(schema(field("a", "long"), field("A", "string"))),
        "a name that is empty": json.dumps(schema(field("", "long"))),
        "names that are numbers": json.dumps(schema(field(7, "long"))),
        "a map without values": json.dumps(schema(field("a", {"type": "map", "keyType": "string"}))),
        "fields that are text": '{"type":"struct","fields":"none"}',
        "an array as the root": '{"type":"array","elementType":"long","containsNull":true}',
    },
    status=(CORRUPT, REFUSED),
)
def schema_text(table, text):
    table.put(metadata(table, schemaString=text))


@case(status=CORRUPT)
def a_schema_of_a_million_columns(table):
    fields = ",".join('{"name":"c%d","type":"long","nullable":true,"metadata":{}}' % i for i in range(1_000_000))
    text = '{"type":"struct","fields":[' + fields + "]}"
    table.put(metadata(table, schemaString=text))


@each(
    "plain",
    {
        "no such column": {"partitionColumns": ["nope"]},
        "twice": {"partitionColumns": ["day", "day"]},
        "text": {"partitionColumns": "day"},
        "orc": {"format": {"provider": "orc", "options": {}}},
        "no id": {"id": None},
        "configuration of numbers": {"configuration": {"delta.appendOnly": 7}},
    },
    status=(CORRUPT, REFUSED),
)
def description(table, change):
    table.put(metadata(table, **change))


# Partition values.


@each(
    "parts",
    {
        "no date": {"day": "yesterday"},
        "a date out of range": {"day": "99999999-01-01"},
        "month 13": {"day": "2026-13-01"},
        "a number": {"day": 7},
        "an object": {"day": {}},
    },
    status=(0, CORRUPT),
    fsck=CORRUPT,
)
def partition_values(table, values):
    put_partition(table, values)


def put_partition(table, values):
    template = next(add for add in table.actions("add", 1) if add["partitionValues"]["day"] == "2026-01-01")
    source = table.path / template["path"]
    source.with_name("other.parquet").write_bytes(source.read_bytes())
    path = str(source.with_name("other.parquet").relative_to(table.path))
    table.put({"add": {**template, "path": path, "size": source.stat().st_size, "partitionValues": values}})


@each(
    "parts",
    {
        "of a foreign column": {"nope": "x"},
        "none": {},
        "too many": {"day": "2026-01-01", "id": "1"},
    },
    rows=ROWS + 4,
    fsck=(0, CORRUPT),
)
def partition_values_that_are_odd(table, values):
    """A value that is missing is null, one too many is nobody's."""
    put_partition(table, values)


# Paths.

ESCAPES = {
    "up": "../victim/secret.parquet",
    "up within": "sub/../../victim/secret.parquet",
    "absolute": "{root}/victim/secret.parquet",
    "file": "file://{root}/victim/secret.parquet",
    "file with one slash": "file:{root}/victim/secret.parquet",
    "file in capitals": "FILE://{root}/victim/secret.parquet",
    "encoded dots": "%2e%2e/victim/secret.parquet",
    "encoded slash": "..%2fvictim%2fsecret.parquet",
    "encoded twice": "%252e%252e/victim/secret.parquet",
    "other scheme": "s3://other/secret.parquet",
    "http": "http://127.0.0.1:9/secret.parquet",
    "backslashes": "..\\victim\\secret.parquet",
    "encoded backslashes": "..%5cvictim%5csecret.parquet",
    "the log": "_delta_log/../../victim/secret.parquet",
    "a host": "//host/victim/secret.parquet",
    "dots and spaces": ".. /victim/secret.parquet",
}


def victim(table):
    """A file beside the table that no path of its log may reach; with the columns of the table."""
    folder = table.path.parent / "victim"
    folder.mkdir(exist_ok=True)
    source = table.data_files()[0]
    (folder / "secret.parquet").write_bytes(source.read_bytes())
    return folder / "secret.parquet"


@each("plain", ESCAPES, status=(REFUSED, CORRUPT, NOT_FOUND))
def data_path(table, path):
    secret = victim(table)
    add_of_it = {**table.actions("add")[0], "path": path.format(root=table.path.parent)}
    table.put({"add": {**add_of_it, "size": secret.stat().st_size}})


@each("plain", ESCAPES, status=(REFUSED, CORRUPT, 0), fsck=(REFUSED, CORRUPT, 0))
def removed_path(table, path):
    victim(table)
    path = path.format(root=table.path.parent)
    table.put({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True, "size": 1}})


@each("dv", {k: v for k, v in ESCAPES.items() if ".." not in v[:3] or k == "up"}, status=(REFUSED, CORRUPT, NOT_FOUND))
def vector_path(table, path):
    path = path.format(root=table.path.parent).replace("secret.parquet", "v.bin")
    data, offsets = vector_file(vector(1))
    victim(table).with_name("v.bin").write_bytes(data)
    put_vector(table, storageType="p", pathOrInlineDv=path, offset=1, sizeInBytes=len(vector(1)), cardinality=1)


# Deletion vectors.


def put_vector(table, **descriptor):
    old = table.actions("add")[0]
    remove = {"path": old["path"], "deletionTimestamp": 1, "dataChange": True, "size": old["size"]}
    table.put({"remove": remove}, {"add": {**old, "deletionVector": descriptor}})


def inline(table, body, **more):
    whole = {"sizeInBytes": len(body), "cardinality": 1, **more}
    put_vector(table, storageType="i", pathOrInlineDv=z85(body), **whole)


@case("dv", rows=ROWS - 2)
def a_whole_vector(table):
    inline(table, vector(1, 3), cardinality=2)


@each(
    "dv",
    {
        "garbage": (b"garbage!" * 20, {}),
        "nothing": (b"", {}),
        "another magic": (vector(1, magic=7), {}),
        "torn": (vector(1)[:-4], {}),
        "too many bytes": (vector(1) + b"\0" * 64, {}),
        "another count": (vector(1, 3), {"cardinality": 5}),
        "a count below zero": (vector(1), {"cardinality": -1}),
        "a row behind the end": (vector(60_000), {}),
        "a size of 2^31": (vector(1), {"sizeInBytes": 2**31 - 1}),
        "a size below zero": (vector(1), {"sizeInBytes": -1}),
        "2^60 bitmaps": (struct.pack("<IQ", 1681511377, 2**60), {}),
        "2^32 containers": (struct.pack("<IQIII", 1681511377, 1, 0, 12346, 2**32 - 1), {}),
        "runs without end": (struct.pack("<IQIHHBHHH", 1681511377, 1, 0, 12347, 0, 1, 0, 9, 65535), {}),
    },
)
def inline_vector(table, given):
    body, more = given
    inline(table, body, **more)


@each(
    "dv",
    {
        "no such file": {},
        "garbage": {"data": b"garbage" * 100},
        "nothing": {"data": b""},
        "another version": {"version": 9},
        "another checksum": {"crc": 7},
        "an offset behind the end": {"offset": 10_000},
        "an offset of 2^31": {"offset": 2**31 - 1},
        "an offset below zero": {"offset": -8},
        "another size": {"size": 2**20},
        "a size of 1 GB": {"size": 2**30},
        "another count": {"cardinality": 7},
    },
    status=(CORRUPT, NOT_FOUND),
)
def stored_vector(table, how):
    body = vector(2)
    name = uuid.UUID("0190b6a2-7c1e-7d3f-8a55-0c9d2f6b1e47")
    data, offsets = vector_file(body, version=how.get("version", 1), crc=how.get("crc"))
    if how:
        (table.path / f"deletion_vector_{name}.bin").write_bytes(how.get("data", data))
    size, count = how.get("size", len(body)), how.get("cardinality", 1)
    put_vector(
        table,
        storageType="u",
        pathOrInlineDv=z85(name.bytes),
        offset=how.get("offset", offsets[0]),
        sizeInBytes=size,
        cardinality=count,
    )


@each(
    "dv",
    {
        "an unknown storage": {"storageType": "x", "pathOrInlineDv": "a", "sizeInBytes": 1, "cardinality": 1},
        "letters that Z85 lacks": {"storageType": "i", "pathOrInlineDv": "~~~~~", "sizeInBytes": 4, "cardinality": 1},
        "a UUID that is short": {"storageType": "u", "pathOrInlineDv": "abc", "sizeInBytes": 4, "cardinality": 1},
        "a directory that climbs": {
            "storageType": "u",
            "pathOrInlineDv": "../" + z85(b"1234567890123456"),
            "offset": 1,
            "sizeInBytes": 4,
            "cardinality": 1,
        },
        "no fields": {},
    },
    status=(CORRUPT, REFUSED, NOT_FOUND),
)
def vector_descriptor(table, descriptor):
    put_vector(table, **descriptor)


@case("dv")
def a_text_of_100_mb_for_a_vector(table):
    put_vector(table, storageType="i", pathOrInlineDv="z" * 60_000_000, sizeInBytes=48_000_000, cardinality=1)


# Checkpoints: these tables have nothing else to go by.


def checkpoint_of(table):
    return max(table.log.glob("*.checkpoint*.parquet"))


def rewrite(path, change):
    pq.write_table(change(pq.read_table(path)), path)


@each(
    "classic",
    {
        "nothing": lambda data: b"",
        "garbage": lambda data: b"garbage" * 1000,
        "a magic number alone": lambda data: b"PAR1PAR1",
        "half of it": lambda data: data[: len(data) // 2],
        "its last byte gone": lambda data: data[:-1],
        "a footer of 2^31 bytes": lambda data: data[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1",
        "a footer of zeros": lambda data: data[: -8 - 500] + b"\0" * 500 + data[-8:],
        "a footer of 0xff": lambda data: data[: -8 - 900] + b"\xff" * 900 + data[-8:],
    },
)
def checkpoint_bytes(table, change):
    path = checkpoint_of(table)
    path.write_bytes(change(path.read_bytes()))


@each(
    "classic",
    {
        "no rows": lambda rows: rows.slice(0, 0),
        "no adds": lambda rows: rows.drop_columns(["add"]),
        "no protocol": lambda rows: rows.drop_columns(["protocol"]),
        "no description": lambda rows: rows.drop_columns(["metaData"]),
        "adds of text": lambda rows: rows.drop_columns(["add"]).append_column("add", pa.array(["x"] * rows.num_rows)),
        "other columns": lambda rows: pa.table({"a": [1, 2, 3]}),
    },
)
def checkpoint_rows(table, change):
    rewrite(checkpoint_of(table), change)


@each(
    "classic",
    {
        "one row less": lambda rows: rows.slice(0, rows.num_rows - 1),
        "rows twice": lambda rows: pa.concat_tables([rows, rows]),
    },
    status=(0, CORRUPT),
    fsck=CORRUPT,
)
def checkpoint_that_is_whole_but_wrong(table, change):
    """No reader can tell without reading all; a check of the table does."""
    rewrite(checkpoint_of(table), change)


@case("classic")
def a_checkpoint_gone(table):
    checkpoint_of(table).unlink()


def sidecars(table):
    return sorted((table.log / "_sidecars").glob("*"))


@each(
    "v2",
    {
        "gone": None,
        "nothing": lambda data: b"",
        "garbage": lambda data: b"garbage" * 500,
        "half of it": lambda data: data[: len(data) // 2],
        "rows of others": lambda data: foreign_parquet(),
    },
    status=(CORRUPT, NOT_FOUND),
)
def sidecar(table, change):
    path = sidecars(table)[0]
    data = path.read_bytes()
    path.unlink() if change is None else path.write_bytes(change(data))


def foreign_parquet():
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2, 3]}), sink)
    return sink.getvalue()


@each(
    "v2",
    {
        **{name: path for name, path in ESCAPES.items()},
        "itself": "{self}",
        "itself, by way of up": "../{self}",
        "no such": "00000000-0000-0000-0000-000000000000.parquet",
        "empty": "",
    },
    status=(CORRUPT, REFUSED, NOT_FOUND),
)
def sidecar_path(table, path):
    main = checkpoint_of(table)
    victim_path = table.path.parent / "victim"
    victim_path.mkdir(exist_ok=True)
    (victim_path / "secret.parquet").write_bytes(sidecars(table)[0].read_bytes())
    path = path.format(root=table.path.parent, self=main.name)

    def change(rows):
        at = rows.column_names.index("sidecar")
        old = rows.column("sidecar")
        new = [value and {**value, "path": path} for value in old.to_pylist()]
        return rows.set_column(at, "sidecar", pa.array(new, old.type))

    rewrite(main, change)


# Hint, checksums, compacted files: shortcuts, never the truth.

SHORTCUTS = {
    "nothing": b"",
    "garbage": b"garbage{",
    "zeros": b"\0" * 1000,
    "not UTF-8": b'{"version":"\xff"}',
    "nested": b'{"version":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "ahead": b'{"version":99999,"size":1}',
    "below zero": b'{"version":-1,"size":1}',
    "text": b'{"version":"2","size":"x","parts":"y"}',
    "many parts": b'{"version":2,"size":1,"parts":2147483647}',
    "40 MB": lambda: b'{"version":2,"size":1,"checksum":"' + b"a" * 40_000_000 + b'"}',
}


@each("plain", SHORTCUTS, rows=ROWS, fsck=(0, CORRUPT))
def hint(table, data):
    (table.log / "_last_checkpoint").write_bytes(data)


@each("classic", SHORTCUTS, rows=ROWS, fsck=(0, CORRUPT))
def hint_beside_a_checkpoint(table, data):
    (table.log / "_last_checkpoint").write_bytes(data)


@each("plain", SHORTCUTS, rows=ROWS, fsck=(0, CORRUPT))
def checksum(table, data):
    (table.log / f"{table.version:020}.crc").write_bytes(data)


@case(rows=ROWS, fsck=CORRUPT)
def a_checksum_of_other_sizes(table):
    path = table.log / f"{table.version:020}.crc"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "numFiles": 99, "tableSizeBytes": 7}))


@each("plain", SHORTCUTS, rows=ROWS, fsck=(0, CORRUPT))
def compacted(table, data):
    (table.log / f"{0:020}.{table.version:020}.compacted.json").write_bytes(data)


@each("plain", SHORTCUTS)
def compacted_for_commits_that_are_gone(table, data):
    (table.log / f"{1:020}.{2:020}.compacted.json").write_bytes(data)
    for version in (1, 2):
        table.commit(version).unlink()
    for sum in table.log.glob("*.crc"):
        sum.unlink()


# Data files.


@each(
    "plain",
    {
        "nothing": lambda data: b"",
        "garbage": lambda data: b"garbage!" * 200,
        "half of it": lambda data: data[: len(data) // 2],
        "its last byte gone": lambda data: data[:-1],
        "zeros": lambda data: b"\0" * len(data),
        "its pages zero": lambda data: data[:4] + b"\0" * 100 + data[104:],
        "a footer of 2^31 bytes": lambda data: data[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1",
        "a footer of 0xff": lambda data: data[:-108] + b"\xff" * 100 + data[-8:],
        "a list of 2^31 in the footer": lambda data: data[:-8] + b"\x15\x02\x19\xfc\xff\xff\xff\xff\x07" + tail(9),
        "CSV": lambda data: b"id,name\n1,a\n",
    },
    fsck=CORRUPT,
)
def data_bytes(table, change):
    path = table.data_files()[0]
    path.write_bytes(change(path.read_bytes()))


@case(fsck=CORRUPT)
def a_data_file_with_a_byte_more(table):
    """It is not the file that the log lists."""
    path = table.data_files()[0]
    path.write_bytes(path.read_bytes() + b"\0")


def tail(size):
    return struct.pack("<I", size) + b"PAR1"


@case(status=REFUSED, fsck=(REFUSED, CORRUPT))
def a_data_file_that_is_encrypted(table):
    path = table.data_files()[0]
    path.write_bytes(path.read_bytes()[:-4] + b"PARE")


@case(status=NOT_FOUND, fsck=CORRUPT)
def a_data_file_gone(table):
    table.data_files()[0].unlink()


def with_its_size(table, data):
    """A data file of other bytes, whose size the log knows."""
    path = table.data_files()[0]
    path.write_bytes(data)
    old = next(add for add in table.actions("add") if add["path"].endswith(path.name))
    table.put({"remove": {"path": old["path"], "deletionTimestamp": 1, "dataChange": True}})
    other = path.with_name("other.parquet")
    path.rename(other)
    table.put({"add": {**old, "path": "other.parquet", "size": len(data), "stats": None}})


@each(
    "plain",
    {
        "text where numbers belong": {"id": ["x"], "name": ["a"], "x": [1.0]},
        "numbers where dates belong": {"id": [1], "name": ["a"], "x": [1.0], "day": [1.5]},
        "a list where a number belongs": {"id": [[1]], "name": ["a"]},
        "a struct where text belongs": {"id": [1], "name": [{"a": 1}]},
    },
    status=(0, CORRUPT),
    fsck=CORRUPT,
)
def data_of_types(table, columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    with_its_size(table, sink.getvalue())


@case(fsck=CORRUPT)
def a_page_that_is_a_bomb(table):
    """A page header that claims two gigabytes."""
    data = pq_with_plain_pages()
    at = data.find(b"\x15\x00\x15")
    with_its_size(table, data[: at + 3] + b"\xfe\xff\xff\xff\x0f" + data[at + 8 :])


def pq_with_plain_pages():
    sink = io.BytesIO()
    columns = {"id": pa.array(range(1000), pa.int64()), "name": pa.array(["a"] * 1000)}
    pq.write_table(pa.table(columns), sink, compression="none", use_dictionary=False)
    return sink.getvalue()


@each(
    "plain",
    {"larger": lambda size: size + 1000, "smaller": lambda size: size // 2, "of one byte": lambda size: 1},
    fsck=CORRUPT,
)
def another_size_in_the_log(table, size):
    old = table.actions("add")[0]
    table.put({"remove": {"path": old["path"], "deletionTimestamp": 1, "dataChange": True}})
    table.put({"add": {**old, "size": size(old["size"])}})


@case(fsck=CORRUPT)
def a_whole_file_of_another_size(table):
    """It is read by its own footer, and is not what the log lists."""
    path = table.data_files()[0]
    path.write_bytes(pq_with_plain_pages())


# Commits of a million files.

MILLION = 1_000_000


@pytest.fixture(scope="session")
def crowd(bases, tmp_path_factory):
    """A table with a commit of a million files that are not there."""
    table = bases["plain"].copy(tmp_path_factory.mktemp("crowd") / "t")
    one = json.dumps(add("NAME", stats=json.dumps({"numRecords": 1})))
    with open(table.commit(table.version + 1), "w") as file:
        file.write('{"commitInfo":{"operation":"WRITE"}}\n')
        file.writelines(one.replace("NAME", f"f{i}") + "\n" for i in range(MILLION))
    return table


@pytest.mark.parametrize(
    "args,status,said",
    [
        (["sql", "select count(*) n from '{}'"], 0, str(MILLION + ROWS)),
        (["sql", "select count(*) n from '{}' where id > 5"], NOT_FOUND, ""),
        (["scan", "{}"], NOT_FOUND, ""),
        (["show", "{}"], 0, str(MILLION + ROWS)),
        (["log", "{}"], 0, str(MILLION)),
        (["fsck", "{}"], CORRUPT, f"and {MILLION - 1000} more"),
    ],
    ids=["count", "filter", "scan", "show", "log", "fsck"],
)
def test_a_million_files_in_one_commit(crowd, tmp_path, args, status, said):
    before = fingerprint(crowd.path)
    # A check looks at each of the files, and at what is said of each.
    patience = 2 if args[0] == "fsck" else 1
    args = [arg.replace("{}", str(crowd.path)) for arg in args]
    done = judge(Lake(tmp_path), *args, "--format", "json", patience=patience)
    assert done.status == status, done
    assert said in done.out.decode(), done
    assert fingerprint(crowd.path) == before


# The judge.

READS = [["scan"], ["files"], ["fsck", "--deep"], ["vacuum", "--dry-run"]]
WRITES = [["optimize"], ["checkpoint"], ["restore", "--to", "v1"]]


def among(status, wanted):
    return status in (wanted if isinstance(wanted, tuple) else (wanted,))


@pytest.mark.parametrize("name,base,damage,status,rows,fsck", CASES, ids=[one[0] for one in CASES])
def test_damage(bases, tmp_path, name, base, damage, status, rows, fsck):
    """Reading changes nothing; writing does what it says, or changes nothing in the log and deletes nothing."""
    lake = Lake(tmp_path)
    table = bases[base].copy(tmp_path / "t")
    damage(table)
    before = fingerprint(table.path)
    secret = fingerprint(tmp_path / "victim")
    count = judge(lake, "sql", f"select count(x) n, sum(id) s from '{table.path}'", "--format", "json")
    assert among(count.status, status), count
    if rows is not None:
        assert json.loads(count.out)[0]["n"] == rows
    for args in READS:
        done = judge(lake, *args[:1], table.path, *args[1:], "--format", "ndjson")
        if args[0] == "scan":
            assert among(done.status, status), done
        if args[0] == "fsck":
            assert among(done.status, fsck), done
        assert done.status in ANSWERS, done
    assert fingerprint(table.path) == before
    for args in WRITES:
        before = fingerprint(table.path)
        done = judge(lake, args[0], table.path, *args[1:])
        assert done.status in ANSWERS, done
        after = fingerprint(table.path)
        assert not set(before) - set(after) or args == ["checkpoint"], done
        if done.status != 0:
            written = [one for one in after if one not in before and "_delta_log" in one[0]]
            assert not written, f"an error, but the log is another: {written}\n{done}"
    assert fingerprint(tmp_path / "victim") == secret


def test_a_large_value_that_a_dictionary_repeats(bases, tmp_path):
    """700 MB in a file of some kilobytes: decoded whole it would not fit."""
    lake = Lake(tmp_path)
    table = bases["plain"].copy(tmp_path / "t")
    rows, length = 700, 1_000_000
    sink = io.BytesIO()
    ids, name = pa.array(range(rows), pa.int64()), pa.DictionaryArray.from_arrays(pa.array([0] * rows), ["x" * length])
    columns = {"id": ids, "name": name, "x": pa.array([1.0] * rows), "day": pa.array([None] * rows, pa.date32())}
    pq.write_table(pa.table(columns), sink, compression="zstd", dictionary_pagesize_limit=2 * length)
    assert len(sink.getvalue()) < 100_000
    with_its_size(table, sink.getvalue())
    query = f"select count(*) n, sum(length(name)) s from '{table.path}'"
    done = judge(lake, "sql", query, "--format", "json")
    [told] = json.loads(done.out)
    # Beside the names of two smaller files.
    assert told["n"] == rows + ROWS - 10 and 0 < told["s"] - rows * length < 100, done
    done = judge(lake, "fsck", table.path, "--deep")
    assert done.status == 0, done
    done = judge(lake, "scan", table.path, "--where", f"id >= {ROWS + 5}", "--limit", "3", "--format", "ndjson")
    assert done.status == 0 and done.out, done
