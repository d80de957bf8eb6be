"""Tables of every shape, made by the `lake` program, each with the rows that were put in.

A shape is a function of a `Maker` that returns the rows wanted; its name names the test.
"""

import datetime as dt
import json
import os
import time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

UTC = dt.timezone.utc
SHAPES = {}


def shape(*, mapped_partitions=False):
    """Registers a shape. `mapped_partitions`: partition columns of a mapped table that don't come first, which DuckDB
    reads as null."""

    def register(make):
        make.mapped_partitions = mapped_partitions
        SHAPES[make.__name__] = make
        return make

    return register


class Maker:
    """One table in the making."""

    def __init__(self, lake, folder):
        self.lake, self.folder, self.table = lake, folder, folder / "t"
        self.files = 0
        self.partitioned = ()

    def create(self, schema, *args):
        self.lake.run("create", self.table, "--schema", schema, *args)

    def put(self, rows, *args):
        self.files += 1
        source = self.folder / f"in{self.files}.parquet"
        pq.write_table(rows, source)
        self.lake.run("import", self.table, source, *args)
        return rows

    def alter(self, *args):
        self.lake.run("alter", self.table, *args)

    def log(self):
        return sorted(path.name for path in (self.table / "_delta_log").iterdir())


def numbers(start, count, **more):
    ids = pa.array(range(start, start + count), pa.int64())
    return pa.table({"id": ids, "text": [f"t{i}" if i % 3 else None for i in range(start, start + count)], **more})


def micros(*values, tz="UTC"):
    return pa.array(values, pa.timestamp("us", tz=tz))


# The first and the last instant of the years 1 to 9999.
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999

EDGES = {
    "string": pa.array(["", "a", "\U0001f600\U0010ffff", "nul\0inside", "x" * 100_000, " ", None]),
    "long": pa.array([-(2**63), 2**63 - 1, 0, -1, 1, 2**53 + 1, None], pa.int64()),
    "integer": pa.array([-(2**31), 2**31 - 1, 0, -1, 1, 7, None], pa.int32()),
    "short": pa.array([-(2**15), 2**15 - 1, 0, -1, 1, 7, None], pa.int16()),
    "byte": pa.array([-128, 127, 0, -1, 1, 7, None], pa.int8()),
    "float": pa.array([float("nan"), float("inf"), -float("inf"), -0.0, 3.4028234663852886e38, 1e-45, None], pa.float32()),
    "double": pa.array([float("nan"), float("inf"), -float("inf"), -0.0, 1.7976931348623157e308, 5e-324, None]),
    "boolean": pa.array([True, False, True, False, True, False, None]),
    "binary": pa.array([b"", b"\0", b"\xff\xfe", b"\x80text", bytes(range(256)), b"z" * 100_000, None]),
    "date": pa.array([-719_162, 2_932_896, 0, -1, 1, 18_000, None], pa.int32()).cast(pa.date32()),
    "timestamp": micros(FIRST, LAST, 0, -1, 1, 1_600_000_000_123_456, None),
    "timestamp_ntz": micros(FIRST, LAST, 0, -1, 1, 1_600_000_000_123_456, None, tz=None),
    "decimal(10,2)": pa.array([*map(Decimal, ("-99999999.99", "99999999.99", "0.00", "-0.01", "0.01", "1.10")), None]),
    "decimal(38,18)": pa.array(
        [*(Decimal(f"{n}e-18") for n in (-(10**38) + 1, 10**38 - 1, 0, -1, 1, 11)), None], pa.decimal128(38, 18)
    ),
}
EDGES["decimal(10,2)"] = EDGES["decimal(10,2)"].cast(pa.decimal128(10, 2))


def column_name(kind):
    return kind.translate(str.maketrans("(,)", "___"))


def edge_rows():
    return pa.table({"id": pa.array(range(7), pa.int64())} | {column_name(k): v for k, v in EDGES.items()})


@shape()
def every_type_at_its_edges(m):
    m.create("id long, " + ", ".join(f"{column_name(kind)} {kind}" for kind in EDGES))
    return m.put(edge_rows())


@shape()
def every_type_at_its_edges_mapped_and_modern(m):
    return m.put(edge_rows(), "--profile", "modern")


@shape()
def types_taken_from_the_file(m):
    return m.put(edge_rows())


@shape()
def one_edge_to_a_file(m):
    """Minima and maxima that are edges, alone or null."""
    rows = edge_rows()
    for i in range(rows.num_rows):
        m.put(rows.slice(i, 1))
    return rows


@shape()
def decimals_of_every_precision(m):
    """76 columns: statistics end before the last."""
    columns = {}
    for precision in range(1, 39):
        for scale in {0, precision // 2, precision}:
            top = Decimal(f"{10**precision - 1}e-{scale}")
            kind = pa.decimal128(precision, scale)
            columns[f"d{precision}_{scale}"] = pa.array([top, top.copy_negate(), Decimal(0), None], kind)
    return m.put(pa.table(columns))


@shape()
def strings_that_end_where_a_statistic_is_cut(m):
    head = "\U0010ffff" * 31
    texts = [head + "\U0010ffff" * 5, head, "a" * 31 + "\U0001f600zzz", "a" * 64, "\uffff" * 40, "\ud7ff" * 33, ""]
    for text in texts:
        m.put(pa.table({"s": [text, None]}))
    return pa.table({"s": [one for text in texts for one in (text, None)]})


DEEP = pa.list_(pa.map_(pa.string(), pa.struct([("xs", pa.list_(pa.struct([("v", pa.int64()), ("w", pa.string())])))])))


def deep_rows(start=0):
    inner = [{"v": start, "w": None}, {"v": None, "w": "\U0001f600"}, None]
    deep = [
        [[("k", {"xs": inner}), ("", {"xs": []})], [], None],
        [],
        None,
        [[("n", {"xs": None}), ("m", None)]],
    ]
    wide = [{"a": {"b": {"c": {"d": start + i}}}, "n": None} if i % 2 else None for i in range(4)]
    level4 = pa.struct([("a", pa.struct([("b", pa.struct([("c", pa.struct([("d", pa.int64())]))]))])), ("n", pa.int32())])
    lists = [[[[[1, None], []], None], []], [], None, [None, [[]], [[None]]]]
    list4 = pa.list_(pa.list_(pa.list_(pa.list_(pa.int32()))))
    maps = [[(1, [("a", b"x")]), (2, None)], [], None, [(3, [])]]
    map2 = pa.map_(pa.int32(), pa.map_(pa.string(), pa.binary()))
    return pa.table(
        {
            "id": pa.array(range(start, start + 4), pa.int64()),
            "deep": pa.array(deep, DEEP),
            "wide": pa.array(wide, level4),
            "lists": pa.array(lists, list4),
            "maps": pa.array(maps, map2),
        }
    )


@shape()
def nested_to_four_levels(m):
    return pa.concat_tables([m.put(deep_rows()), m.put(deep_rows(10))])


@shape()
def nested_and_mapped(m):
    m.put(deep_rows(), "--property", "delta.columnMapping.mode=name")
    return pa.concat_tables([deep_rows(), m.put(deep_rows(10))])


@shape()
def not_null_at_every_level(m):
    m.create("id long not null, at struct<x: long not null, y: string> not null, tags array<string> not null")
    kind = pa.struct([pa.field("x", pa.int64()), pa.field("y", pa.string())])
    rows = {"id": [1, 2], "at": pa.array([{"x": 1, "y": None}, {"x": 2, "y": "b"}], kind), "tags": [["a"], []]}
    return m.put(pa.table(rows))


HOSTILE = [
    "US/East", "50%", "%2F", "%", "a=b", " ", "a b ", " lead", "'", '"', "`", "\\", "é=ü", "\U0001f600", "..", ".", "../..", "~",
    "x:y", "+plus", "a+b", "q?#[]", "#", "?", "&", "*", "|<>", "{}", "^", "tab\there", "new\nline", "\r", "\x01", "\x7f",
    "__HIVE_DEFAULT_PARTITION__", "null", "NULL", "true", "1", "a,b", ";", "$HOME", "_hidden", ".dot", "e\u0301", "\u00e9",
    "\u200b", "\ufeff", "\u202e", "y" * 200, "-", "--", "C:\\x", "s3://b/k", "file:///etc",
]


@shape()
def hostile_partition_values(m):
    values = [*HOSTILE, None]
    return m.put(pa.table({"p": pa.array(values), "n": pa.array(range(len(values)), pa.int64())}), "--partition-by", "p")


@shape()
def hostile_partition_values_checkpointed(m):
    rows = hostile_partition_values(m)
    m.lake.run("checkpoint", m.table)
    m.lake.run("optimize", m.table)
    return rows


@shape()
def hostile_partition_values_mapped(m):
    values = [*HOSTILE, None]
    rows = pa.table({"p": pa.array(values), "n": pa.array(range(len(values)), pa.int64())})
    return m.put(rows, "--partition-by", "p", "--profile", "modern")


@shape()
def hostile_names_of_partition_columns(m):
    names = ["a b", "a%b", "a/b", "é", "q?#", "x:y"]
    rows = pa.table({name: [f"{i}/{name}", None] for i, name in enumerate(names)} | {"n": [1, 2]})
    m.put(rows, "--partition-by", ",".join(names), "--property", "delta.columnMapping.mode=name")
    return rows


@shape()
def an_empty_string_as_a_partition_value_is_null(m):
    m.put(pa.table({"p": ["", None, "x"], "n": [1, 2, 3]}), "--partition-by", "p")
    return pa.table({"p": [None, None, "x"], "n": [1, 2, 3]})


def partition_edges(kind):
    """Values that every reader can carry in a path, of a type."""
    values = EDGES[kind]
    keep = [i for i, value in enumerate(values.cast(pa.binary()).to_pylist() if kind == "string" else values.to_pylist())
            if not (isinstance(value, (str, bytes)) and (len(value) > 1000 or value == b"" or b"\0" in value))]
    return values.take(pa.array(keep))


def register_partitioned_by(kind):
    def make(m):
        values = partition_edges(kind)
        rows = pa.table({"p": values, "n": pa.array(range(len(values)), pa.int64())})
        m.create(f"p {kind}, n long", "--partition-by", "p")
        return m.put(rows)

    make.__name__ = f"partitioned_by_{column_name(kind)}"
    shape()(make)


for one in EDGES:
    if one != "binary":
        register_partitioned_by(one)


@shape()
def many_partition_columns(m):
    kinds = ["string", "long", "date", "timestamp", "boolean", "decimal(10,2)", "timestamp_ntz", "double"]
    columns = {}
    for kind in kinds:
        values = EDGES[kind].slice(2, 5) if kind != "string" else pa.array(["a/b", "c=d", "e f", "%", None])
        columns[column_name(kind)] = values
    rows = pa.table({"n": pa.array(range(5), pa.int64()), **columns})
    m.put(rows, "--partition-by", ",".join(columns))
    return rows


@shape()
def mapped_from_the_start(m):
    m.create("id long, text string", "--property", "delta.columnMapping.mode=name")
    return pa.concat_tables([m.put(numbers(0, 5)), m.put(numbers(5, 5))])


@shape()
def mapped_and_partitioned_first(m):
    m.create("p string, id long, text string", "--partition-by", "p", "--property", "delta.columnMapping.mode=name")
    return m.put(numbers(0, 6, p=pa.array(["a/b", None, "c"] * 2)))


@shape(mapped_partitions=True)
def mapped_and_partitioned_last(m):
    m.create("id long, text string, p string", "--partition-by", "p", "--property", "delta.columnMapping.mode=name")
    m.partitioned = ("p",)
    return m.put(numbers(0, 6, p=pa.array(["a/b", None, "c"] * 2)))


@shape(mapped_partitions=True)
def mapped_by_id_and_partitioned(m):
    m.create("id long, text string, p date", "--partition-by", "p", "--property", "delta.columnMapping.mode=id")
    m.partitioned = ("p",)
    days = pa.array([0, None, 18_000] * 2, pa.int32()).cast(pa.date32())
    return m.put(numbers(0, 6, p=days))


@shape()
def mapped_later(m):
    """Old files by logical names, new ones too; then renamed, dropped, added, moved."""
    before = m.put(numbers(0, 4, gone=pa.array([1.5] * 4)))
    m.alter("set-property", "delta.columnMapping.mode=name")
    m.alter("rename-column", "text", "words")
    m.alter("drop-column", "gone")
    m.alter("add-column", "gone string", "at timestamp", "--first")
    m.alter("alter-column", "words", "--first")
    kinds = [("words", pa.string()), ("gone", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("id", pa.int64())]
    after = pa.table({"id": [10, 11], "words": ["a", None], "gone": ["x", "y"], "at": micros(-1, None)})
    m.put(after)
    old = pa.table({"words": before["text"], "id": before["id"]})
    return pa.concat_tables([old, after], promote_options="default").select([name for name, _ in kinds])


@shape()
def renamed_inside_a_struct(m):
    kind = pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))])
    first = pa.table({"id": [1], "s": pa.array([{"a": 1, "b": {"c": "x"}}], kind)})
    m.put(first, "--property", "delta.columnMapping.mode=name")
    m.alter("rename-column", "s.b.c", "d")
    m.alter("rename-column", "s.a", "c")
    m.alter("add-column", "s.b.c long")
    m.alter("drop-column", "s.c")
    now = pa.struct([("b", pa.struct([("d", pa.string()), ("c", pa.int64())]))])
    second = pa.table({"id": [2], "s": pa.array([{"b": {"d": "y", "c": 5}}], now)})
    m.put(second)
    return pa.concat_tables([pa.table({"id": [1], "s": pa.array([{"b": {"d": "x", "c": None}}], now)}), second])


@shape(mapped_partitions=True)
def a_renamed_partition_column(m):
    m.put(numbers(0, 3, p=pa.array(["a", "b", None])), "--partition-by", "p", "--property", "delta.columnMapping.mode=name")
    m.alter("rename-column", "p", "q")
    m.partitioned = ("q",)
    after = m.put(numbers(3, 3, q=pa.array(["a", "b", None])))
    return pa.concat_tables([numbers(0, 3, q=pa.array(["a", "b", None])), after])


@shape()
def columns_added_at_every_level(m):
    kind = pa.struct([("a", pa.int64())])
    m.put(pa.table({"id": [1], "s": pa.array([{"a": 1}], kind), "l": pa.array([[{"a": 2}]], pa.list_(kind))}))
    m.alter("add-column", "s.b string", "new decimal(5,1)")
    m.alter("add-column", "l.element.b string")
    wide = pa.struct([("a", pa.int64()), ("b", pa.string())])
    columns = lambda i, s, l, new: pa.table(
        {"id": [i], "s": pa.array([s], wide), "l": pa.array([l], pa.list_(wide)), "new": pa.array([new], pa.decimal128(5, 1))}
    )
    after = m.put(columns(2, {"a": 3, "b": "x"}, [{"a": 4, "b": "y"}], Decimal("1.5")))
    return pa.concat_tables([columns(1, {"a": 1, "b": None}, [{"a": 2, "b": None}], None), after])


@shape()
def schema_merged_by_an_append(m):
    first = m.put(numbers(0, 3))
    second = m.put(numbers(3, 3, extra=pa.array([1.5, None, 2.5])), "--merge-schema")
    third = m.put(pa.table({"extra": [9.5]}), "--merge-schema")
    return pa.concat_tables([first, second, third], promote_options="default")


@shape()
def types_widened(m):
    m.create(
        "b byte, s short, i integer, f float, d decimal(5,2), day date, l array<integer>",
        "--property", "delta.enableTypeWidening=true",
    )

    def rows(i, kinds, day):
        b, s, n, f, d = kinds
        return pa.table(
            {
                "b": pa.array([i, None], b), "s": pa.array([i, -i], s), "i": pa.array([i, None], n),
                "f": pa.array([0.5, None], f), "d": pa.array([Decimal("1.25"), None], d), "day": pa.array(day),
                "l": pa.array([[i], None], pa.list_(n)),
            }
        )

    m.put(rows(7, (pa.int8(), pa.int16(), pa.int32(), pa.float32(), pa.decimal128(5, 2)),
               pa.array([-1, None], pa.int32()).cast(pa.date32())))
    m.alter("add-feature", "timestampNtz")
    wide = (pa.int32(), pa.int64(), pa.int64(), pa.float64(), pa.decimal128(12, 4))
    for column, kind in zip(["b", "s", "i", "f", "d", "day", "l.element"],
                            ["integer", "long", "long", "double", "decimal(12,4)", "timestamp_ntz", "long"]):
        m.alter("alter-column", column, "--type", kind)
    after = rows(2**20, wide, micros(5, None, tz=None))
    m.put(after)
    return pa.concat_tables([rows(7, wide, micros(-86_400_000_000, None, tz=None)), after])


@shape()
def overwritten(m):
    m.put(numbers(0, 50))
    return m.put(numbers(100, 5), "--mode", "overwrite")


@shape()
def overwritten_with_another_schema(m):
    m.put(numbers(0, 50))
    return m.put(pa.table({"other": [1.5, None], "id": ["a", "b"]}), "--mode", "overwrite", "--overwrite-schema")


@shape()
def overwritten_in_part(m):
    m.put(numbers(0, 10, p=pa.array(["a", "b"] * 5)), "--partition-by", "p")
    new = m.put(numbers(50, 2, p=pa.array(["a"] * 2)), "--mode", "overwrite", "--overwrite-where", "p = 'a'")
    kept = numbers(0, 10, p=pa.array(["a", "b"] * 5)).filter(pa.array([False, True] * 5))
    return pa.concat_tables([kept, new])


@shape()
def overwritten_by_rows(m):
    m.put(numbers(0, 10))
    new = m.put(numbers(3, 2, ), "--mode", "overwrite", "--overwrite-where", "id >= 3 AND id < 7")
    return pa.concat_tables([numbers(0, 3), numbers(7, 3), new])


@shape()
def overwritten_by_rows_in_a_modern_table(m):
    m.put(numbers(0, 1000), "--profile", "modern")
    new = m.put(numbers(3, 2), "--mode", "overwrite", "--overwrite-where", "id >= 3 AND id < 700")
    return pa.concat_tables([numbers(0, 3), numbers(700, 300), new])


@shape()
def restored(m):
    rows = m.put(numbers(0, 10))
    m.put(numbers(10, 10))
    m.put(numbers(20, 10), "--mode", "overwrite")
    m.lake.run("restore", m.table, "--to", "v0")
    return rows


@shape()
def checkpointed_with_all_types(m):
    rows = edge_rows()
    for i in range(rows.num_rows):
        m.put(rows.slice(i, 1))
    m.lake.run("checkpoint", m.table)
    assert any(name.endswith(".checkpoint.parquet") for name in m.log()), m.log()
    return pa.concat_tables([rows, m.put(rows)])


@shape()
def checkpointed_by_itself(m):
    rows = [m.put(numbers(i * 3, 3, p=pa.array([f"a/{i % 3}"] * 3)), "--partition-by", "p") for i in range(12)]
    assert "_last_checkpoint" in m.log()
    return pa.concat_tables(rows)


@shape()
def checkpoints_alone(m):
    """The commits that a checkpoint stands for are gone."""
    rows = [m.put(numbers(i * 3, 3)) for i in range(12)]
    kept = max(int(name.split(".")[0]) for name in m.log() if "checkpoint" in name and name[0] == "0")
    for name in m.log():
        if name[0] == "0" and name.endswith((".json", ".crc")) and int(name.split(".")[0]) < kept:
            (m.table / "_delta_log" / name).unlink()
    return pa.concat_tables(rows)


@shape()
def a_log_that_lake_cleaned(m):
    rows = [m.put(numbers(i * 3, 3)) for i in range(12)]
    long_ago = time.time() - 60 * 86_400
    for name in m.log():
        os.utime(m.table / "_delta_log" / name, (long_ago, long_ago))
    rows += [m.put(numbers(i * 3, 3)) for i in range(12, 23)]
    assert f"{0:020}.json" not in m.log(), m.log()
    return pa.concat_tables(rows)


@shape()
def checkpoints_of_the_second_kind_with_sidecars(m):
    args = ["--property", "delta.checkpointPolicy=v2"]
    rows = [m.put(numbers(i * 3, 3, p=pa.array([f"a/{i % 3}"] * 3)), "--partition-by", "p", *args) for i in range(13)]
    assert list((m.table / "_delta_log" / "_sidecars").iterdir())
    return pa.concat_tables(rows)


@shape()
def modern_with_checkpoints(m):
    rows = [m.put(numbers(i * 3, 3), "--profile", "modern") for i in range(13)]
    return pa.concat_tables(rows)


@shape()
def optimized_and_z_ordered(m):
    rows = [m.put(numbers(i * 30, 30, p=pa.array([f"a/{i % 2}"] * 30)), "--partition-by", "p") for i in range(6)]
    m.lake.run("optimize", m.table)
    m.lake.run("optimize", m.table, "--zorder-by", "id,text")
    return pa.concat_tables(rows)


def register_codec(codec):
    def make(m):
        return m.put(numbers(0, 100), "--property", f"delta.parquet.compression.codec={codec}")

    make.__name__ = f"compressed_by_{codec.lower()}"
    shape()(make)


for one in ["uncompressed", "SNAPPY", "gzip", "zstd", "lz4_raw"]:
    register_codec(one)


@shape()
def more_columns_than_have_statistics(m):
    many = {f"c{i}": pa.array([i, None, -i], pa.int64()) for i in range(60)}
    return pa.concat_tables([m.put(pa.table(many)), m.put(pa.table(many))])


@shape()
def statistics_of_chosen_columns(m):
    rows = numbers(0, 5, c=pa.array([1.5] * 5))
    return m.put(rows, "--property", "delta.dataSkippingStatsColumns=c,id")


@shape()
def no_statistics(m):
    return m.put(numbers(0, 5), "--property", "delta.dataSkippingNumIndexedCols=0")


@shape()
def empty(m):
    m.create("id long, text string, p date", "--partition-by", "p")
    return pa.table({"id": pa.array([], pa.int64()), "text": pa.array([], pa.string()), "p": pa.array([], pa.date32())})


@shape()
def emptied(m):
    m.put(numbers(0, 5))
    m.put(numbers(0, 0), "--mode", "overwrite")
    return numbers(0, 0)


@shape()
def names_that_only_mapping_allows(m):
    rows = pa.table({"a b": [1], "c,d;e": ["x"], "{f}(g)": [1.5], "tab\tnew\n=": [True], "dot.ted": [2], "`q`": [3]})
    return m.put(rows, "--property", "delta.columnMapping.mode=name")


@shape()
def names_in_all_scripts(m):
    return m.put(pa.table({"é": [1], "名前": ["x"], "\U0001f600": [1.5], "Select": [True], "a-b": [2], "a.b": [3]}))


@shape()
def json_lines_of_all_sorts(m):
    source = m.folder / "in.ndjson"
    rows = [{"id": i, "o": {"k": [i, None]}, "t": f"2026-01-{i + 1:02}"} for i in range(5)]
    source.write_text("\n".join(map(json.dumps, rows)))
    m.lake.run("import", m.table, source, "--schema", "id long, o struct<k: array<long>>, t date")
    days = pa.array([20_454 + i for i in range(5)], pa.int32()).cast(pa.date32())
    kind = pa.struct([("k", pa.list_(pa.int64()))])
    return pa.table({"id": range(5), "o": pa.array([row["o"] for row in rows], kind), "t": days})
