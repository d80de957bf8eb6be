"""How others read a table, and rows as a multiset of plain values, whatever types a reader spells them in."""

import os
import subprocess

import duckdb
import duckdb_ext
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, QueryBuilder


class Refused(Exception):
    """A reader says that it can't read the table."""


def connect_duckdb():
    connection = duckdb_ext.init(duckdb.connect(config={"allow_unsigned_extensions": True}))
    connection.load_extension("delta")
    return connection


def by_datafusion(path, condition=None):
    """deltalake by its own query engine."""
    try:
        query = f"select * from t where {condition}" if condition else "select * from t"
        return without_views(pa.table(QueryBuilder().register("t", DeltaTable(str(path))).execute(query).read_all()))
    except Exception as error:
        raise Refused(f"deltalake: {error}") from error


def without_views(table):
    """pyarrow can't filter columns of views."""
    kinds = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    fields = [field.with_type(kinds.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields))


def by_pyarrow(path):
    """deltalake by pyarrow's datasets."""
    try:
        return DeltaTable(str(path)).to_pyarrow_table()
    except Exception as error:
        raise Refused(f"deltalake to pyarrow: {error}") from error


def by_duckdb(path, condition=None):
    try:
        where = f" where {condition}" if condition else ""
        # A path that is a pattern too is read as one: the tests' folders have plain names.
        return connect_duckdb().execute(f"select * from delta_scan('{path}'){where}").fetch_arrow_table()
    except duckdb.Error as error:
        raise Refused(f"DuckDB: {error}") from error


def kernel():
    """The program that reads by delta_kernel; LAKE_KERNEL names it."""
    return os.environ.get("LAKE_KERNEL")


def by_kernel(path, *condition):
    out = f"{path}.kernel.parquet"
    done = subprocess.run([kernel(), str(path), out, *map(str, condition)], capture_output=True, timeout=120)
    if done.returncode:
        raise Refused(f"delta_kernel: {done.stderr.decode(errors='replace')}")
    return pq.read_table(out)


def by_lake(lake, path, *args):
    """The program under test, as Parquet."""
    return pq.read_table(pa.BufferReader(lake.run("scan", path, *args, "--format", "parquet")))


def multiset(table, columns=None):
    """The rows in one order, with the names of the columns, as plain values."""
    names = sorted(columns if columns is not None else table.column_names)
    values = [plain(table.column(name)) for name in names]
    return [names, *sorted(map(repr, zip(*values, strict=True)))]


def plain(array):
    """Values that compare equal for equal values alone: -0.0 is not 0.0, NaN is itself, and an instant is no wall time."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in plain(chunk)]
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_timestamp(kind):
        unit = "instant" if kind.tz else "wall"
        micros = array.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64()).to_pylist()
        return [None if value is None else (unit, value) for value in micros]
    if pa.types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32()).to_pylist()
        return [None if value is None else ("day", value) for value in days]
    if pa.types.is_floating(kind):
        return [None if value is None else repr(value) for value in array.to_pylist()]
    if pa.types.is_decimal(kind):
        return [None if value is None else format(value, "f") for value in array.to_pylist()]
    if pa.types.is_struct(kind):
        valid = array.is_valid().to_pylist()
        fields = {field.name: plain(array.field(i)) for i, field in enumerate(kind)}
        return [{n: fields[n][i] for n in sorted(fields)} if ok else None for i, ok in enumerate(valid)]
    if pa.types.is_map(kind):
        return [None if one is None else sorted(map(repr, one)) for one in pieces(array, entries)]
    if pa.types.is_nested(kind):
        return pieces(array, plain)
    return array.to_pylist()


def pieces(array, read):
    return [read(one.values) if one.is_valid else None for one in array]


def entries(values):
    return list(zip(plain(values.field(0)), plain(values.field(1)), strict=True))
