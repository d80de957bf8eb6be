"""deltalake and Lake write one table by turns; everybody reads the same rows after each turn."""

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake
from peers import Refused, by_datafusion, by_duckdb, by_kernel, by_lake, kernel, multiset
from shapes import HOSTILE, Maker, edge_rows, numbers


class Turns:
    """A table, its makers, and the rows that it must hold."""

    def __init__(self, lake, folder):
        self.maker = Maker(lake, folder)
        self.path = str(self.maker.table)
        self.rows = []

    def by_lake(self, rows, *args):
        self.rows.append(self.maker.put(rows, *args))

    def by_deltalake(self, rows, **more):
        write_deltalake(self.path, rows, mode="append", **more)
        self.rows.append(rows)

    def wanted(self):
        return pa.concat_tables(self.rows, promote_options="default")

    def check(self, others=(by_datafusion, by_duckdb, by_kernel)):
        wanted = multiset(self.wanted())
        assert multiset(by_lake(self.maker.lake, self.path)) == wanted
        for reader in others:
            if reader is not by_kernel or kernel():
                assert multiset(reader(self.path)) == wanted, reader.__name__
        self.maker.lake.run("fsck", self.path, "--deep")


@pytest.fixture
def turns(lake, tmp_path):
    return Turns(lake, tmp_path)


def placed(start, count):
    """Rows for partitions of hostile names, in turn."""
    # deltalake writes this very text as null.
    names = [name for name in HOSTILE if name != "__HIVE_DEFAULT_PARTITION__"]
    places = [None if i % 9 == 8 else names[i % len(names)] for i in range(start, start + count)]
    return numbers(start, count, p=pa.array(places))


def test_turns_at_a_compatible_table(turns):
    table = turns.path
    turns.by_lake(placed(0, 60), "--partition-by", "p", "--profile", "compatible")
    turns.by_deltalake(placed(60, 60))
    turns.check()
    DeltaTable(table).create_checkpoint()
    turns.by_lake(placed(120, 10))
    turns.by_deltalake(placed(130, 10))
    turns.maker.lake.run("checkpoint", table)
    turns.check()
    turns.maker.lake.run("optimize", table)
    turns.by_deltalake(placed(140, 10))
    turns.check()
    DeltaTable(table).optimize.compact()
    turns.by_lake(placed(150, 10))
    turns.check()
    other = DeltaTable(table)
    other.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    turns.check()
    turns.by_lake(placed(160, 3))
    turns.maker.lake.run("vacuum", table)
    turns.by_deltalake(placed(163, 3))
    turns.check()


def test_turns_over_many_checkpoints_of_both(turns):
    turns.by_lake(numbers(0, 2), "--property", "delta.checkpointInterval=4")
    for n in range(1, 26):
        (turns.by_deltalake if n % 3 else turns.by_lake)(numbers(n * 2, 2))
    assert turns.maker.lake.json("show", turns.path)["version"] == 25
    checkpoints = [name for name in turns.maker.log() if "checkpoint.parquet" in name]
    assert len(checkpoints) >= 5, turns.maker.log()
    turns.check()
    DeltaTable(turns.path).cleanup_metadata()
    turns.by_lake(numbers(100, 2))
    turns.check()


def test_turns_with_every_type(turns):
    for _ in range(2):
        turns.by_lake(edge_rows())
        turns.by_deltalake(edge_rows())
    turns.check()
    turns.maker.lake.run("optimize", turns.path)
    turns.check()


def test_rows_that_deltalake_deletes_and_changes(turns):
    turns.by_lake(placed(0, 60), "--partition-by", "p")
    other = DeltaTable(turns.path)
    other.delete("id >= 10 AND id < 20")
    other.update(predicate="id >= 50", new_values={"text": "new"})
    rows = turns.wanted()
    keep = rows.filter(pa.array([not 10 <= i < 20 for i in rows["id"].to_pylist()]))
    texts = ["new" if i >= 50 else text for i, text in zip(keep["id"].to_pylist(), keep["text"].to_pylist())]
    turns.rows = [keep.set_column(keep.column_names.index("text"), "text", pa.array(texts))]
    turns.check()
    turns.by_lake(placed(60, 5))
    # A whole partition goes: by its value, in its hostile spelling.
    other = DeltaTable(turns.path)
    other.delete("p = 'US/East'")
    rows = turns.wanted()
    turns.rows = [rows.filter(pa.array([p != "US/East" for p in rows["p"].to_pylist()]))]
    turns.check()


def test_columns_that_deltalake_adds(turns):
    turns.by_lake(numbers(0, 3))
    turns.by_deltalake(numbers(3, 3, more=pa.array([1.5, None, 2.5])), schema_mode="merge")
    turns.by_lake(numbers(6, 3, more=pa.array([None, 3.5, 4.5])))
    turns.by_lake(numbers(9, 3, still=pa.array(["a", None, "b"])), "--merge-schema")
    turns.by_deltalake(numbers(12, 3), schema_mode="merge")
    turns.check()


def test_an_application_of_deltalake_is_known_to_lake(turns):
    from deltalake import Transaction

    turns.by_lake(numbers(0, 3), "--txn", "loader:1")
    turns.by_deltalake(numbers(3, 3), commit_properties=CommitProperties(app_transactions=[Transaction("loader", 2)]))
    before = turns.maker.lake.json("show", turns.path)["version"]
    turns.maker.put(numbers(6, 3), "--txn", "loader:2")
    assert turns.maker.lake.json("show", turns.path)["version"] == before, "it was there already"
    turns.by_lake(numbers(6, 3), "--txn", "loader:3")
    assert DeltaTable(turns.path).transaction_version("loader") == 3
    turns.check()


@pytest.mark.parametrize("properties", [[], ["delta.enableDeletionVectors=true"], ["delta.checkpointPolicy=v2"],
                                        ["delta.enableInCommitTimestamps=true"], ["delta.columnMapping.mode=name"],
                                        ["delta.enableTypeWidening=true"], ["delta.appendOnly=true"]])
def test_deltalake_writes_or_refuses_and_never_spoils(turns, properties):
    turns.by_lake(numbers(0, 50), *(arg for one in properties for arg in ("--property", one)))
    before = turns.maker.log()
    try:
        turns.by_deltalake(numbers(50, 5), post_commithook_properties=PostCommitHookProperties(create_checkpoint=False))
    except Exception as refused:
        print(refused)
        assert turns.maker.log() == before
    turns.by_lake(numbers(60, 5))
    try:
        turns.check()
    except Refused as refused:
        assert "Unsupported table features" in str(refused), refused
        turns.check([by_duckdb, by_kernel])
