"""Lake writes and others read; others write and Lake reads; both take turns."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import READERS, by_deltalake, sorted_rows
from deltalake import DeltaTable, write_deltalake

UTC = dt.timezone.utc


def every_type(start=0, count=50):
    """A column of each type, with nulls, edges and odd text."""
    ids = list(range(start, start + count))
    some = lambda make: [None if i % 7 == 3 else make(i) for i in ids]
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "i32": pa.array(some(lambda i: -i), pa.int32()),
            "i16": pa.array(some(lambda i: i), pa.int16()),
            "i8": pa.array(some(lambda i: i % 100), pa.int8()),
            "f64": pa.array(some(lambda i: i / 3), pa.float64()),
            "f32": pa.array(some(lambda i: i / 2), pa.float32()),
            "flag": pa.array(some(lambda i: i % 2 == 0), pa.bool_()),
            "text": pa.array(some(lambda i: f"x{i} 'é' \U0001f600 " + "y" * (i % 40)), pa.string()),
            "raw": pa.array(some(lambda i: bytes([i % 256, 0, 255])), pa.binary()),
            "day": pa.array(some(lambda i: dt.date(1969, 12, 1) + dt.timedelta(days=i)), pa.date32()),
            "at": pa.array(
                some(lambda i: dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC) + dt.timedelta(seconds=i)),
                pa.timestamp("us", tz="UTC"),
            ),
            "price": pa.array(some(lambda i: Decimal(i) / 100), pa.decimal128(10, 2)),
            "big": pa.array(some(lambda i: Decimal(10) ** 30 + i), pa.decimal128(38, 5)),
            "tags": pa.array(some(lambda i: [str(i), None]), pa.list_(pa.string())),
            "point": pa.array(some(lambda i: {"x": i, "y": None}), pa.struct([("x", pa.int64()), ("y", pa.string())])),
        }
    )


@pytest.mark.parametrize("reader", READERS)
def test_others_read_what_lake_wrote(lake, tmp_path, reader):
    source, table = tmp_path / "in.parquet", tmp_path / "t"
    pq.write_table(every_type(), source)
    lake.run("import", table, source)
    pq.write_table(every_type(50, 30), source)
    lake.run("import", table, source)
    wanted = pa.concat_tables([every_type(), every_type(50, 30)])
    assert sorted_rows(reader(table)) == sorted_rows(wanted)


@pytest.mark.parametrize("reader", READERS)
def test_others_read_odd_partition_values(lake, tmp_path, reader):
    # The table's own folder has a plain name: Polars and DuckDB stumble over others.
    source, table = tmp_path / "in.parquet", tmp_path / "t"
    places = ["US/East", "a b", "50%", "é=ü", None, "x:y", "q?#[]", "+plus", "tab\there"]
    rows = pa.table({"place": pa.array(places), "n": pa.array(range(len(places)), pa.int64())})
    pq.write_table(rows, source)
    lake.run("import", table, source, "--partition-by", "place")
    assert sorted_rows(reader(table)) == sorted_rows(rows)


@pytest.mark.parametrize("reader", READERS)
def test_others_read_after_checkpoints_optimize_and_new_columns(lake, tmp_path, reader):
    table = tmp_path / "t"
    for n in range(12):
        source = tmp_path / f"{n}.ndjson"
        lines = [{"k": n * 10 + i, "v": f"v{i}"} | ({"extra": i} if n == 11 else {}) for i in range(10)]
        source.write_text("\n".join(map(json.dumps, lines)))
        lake.run("import", table, source, *(["--merge-schema"] if n == 11 else []))
    assert (table / "_delta_log" / "_last_checkpoint").exists()
    before = sorted_rows(reader(table))
    assert len(before) == 120
    report = lake.json("optimize", table)
    assert report["files_removed"] == 12 and report["files_added"] == 1, report
    assert sorted_rows(reader(table)) == before
    lake.run("optimize", table, "--zorder-by", "k,v")
    assert sorted_rows(reader(table)) == before


def test_lake_reads_what_deltalake_wrote(lake, tmp_path):
    table = tmp_path / "t"
    wanted = []
    for n in range(5):
        rows = every_type(n * 50)
        write_deltalake(str(table), rows, mode="append", partition_by=["flag"])
        wanted.append(rows)
    DeltaTable(str(table)).create_checkpoint()
    write_deltalake(str(table), every_type(250, 5), mode="append")
    wanted = pa.concat_tables([*wanted, every_type(250, 5)])
    got = tmp_path / "out.parquet"
    got.write_bytes(lake.run("scan", table, "--format", "parquet"))
    assert sorted_rows(pq.read_table(got)) == sorted_rows(wanted)
    assert len(lake.rows(f"{table}@v1")) == 100
    assert lake.json("show", table)["num_rows"] == 255


def test_both_take_turns(lake, tmp_path):
    source, table = tmp_path / "in.parquet", tmp_path / "t"
    wanted = []
    for n in range(24):
        rows = every_type(n * 10, 10)
        if n % 2:
            write_deltalake(str(table), rows, mode="append")
        else:
            pq.write_table(rows, source)
            lake.run("import", table, source)
        wanted.append(rows)
    wanted = sorted_rows(pa.concat_tables(wanted))
    assert sorted_rows(by_deltalake(table)) == wanted
    got = tmp_path / "out.parquet"
    got.write_bytes(lake.run("scan", table, "--format", "parquet"))
    assert sorted_rows(pq.read_table(got)) == wanted
    assert lake.json("show", table)["version"] == 23


def test_deltalake_skips_files_by_the_statistics_of_lake(lake, tmp_path):
    table = tmp_path / "t"
    for n in range(4):
        source = tmp_path / "in.parquet"
        pq.write_table(every_type(n * 50), source)
        lake.run("import", table, source)
    adds = pa.table(DeltaTable(str(table)).get_add_actions(flatten=True)).to_pydict()
    assert sorted(adds["num_records"]) == [50] * 4
    assert sorted(adds["min.id"]) == [0, 50, 100, 150] and sorted(adds["max.id"]) == [49, 99, 149, 199]
    found = DeltaTable(str(table)).to_pyarrow_table(filters=[("id", "=", 120)])
    assert found["id"].to_pylist() == [120]


def test_deltalake_vacuums_and_restores_tables_of_lake(lake, tmp_path):
    source, table = tmp_path / "in.parquet", tmp_path / "t"
    pq.write_table(every_type(), source)
    lake.run("import", table, source)
    lake.run("import", table, source, "--mode", "overwrite")
    other = DeltaTable(str(table))
    other.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(lake.rows(table)) == 50
    lake.run("scan", f"{table}@v0", status=4)
    lake.run("restore", table, "--to", "v0", status=4)


def test_a_table_that_lake_can_not_write_is_refused_by_name_and_left_alone(lake, tmp_path):
    source, table = tmp_path / "in.parquet", tmp_path / "t"
    pq.write_table(every_type(), source)
    write_deltalake(str(table), every_type(), configuration={"delta.enableDeletionVectors": "true"})
    DeltaTable(str(table)).alter.add_constraint({"positive": "id >= 0"})
    before = sorted(path.name for path in (table / "_delta_log").iterdir())
    lake.run("import", table, source, status=6)
    assert sorted(path.name for path in (table / "_delta_log").iterdir()) == before
    assert len(lake.rows(table)) == 50
