"""Hostile bytes in files that are imported, and in the config file: a clear error, and the table is as it was."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Lake
from hostile import CORRUPT, INVALID, NOT_FOUND, REFUSED, fingerprint, judge

MB = 1_000_000


def deep(depth, open="[", close="]"):
    return (open * depth + "1" + close * depth).encode()


def arrow_stream(cut=None):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema([("id", pa.int64()), ("name", pa.string())])) as writer:
        writer.write_table(pa.table({"id": [1, 2], "name": ["a", "b"]}))
    return sink.getvalue()[:cut]


def parquet(cut=None):
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", "b"]}), sink)
    return sink.getvalue()[:cut]


def long(number):
    number = number << 1 ^ number >> 63
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def avro(schema, blocks=b"", codec="null"):
    entry = lambda key, value: long(len(key)) + key.encode() + long(len(value)) + value
    header = entry("avro.schema", schema.encode()) + entry("avro.codec", codec.encode())
    return b"Obj\x01" + long(2) + header + long(0) + b"s" * 16 + blocks


RECORD = '{"type":"record","name":"r","fields":[{"name":"id","type":"long"},{"name":"name","type":"string"}]}'
LISTS = '{"type":"array","items":' * 100_000 + '"long"' + "}" * 100_000

# The file's name, its bytes and the exit codes that are right. `None`: rows may be taken as well.
INPUTS = {
    "an open quote of 1 GB": ("a.csv", None, (INVALID,)),
    "an open quote of 100 MB": ("a.csv", lambda: b"id,name\n1,\"" + b"a" * (100 * MB), (INVALID,)),
    "a line of 100 MB": ("a.csv", lambda: b"id,name\n1," + b"a" * (100 * MB) + b"\n", (INVALID, 0)),
    "50,000 columns": ("a.csv", lambda: b",".join(b"c%d" % i for i in range(50_000)) + b"\n" + b"1," * 49_999 + b"1\n", (INVALID,)),
    "a header of 10 MB": ("a.csv", lambda: b"a" * (10 * MB) + b"\n1\n", (INVALID,)),
    "zeros": ("a.csv", lambda: b"id,name\n" + b"\0" * 4096, (INVALID,)),
    "zeros in the header": ("a.csv", lambda: b"id,na\0me\n1,a\n", (INVALID,)),
    "UTF-16": ("a.csv", lambda: "id,name\n1,a\n".encode("utf-16"), (INVALID,)),
    "mixed encodings": ("a.csv", lambda: "id,name\n1,ä\n".encode() + "2,ä\n".encode("latin-1"), (INVALID,)),
    "the same column twice": ("a.csv", lambda: b"id,id\n1,2\n", (INVALID,)),
    "rows of other lengths": ("a.csv", lambda: b"id,name\n1,a,b,c\n2\n", (INVALID,)),
    "no number": ("a.csv", lambda: b"id,name\nx,a\n", (INVALID,)),
    "a number of 1e400": ("a.csv", lambda: b"id,name\n1" + b"0" * 400 + b",a\n", (INVALID,)),
    "an empty CSV": ("a.csv", lambda: b"", (INVALID, 0)),
    "bytes of no kind": ("a.csv", lambda: bytes(range(256)) * 1000, (INVALID,)),
    "a torn gzip": ("a.csv.gz", lambda: gzip.compress(b"id,name\n" + b"1,a\n" * 100_000)[:200], (INVALID,)),
    "no gzip": ("a.csv.gz", lambda: b"id,name\n1,a\n", (INVALID,)),
    "a gzip bomb": ("a.csv.gz", lambda: gzip.compress(b"id,name\n1,\"" + b"a" * (300 * MB)), (INVALID,)),
    "no zstd": ("a.csv.zst", lambda: b"id,name\n1,a\n", (INVALID,)),
    "JSON arrays 100,000 deep": ("a.jsonl", lambda: b'{"id":' + deep(100_000) + b"}\n", (INVALID,)),
    "JSON arrays without end": ("a.jsonl", lambda: b'{"id":' + b"[" * MB, (INVALID,)),
    "JSON objects 100,000 deep": ("a.jsonl", lambda: deep(100_000, '{"id":', "}"), (INVALID,)),
    "deep JSON in a column that is skipped": ("a.jsonl", lambda: b'{"id":1,"z":' + deep(100_000) + b"}\n", (INVALID,)),
    "a JSON line of 100 MB": ("a.jsonl", lambda: b'{"id":1,"name":"' + b"a" * (100 * MB) + b'"}\n', (INVALID, 0)),
    "50,000 JSON keys": ("a.jsonl", lambda: json.dumps({f"c{i}": 1 for i in range(50_000)}).encode(), (INVALID,)),
    "JSON that is torn": ("a.jsonl", lambda: b'{"id":1,"name":"a"}\n{"id":2,"na', (INVALID,)),
    "JSON of other types": ("a.jsonl", lambda: b'{"id":{"a":1},"name":[1]}\n', (INVALID,)),
    "JSON that is no object": ("a.jsonl", lambda: b"[1,2]\n7\n", (INVALID,)),
    "JSON that is not UTF-8": ("a.jsonl", lambda: b'{"id":1,"name":"\xff"}\n', (INVALID,)),
    "JSON numbers of 1e999": ("a.jsonl", lambda: b'{"id":1e999,"name":"a"}\n', (INVALID,)),
    "JSON half of a surrogate": ("a.jsonl", lambda: b'{"id":1,"name":"\\ud800"}\n', (INVALID,)),
    "Parquet that is torn": ("a.parquet", lambda: parquet(-20), (INVALID, CORRUPT)),
    "Parquet that is text": ("a.parquet", lambda: b"id,name\n1,a\n", (INVALID, CORRUPT)),
    "Parquet of 8 bytes": ("a.parquet", lambda: b"PAR1PAR1", (INVALID, CORRUPT)),
    "Parquet with a footer of 2^31": ("a.parquet", lambda: parquet(-8) + b"\xff\xff\xff\x7fPAR1", (INVALID, CORRUPT)),
    "Parquet with pages of zeros": ("a.parquet", lambda: parquet()[:4] + b"\0" * 60 + parquet()[64:], (INVALID, CORRUPT)),
    "Arrow that is torn": ("a.arrow", lambda: arrow_stream(300), (INVALID, CORRUPT)),
    "Arrow that is text": ("a.arrow", lambda: b"id,name\n1,a\n" * 10, (INVALID, CORRUPT)),
    "Arrow with a message of 2^31": ("a.arrow", lambda: b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"a" * 50, (INVALID, CORRUPT)),
    "Arrow of garbage": ("a.arrow", lambda: arrow_stream()[:8] + b"\xee" * 500, (INVALID, CORRUPT)),
    "an Arrow file torn": ("a.arrow", lambda: b"ARROW1\0\0" + b"\0" * 100 + b"\xff\xff\xff\x7fARROW1", (INVALID, CORRUPT)),
    "Avro that is torn": ("a.avro", lambda: avro(RECORD)[:60], (INVALID, CORRUPT)),
    "Avro with a schema 100,000 deep": ("a.avro", lambda: avro(LISTS), (INVALID, CORRUPT)),
    "Avro that holds itself": ("a.avro", lambda: avro('{"type":"record","name":"r","fields":[{"name":"a","type":"r"}]}'), (INVALID, REFUSED, CORRUPT)),
    "Avro with 2^60 rows": ("a.avro", lambda: avro(RECORD, long(2**60) + long(4) + b"abcd" + b"s" * 16), (INVALID, CORRUPT)),
    "Avro with a block of 2^60 bytes": ("a.avro", lambda: avro(RECORD, long(1) + long(2**60) + b"abcd"), (INVALID, CORRUPT)),
    "Avro with text of 2^60 bytes": ("a.avro", lambda: avro(RECORD, long(1) + long(11) + long(1) + long(2**60) + b"a" + b"s" * 16), (INVALID, CORRUPT)),
    "Avro of an unknown codec": ("a.avro", lambda: avro(RECORD, codec="rot13"), (INVALID, REFUSED, CORRUPT)),
    "Avro that is text": ("a.avro", lambda: b"id,name\n1,a\n", (INVALID, CORRUPT)),
}


@pytest.mark.parametrize("name", INPUTS)
def test_import(lake, tmp_path, name):
    file, data, wanted = INPUTS[name]
    source, table = tmp_path / file, tmp_path / "t"
    if data is None:
        with open(source, "wb") as file:
            file.write(b'id,name\n1,"')
            for _ in range(1000):
                file.write(b"a" * MB)
    else:
        source.write_bytes(data())
    lake.run("create", table, "--schema", "id long, name string")
    before = fingerprint(table)
    done = judge(lake, "import", source, "--into", table)
    assert done.status in wanted, done
    if done.status:
        assert fingerprint(table) == before
        # A table that would be made from it is not left behind.
        fresh = judge(lake, "import", source, "--into", tmp_path / "fresh", "--format", "json")
        if fresh.status:
            assert judge(lake, "show", tmp_path / "fresh").status == NOT_FOUND, fresh
    source.unlink()


CONFIGS = {
    "garbage": b"{{{{",
    "not UTF-8": b"[default]\nendpoint = '\xff'\n",
    "zeros": b"\0" * 1000,
    "other types": b"[default]\nendpoint = 7\n",
    "unknown keys": b"[default]\nendpiont = 'http://a'\n",
    "nested 100,000 deep": b"[default]\nendpoint = " + b"[" * 100_000 + b"]" * 100_000,
    "a key 100,000 deep": b"a" + b".a" * 100_000 + b" = 1\n",
    "50 MB": b"[default]\nendpoint = '" + b"a" * (50 * MB),
    "no address": b"[default]\nendpoint = 'not a url'\n",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_config(lake, tmp_path, name):
    (tmp_path / "config.toml").write_bytes(CONFIGS[name])
    for args in [["show", "s3://bucket/t"], ["store", "list"]]:
        done = judge(lake, *args)
        assert done.status in (INVALID, REFUSED) or name in ("no address", "unknown keys"), done


STATEMENTS = {
    "brackets": "select " + "(" * 50_000 + "1" + ")" * 50_000,
    "not": "select " + "not " * 30_000 + "true",
    "minus": "select " + "- " * 50_000 + "1",
    "or": "select 1 where 1=1" + " or 1=1" * 10_000,
    "a torn text": "select 'abc",
    "zeros": "select \x01 1",
    "nothing": "",
    "two": "select 1; select 2",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_and_conditions(lake, tmp_path, name):
    text = STATEMENTS[name]
    done = judge(lake, "sql", text)
    assert done.status in (INVALID, REFUSED), done
    lake.run("create", tmp_path / "t", "--schema", "id long")
    condition = text.removeprefix("select ") if name not in ("or", "two") else "id = 1" + " or id = 1" * 10_000
    done = judge(lake, "scan", tmp_path / "t", "--where", condition)
    assert done.status in (INVALID, REFUSED), done
