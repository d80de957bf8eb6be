"""The `lake` program under test, and the ways in which others read a table."""

import json
import os
import subprocess

import duckdb
import duckdb_ext
import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable


class Lake:
    """Runs the program of LAKE_BIN; a call that fails unexpectedly shows what it said."""

    def __init__(self, home):
        self.bin = os.environ["LAKE_BIN"]
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LAKE_CONFIG": str(home / "config.toml"),
            "LAKE_HOME": str(home / "lake"),
        }

    def attempt(self, *args, stdin=None):
        return subprocess.run(
            [self.bin, *map(str, args)], env=self.env, input=stdin, capture_output=True, timeout=600
        )

    def run(self, *args, status=0, stdin=None):
        done = self.attempt(*args, stdin=stdin)
        text = done.stderr.decode(errors="replace")
        assert done.returncode == status, f"lake {args}: exit {done.returncode}\n{text}"
        return done.stdout

    def json(self, *args):
        return json.loads(self.run(*args, "--format", "json"))

    def rows(self, table, *args):
        return self.json("scan", table, *args)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def by_deltalake(path, version=None):
    return DeltaTable(str(path), version=version).to_pyarrow_table()


def by_duckdb(path):
    connection = duckdb_ext.init(duckdb.connect(config={"allow_unsigned_extensions": True}))
    connection.load_extension("delta")
    return connection.execute(f"select * from delta_scan('{path}')").fetch_arrow_table()


def by_polars(path):
    return polars.read_delta(str(path)).to_arrow()


READERS = [by_deltalake, by_duckdb, by_polars]


def sorted_rows(table, columns=None):
    """Rows as plain values, in one order, whatever the reader's exact types."""
    table = table.select(columns) if columns else table.select(sorted(table.column_names))
    values = (in_utc(column).to_pylist() for column in table.columns)
    return sorted(map(repr, zip(*values, strict=True)))


def in_utc(column):
    """Readers spell the zone of an instant in several ways."""
    zoned = pa.types.is_timestamp(column.type) and column.type.tz
    return column.cast(pa.timestamp("us", tz="UTC")) if zoned else column
