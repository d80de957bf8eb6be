"""Files of a web server go in as those of a folder do."""

import functools
import gzip
import http.server
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = pa.table({"id": pa.array(range(5000), pa.int64()), "name": [f"n{i}" for i in range(5000)]})
CSV = "id,name\n" + "".join(f"{i},n{i}\n" for i in range(5000))


@pytest.fixture
def web(tmp_path):
    """A folder, and the address under which a server on loopback shows it."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_files_come_from_a_web_server(lake, web, tmp_path):
    folder, address = web
    (folder / "a.csv").write_text(CSV)
    (folder / "b.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    pq.write_table(ROWS, folder / "c.parquet")
    table = tmp_path / "t"
    names = ["a.csv", "b.csv.gz", "c.parquet"]
    for turn, name in enumerate(names):
        done = lake.json("import", f"{address}/{name}", "--into", table)
        assert (done["version"], done["rows"]) == (turn, 5000)
    rows = lake.json("sql", f"select count(*) n, count(distinct id) d, sum(id) s from '{table}'")
    assert rows == [{"n": 15000, "d": 5000, "s": 3 * sum(range(5000))}]


def test_a_file_that_is_not_there_leaves_the_table_as_it_was(lake, web, tmp_path):
    folder, address = web
    (folder / "a.csv").write_text(CSV)
    table = tmp_path / "t"
    lake.run("import", f"{address}/a.csv", "--into", table)
    gone = lake.attempt("import", f"{address}/gone.csv", "--into", table)
    assert gone.returncode == 4 and b"404" in gone.stderr and b"gone.csv" in gone.stderr
    assert lake.json("show", table)["version"] == 0
