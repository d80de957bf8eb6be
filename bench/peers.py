"""One run of one Python package on a table, as `lake-bench run-one` does it for the crates: prints one line of JSON.

    python peers.py deltalake-py|duckdb|polars|chdb plan-read|scan-range|scan TABLE --from ID --to ID

Imports are not timed. The answer is the number of rows and the sum of their ids.
"""

import argparse
import json
import os
import resource
import time

MASK = (1 << 64) - 1


class Answer:
    """Counts rows batch by batch and lets them go."""

    def __init__(self):
        self.count, self.sum = 0, 0

    def take(self, batches):
        import pyarrow.compute as pc

        for batch in batches:
            if batch.num_rows:
                self.count += batch.num_rows
                self.sum = (self.sum + pc.sum(batch.column("id")).as_py()) & MASK


def by_deltalake(table, condition, answer):
    import pyarrow
    from deltalake import DeltaTable, QueryBuilder

    def work():
        query = QueryBuilder().register("t", DeltaTable(table)).execute(f"select * from t{condition}")
        answer.take(pyarrow.RecordBatchReader.from_stream(query))

    return work


def by_duckdb(table, condition, answer):
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    try:
        import duckdb_ext

        connection = duckdb_ext.init(connection)
        connection.load_extension("delta")
    except ImportError:
        connection.execute("load delta")

    def work():
        query = connection.execute(f"select * from delta_scan('{table}'){condition}")
        answer.take(query.fetch_record_batch(8192))

    return work


def by_polars(table, condition, answer):
    import polars

    def work():
        rows = polars.scan_delta(table)
        if condition:
            low, high = condition.split()[-3], condition.split()[-1]
            rows = rows.filter(polars.col("id").is_between(int(low), int(high)))
        answer.take(rows.collect(engine="streaming").to_arrow().to_batches())

    return work


def by_chdb(table, condition, answer):
    import chdb
    import pyarrow

    # Files must lie below the folder that the program runs in.
    os.chdir(os.path.dirname(table))

    def work():
        result = chdb.query(f"select * from deltaLakeLocal('{table}'){condition}", "ArrowStream")
        answer.take(pyarrow.ipc.open_stream(pyarrow.py_buffer(result.bytes())))

    return work


PEERS = {"deltalake-py": by_deltalake, "duckdb": by_duckdb, "polars": by_polars, "chdb": by_chdb}


def labelled(file, label):
    with open(file) as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith(label)), 0)


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("op", choices=["plan-read", "scan-range", "scan"])
    parser.add_argument("table", type=os.path.abspath)
    parser.add_argument("--from", type=int, dest="low", default=0)
    parser.add_argument("--to", type=int, dest="high", default=0)
    arguments, _ = parser.parse_known_args()
    condition = "" if arguments.op == "scan" else f" where id between {arguments.low} and {arguments.high}"
    answer = Answer()
    import pyarrow.compute  # noqa: F401

    work = PEERS[arguments.peer](arguments.table, condition, answer)
    read, written = labelled("/proc/self/io", "rchar:"), labelled("/proc/self/io", "wchar:")
    begin, begin_cpu = time.perf_counter(), cpu()
    work()
    sample = {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": cpu() - begin_cpu,
        "peak_mb": labelled("/proc/self/status", "VmHWM:") * 1024 / 1e6,
        "read_mb": (labelled("/proc/self/io", "rchar:") - read) / 1e6,
        "written_mb": (labelled("/proc/self/io", "wchar:") - written) / 1e6,
        "answer": {"count": answer.count, "sum": answer.sum},
    }
    print(json.dumps(sample), flush=True)
    # Some engines take long to come down.
    os._exit(0)


if __name__ == "__main__":
    main()
