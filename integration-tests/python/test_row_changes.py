"""Rows that Lake deletes, updates and merges are gone, new and there for other readers as well; and the other way round."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import by_deltalake, by_duckdb, sorted_rows
from deltalake import DeltaTable, write_deltalake
from peers import by_kernel

VECTORS = ["true", "false"]


def made(lake, tmp_path, vectors, partition=()):
    table = tmp_path / "t"
    options = ["--partition-by", *partition] if partition else []
    lake.run(
        "create", table, "--schema", "id long, name string, g int, x double",
        "--property", f"delta.enableDeletionVectors={vectors}", *options,
    )
    for start in [0, 500]:
        lake.run(
            "sql",
            f"""insert into '{table}' select value, 'n' || value, cast(value % 7 as int), value / 4.0
                from range({start}, {start + 500})""",
        )
    return table


def same_for_all(lake, table, vectors):
    """Every reader sees what `lake scan` gives, and the check of the table finds nothing wrong."""
    ours = sorted((r["id"], r["name"], r["g"], r["x"]) for r in lake.rows(table))
    # Python's deltalake refuses deletion vectors here; the kernel, DuckDB and the deltalake crate read them.
    readers = [by_duckdb, kernel_rows] if vectors == "true" else [by_duckdb, kernel_rows, by_deltalake]
    for reader in readers:
        rows = reader(table).select(["id", "name", "g", "x"]).to_pylist()
        assert sorted((r["id"], r["name"], r["g"], r["x"]) for r in rows) == ours, reader.__name__
    lake.run("fsck", table, "--deep")
    return ours


def kernel_rows(table):
    return by_kernel(table)


@pytest.mark.parametrize("partition", [(), ("g",)])
@pytest.mark.parametrize("vectors", VECTORS)
def test_changed_rows_are_read_equal_by_others(lake, tmp_path, vectors, partition):
    table = made(lake, tmp_path, vectors, partition)
    model = {i: (f"n{i}", i % 7, i / 4.0) for i in range(1000)}
    check = lambda: same_for_all(lake, table, vectors) == sorted((i, *rest) for i, rest in model.items())

    done = lake.json("delete", table, "--where", "id % 10 = 3")
    assert done["rows_deleted"] == 100
    model = {i: row for i, row in model.items() if i % 10 != 3}
    assert check()

    done = lake.json("update", table, "--set", "name = upper(name)", "--set", "x = x + 1", "--where", "id between 400 and 600")
    changed = [i for i in model if 400 <= i <= 600]
    assert (done["rows"], done["rows_deleted"]) == (len(changed), len(changed))
    for i in changed:
        model[i] = (f"N{i}", model[i][1], model[i][2] + 1)
    assert check()

    source = tmp_path / "source.parquet"
    rows = [{"id": i, "name": f"m{i}", "g": i % 7, "x": 0.5} for i in range(950, 1050)]
    pq.write_table(pa.Table.from_pylist(rows), source)
    lake.run(
        "sql",
        f"""merge into '{table}' t using '{source}' s on t.id = s.id
            when matched and t.id % 2 = 0 then delete
            when matched then update set name = s.name, x = s.x
            when not matched then insert *
            when not matched by source and t.id < 20 then delete""",
    )
    for i in range(950, 1050):
        if i in model and i % 2 == 0:
            del model[i]
        else:
            model[i] = (f"m{i}", i % 7, 0.5)
    model = {i: row for i, row in model.items() if i >= 20}
    assert check()

    lake.run("checkpoint", table)
    assert check()
    lake.run("delete", table, "--all")
    model = {}
    assert check()
    assert len(lake.rows(f"{table}@v2")) == 1000
    told = [entry["operation"] for entry in lake.json("log", table)]
    assert told[:4] == ["DELETE", "MERGE", "UPDATE", "DELETE"]


def test_rows_of_a_table_of_another_writer(lake, tmp_path):
    table = tmp_path / "t"
    write_deltalake(table, pa.table({"id": pa.array(range(100), pa.int64()), "name": ["a"] * 100}))
    lake.run("delete", table, "--where", "id >= 90")
    lake.run("sql", f"update '{table}' set name = 'b' where id < 5")
    DeltaTable(table).delete("id = 50")
    got = by_deltalake(table)
    assert sorted_rows(got) == sorted_rows(by_duckdb(table))
    assert sorted(got["id"].to_pylist()) == [i for i in range(90) if i != 50]
    assert lake.json("sql", f"select name, count(*) n from '{table}' group by 1 order by 1") == [
        {"name": "a", "n": 84}, {"name": "b", "n": 5},
    ]


def test_wrong_conditions_change_nothing(lake, tmp_path):
    table = made(lake, tmp_path, "true")
    for arguments, status in [
        (["delete", table], 2),
        (["delete", table, "--where", "nothing = 1"], 2),
        (["delete", table, "--where", "id = 1; drop table x"], 2),
        (["delete", f"{table}@v1", "--where", "id = 1"], 2),
        (["update", table, "--where", "id = 1"], 2),
        (["update", table, "--set", "g = 'x'", "--all"], 2),
        (["delete", tmp_path / "none", "--where", "id = 1"], 4),
    ]:
        done = lake.attempt(*arguments)
        assert done.returncode == status, (arguments, done.stderr)
    assert lake.json("show", table)["version"] == 2
