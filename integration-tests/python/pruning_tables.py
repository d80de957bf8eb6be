"""Makes tables for the Rust suite `pruning`: the same odd rows, written by deltalake and by pyarrow in several ways.

usage: pruning_tables.py FOLDER

Each table is a folder, with its rows in a plain Parquet file of the same name beside it.
"""

import datetime as dt
import json
import random
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import WriterProperties, write_deltalake

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
FLOATS = [float("nan"), -0.0, 0.0, float("inf"), float("-inf"), 5e-324]
FILLING = ["a", "\x7f", "é", "日", "\uffff", "\U0001f600", "\U0010ffff"]


def shaped(rng, count, make):
    """Values that follow each other in one of several ways, with nulls here and there."""
    kind, nulls, blocks = rng.randrange(6), rng.choice([0, 0, 0.03, 0.5]), rng.random() < 0.3
    constant = rng.randrange(-100, 100)

    def value(i):
        numbers = [i - 300, i // 97, rng.randrange(-10, 10), rng.randrange(-(2**40), 2**40) >> rng.randrange(40)]
        return make([*numbers, 500 - i + rng.randrange(9), constant][kind])

    hidden = lambda i: rng.random() < nulls or (blocks and (i // 200) % 3 == 1)
    return [None if hidden(i) else value(i) for i in range(count)]


def wide(rng):
    def make(v):
        filler = rng.choice(FILLING) * rng.choice([0, 1, 20, 31, 32, 33, 60, 64, 65, 100])
        number = f"{v % 99991:05}"
        return filler + number if rng.random() < 0.5 else number + filler

    return make


def decimal(precision, scale, factor):
    return lambda v: Decimal(v * factor % 10**precision - 10**precision // 2).scaleb(-scale)


def rows(rng, first, count):
    """Rows of every type. Times are whole milliseconds, so that every writer can keep them."""
    odd = lambda scale: lambda v: rng.choice(FLOATS) if rng.random() < 0.03 else v / scale
    single = lambda v: v if v is None else pa.scalar(v, pa.float32()).as_py()
    time = lambda v: EPOCH + dt.timedelta(milliseconds=v % 2_000_000_000 * 1237 - 3500)
    wrapped = lambda bits: lambda v: (v + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    of = lambda kind, make: pa.array(shaped(rng, count, make), kind)
    return pa.table(
        {
            "id": pa.array(range(first, first + count), pa.int64()),
            "flag": of(pa.bool_(), lambda v: v % 2 == 0),
            "i8": of(pa.int8(), wrapped(8)),
            "i16": of(pa.int16(), wrapped(16)),
            "i32": of(pa.int32(), wrapped(32)),
            "i64": of(pa.int64(), lambda v: v),
            "f32": of(pa.float32(), lambda v: single(odd(3)(v))),
            "f64": of(pa.float64(), odd(7)),
            "text": of(pa.string(), str),
            "wide": of(pa.string(), wide(rng)),
            "raw": of(pa.binary(), lambda v: (v % 2**64).to_bytes(8, "big")),
            "day": of(pa.date32(), lambda v: dt.date(1970, 1, 1) + dt.timedelta(days=v % 20000 - 10000)),
            "at": of(pa.timestamp("us", tz="UTC"), time),
            "d5": of(pa.decimal128(5, 2), decimal(5, 2, 7)),
            "d9": of(pa.decimal128(9, 0), decimal(9, 0, 1001)),
            "d18": of(pa.decimal128(18, 4), decimal(18, 4, 10**9 + 7)),
            "d38": of(pa.decimal128(38, 10), decimal(38, 10, 10**27 + 1)),
            "nested": pa.array(
                [None if i % 17 == 5 else {"x": i % 50, "y": None if i % 3 else f"y{i}"} for i in range(count)],
                pa.struct([("x", pa.int32()), ("y", pa.string())]),
            ),
            "part": pa.array([rng.choice(["a b", "ü/%", None]) for _ in range(count)], pa.string()),
        }
    )


def by_deltalake(path, pieces, **options):
    for piece in pieces:
        properties = WriterProperties(
            max_row_group_size=options.get("group", 300),
            data_page_row_count_limit=options.get("page", 40),
            write_batch_size=options.get("page", 40),
            compression="SNAPPY",
        )
        write_deltalake(
            path, piece, mode="append", writer_properties=properties, partition_by=options.get("partition_by")
        )


TYPES = {
    "id": "long", "flag": "boolean", "i8": "byte", "i16": "short", "i32": "integer", "i64": "long", "f32": "float",
    "f64": "double", "text": "string", "wide": "string", "raw": "binary", "day": "date", "at": "timestamp",
    "d5": "decimal(5,2)", "d9": "decimal(9,0)", "d18": "decimal(18,4)", "d38": "decimal(38,10)", "part": "string",
}  # fmt: skip


def by_pyarrow(path, pieces, time_unit="us", **options):
    """Files of pyarrow under a log without statistics: only what is in the files can prune."""
    path.mkdir(parents=True)
    field = lambda name, kind: {"name": name, "type": kind, "nullable": True, "metadata": {}}
    nested = {"type": "struct", "fields": [field("x", "integer"), field("y", "string")]}
    names = pieces[0].column_names
    schema = {"type": "struct", "fields": [field(name, TYPES.get(name, nested)) for name in names]}
    lines = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {
            "metaData": {
                "id": "5a17b9c6-9c7f-4d0e-8d1f-0123456789ab",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps(schema),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": 0,
            }
        },
    ]
    for at, piece in enumerate(pieces):
        index = piece.schema.get_field_index("at")
        piece = piece.set_column(index, "at", piece["at"].cast(pa.timestamp(time_unit, tz="UTC")))
        file = path / f"part-{at}.parquet"
        settings = {"row_group_size": 700, "data_page_size": 300, "write_batch_size": 40, "write_page_index": True}
        pq.write_table(piece, file, **{**settings, **options})
        add = {"path": file.name, "partitionValues": {}, "size": file.stat().st_size, "modificationTime": 0}
        lines.append({"add": {**add, "dataChange": True}})
    log = path / "_delta_log"
    log.mkdir()
    (log / f"{0:020}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


WRITERS = {
    "deltalake": lambda path, pieces: by_deltalake(path, pieces),
    "deltalake_partitioned": lambda path, pieces: by_deltalake(path, pieces, partition_by=["part"]),
    "deltalake_large_groups": lambda path, pieces: by_deltalake(path, pieces, group=100_000, page=25),
    "pyarrow": lambda path, pieces: by_pyarrow(path, pieces),
    "pyarrow_no_index": lambda path, pieces: by_pyarrow(path, pieces, write_page_index=False, use_dictionary=False),
    "pyarrow_nanos": lambda path, pieces: by_pyarrow(path, pieces, "ns", version="2.6", data_page_version="2.0"),
    "pyarrow_millis": lambda path, pieces: by_pyarrow(path, pieces, "ms", version="1.0", use_dictionary=False),
    "pyarrow_int96": lambda path, pieces: by_pyarrow(path, pieces, "ns", use_deprecated_int96_timestamps=True),
    "pyarrow_integer_decimals": lambda path, pieces: by_pyarrow(path, pieces, store_decimal_as_integer=True),
    "pyarrow_no_statistics": lambda path, pieces: by_pyarrow(path, pieces, write_statistics=False),
}


def main(folder):
    for seed, (name, write) in enumerate(WRITERS.items()):
        rng = random.Random(seed)
        sizes, pieces, first = [1300, 260, 60, 7], [], 0
        for size in sizes:
            pieces.append(rows(rng, first, size))
            first += size
        write(folder / name, pieces)
        pq.write_table(pa.concat_tables(pieces), folder / f"{name}.parquet")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target)
