"""Published tables through the command line: each is read right as Parquet, or refused by name."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from peers import by_datafusion, by_lake, multiset

GOLDEN = Path(os.environ["LAKE_GOLDEN"]) if "LAKE_GOLDEN" in os.environ else None
ENTRIES = json.loads((GOLDEN / "index.json").read_text()) if GOLDEN else []

pytestmark = pytest.mark.skipif(GOLDEN is None, reason="LAKE_GOLDEN names no published tables")

REFUSALS = {6: "unsupported or refused as unsafe", 7: "corrupt"}
# Nothing there is a table: the log has a name that is no commit's, or no commit at all.
NO_TABLE = 4


def entries(*kinds):
    chosen = [entry for entry in ENTRIES if entry["kind"] in kinds and (GOLDEN / entry["table"]).is_dir()]
    return pytest.mark.parametrize("entry", chosen, ids=lambda entry: entry["table"])


def expected(entry, version=None):
    """The rows published for a version of a table, or None."""
    table, told = GOLDEN / entry["table"], entry["expected"]
    if told is None:
        return None
    if told == "../expected/*.parquet":
        folder = table.parent / "expected" if version is None else None
    else:
        folder = table.parent / "expected" / ("latest" if version is None else f"v{version}") / "table_content"
    if folder is None or not folder.exists():
        return None
    files = [folder] if folder.is_file() else sorted(folder.glob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files], promote_options="permissive")


def same_rows(found, wanted, entry):
    note = entry["note"] or ""
    odd = note.removeprefix("ODD: expected ").split(" ")[0] if note.startswith("ODD: expected ") else None
    names = [name for name in found.column_names if name != odd]
    assert set(names) == set(wanted.column_names) - {odd}
    # Expected files keep what their writer's own Parquet types were: days as instants, no zones.
    wanted = wanted.select(names).cast(pa.schema([found.schema.field(name) for name in names]))
    assert multiset(found, names) == multiset(wanted, names)


@entries("read")
def test_a_published_table_is_read_right(lake, entry):
    table = GOLDEN / entry["table"]
    found = by_lake(lake, table)
    assert entry["rows"] is None or len(found) == entry["rows"]
    wanted = expected(entry)
    if wanted is not None:
        same_rows(found, wanted, entry)
    for version, rows in (entry["rows_by_version"] or {}).items():
        found = by_lake(lake, f"{table}@v{version}")
        assert len(found) == rows, f"version {version}"
        wanted = expected(entry, version)
        if wanted is not None:
            same_rows(found, wanted, entry)


@entries("REFUSE")
def test_a_broken_table_is_refused_by_name(lake, entry):
    assert refused(lake, GOLDEN / entry["table"], [*REFUSALS, NO_TABLE])


@entries("write case")
def test_a_published_append_comes_to_the_published_rows(lake, entry, tmp_path):
    case = (GOLDEN / entry["table"]).parent
    shutil.copytree(GOLDEN / entry["table"], tmp_path / "t")
    if not (case / "other").exists():
        # Empty tables of the kernel, partitioned and mapped in each way.
        wanted = pa.table({"value": pa.array([1, 2, 3], pa.int32()), "category": ["a/b", None, "50%"]})
        pq.write_table(wanted, tmp_path / "rows.parquet")
        lake.run("import", tmp_path / "t", tmp_path / "rows.parquet")
        assert multiset(by_lake(lake, tmp_path / "t")) == multiset(wanted) == multiset(by_datafusion(tmp_path / "t"))
        return
    lake.run("import", tmp_path / "t", *sorted((case / "other").glob("*.parquet")))
    files = sorted((case / "expected" / "post_append").rglob("*.parquet"))
    assert files
    same_rows(by_lake(lake, tmp_path / "t"), pa.concat_tables(map(pq.read_table, files)), entry)


@entries("refuse or support", "special", "write case", "log only")
def test_any_other_table_is_read_or_refused_by_name(lake, entry):
    table = GOLDEN / entry["table"]
    if entry["kind"] == "log only":
        files = lake.json("files", table)
        assert entry["live_files"] is None or len(files) == entry["live_files"]
        return
    done = lake.attempt("scan", table, "--format", "parquet")
    if done.returncode == 0:
        found = pq.read_table(pa.BufferReader(done.stdout))
        assert entry["rows"] is None or len(found) == entry["rows"]
    else:
        assert refused(lake, table, REFUSALS)


def refused(lake, table, statuses):
    """The words in which a table is refused: a right status, and nothing on stdout."""
    done = lake.attempt("scan", table, "--format", "json")
    assert done.returncode in statuses, done.stderr.decode()
    assert done.stdout == b""
    # Warnings may stand before it.
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["message"] and error["kind"] in {"unsupported", "corrupt", "not_found"}, error
    return error["message"]
