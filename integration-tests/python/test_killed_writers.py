"""Eight writers of one table on a local disk, killed at random points: no row is lost, none is there twice."""

import json
import os
import random
import subprocess
import threading
import time
from collections import Counter

from conftest import by_deltalake

WRITERS = 8
BATCHES = int(os.environ.get("LAKE_KILL_BATCHES", "4"))
ROWS = 50
SEED = int(os.environ.get("LAKE_KILL_SEED", "1"))


def batch(writer, number):
    first = (writer * BATCHES + number) * ROWS
    return ("id,writer\n" + "".join(f"{first + row},w{writer}\n" for row in range(ROWS))).encode()


class Writer(threading.Thread):
    """Sends its batches one after the other, each until it is done; some attempts are killed."""

    def __init__(self, lake, table, number):
        super().__init__()
        self.lake, self.table, self.number = lake, table, number
        self.chance = random.Random(SEED * 1000 + number)
        self.kills, self.statuses, self.failure = 0, Counter(), None

    def run(self):
        try:
            for number in range(BATCHES):
                self.send(number)
                if self.chance.random() < 0.5:
                    # An answer that got lost: the same batch again.
                    self.send(number)
        except Exception as error:
            self.failure = error

    def send(self, number):
        args = ["import", "-", "--input-format", "csv", "--into", str(self.table), "--txn", f"w{self.number}:{number}"]
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            process = subprocess.Popen(
                [self.lake.bin, *args],
                env=self.lake.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            killer = None
            if self.chance.random() < 0.4:
                killer = threading.Timer(self.chance.uniform(0.01, 0.6), process.kill)
                killer.start()
            _, said = process.communicate(batch(self.number, number))
            if killer:
                killer.cancel()
            if process.returncode == -9:
                self.kills += 1
                continue
            self.statuses[process.returncode] += 1
            assert process.returncode in (0, 3, 9), said.decode()
            if process.returncode == 0:
                return
        raise AssertionError(f"batch {number} of writer {self.number} was never done")


def test_killed_writers_lose_and_double_nothing(lake, tmp_path):
    table = tmp_path / "t"
    lake.run("create", table, "--schema", "id long, writer string", "--property", "delta.checkpointInterval=5")
    writers = [Writer(lake, table, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.failure for writer in writers] == [None] * WRITERS
    assert sum(writer.kills for writer in writers) > 0, "nobody was killed"
    wanted = list(range(WRITERS * BATCHES * ROWS))
    assert sorted(row["id"] for row in lake.rows(table)) == wanted
    assert sorted(by_deltalake(table)["id"].to_pylist()) == wanted
    checked = lake.json("fsck", table, "--deep")
    assert checked["damaged"] is False, json.dumps(checked)
    # One version a batch, and none for those that were sent again.
    assert lake.json("show", table)["version"] == WRITERS * BATCHES
    for number in range(BATCHES):
        lake.run("import", table, "-", "--input-format", "csv", "--txn", f"w0:{number}", stdin=batch(0, number))
    assert lake.json("show", table)["version"] == WRITERS * BATCHES
