"""Tables to damage, the damage, and a judge of what the `lake` program makes of it."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

# What a reader of damaged bytes may take. The program under test is usually built without optimisation, hence seconds
# are multiplied; they are those of the processor, for the machine may do other things too.
SECONDS = 5 * float(os.environ.get("LAKE_SLOWNESS", "6"))
MEGABYTES = 512

# The peak of a process counts that of the one it was forked from: so a small one starts the program.
LAUNCHER = """
import os, signal, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(int(float(sys.argv[2])))
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], "w").write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss} {usage.ru_utime + usage.ru_stime}")
"""

INVALID, REFUSED, CORRUPT, NOT_FOUND = 2, 6, 7, 4


class Outcome:
    def __init__(self, args, status, out, err, seconds, megabytes):
        self.args, self.status, self.out, self.err = args, status, out, err
        self.seconds, self.megabytes = seconds, megabytes

    def __repr__(self):
        said = self.err if len(self.err) < 1500 else self.err[:700] + " ... " + self.err[-700:]
        return f"lake {' '.join(self.args)}: exit {self.status}, {self.seconds:.1f} s, {self.megabytes} MB\n{said}"


def judge(lake, *args, stdin=None, cwd=None, patience=1):
    """Runs the program; whatever it read, it must end in time and memory, by a code of the table, without a panic. It has
    `patience` times the time of a command that reads one damaged object."""
    args = [str(arg) for arg in args]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.NamedTemporaryFile() as usage:
        source = open(stdin, "rb") if stdin else subprocess.DEVNULL
        command = [sys.executable, "-S", "-E", "-c", LAUNCHER, usage.name, str(6 * SECONDS), lake.bin, *args]
        subprocess.run(command, env=lake.env, stdin=source, stdout=out, stderr=err, cwd=cwd, check=True)
        status, kilobytes, seconds = Path(usage.name).read_text().split()
        out.seek(0)
        err.seek(0)
        said = err.read(4 << 20).decode(errors="replace")
        done = Outcome(args, int(status), out.read(1 << 20), said, float(seconds), int(kilobytes) >> 10)
    assert 0 <= done.status <= 9 and done.status != 1, f"a crash or a defect: {done}"
    assert "panicked" not in done.err, done
    assert done.seconds < patience * SECONDS, f"too slow: {done}"
    assert done.megabytes < MEGABYTES, f"too much memory: {done}"
    if done.status:
        assert 20 < len(done.err) < 12_000, f"an error that nobody can read: {done}"
    return done


def fingerprint(folder):
    """Names, sizes and times of everything below a folder."""
    files = sorted(path for path in Path(folder).rglob("*"))
    return [(str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in files if not path.is_dir()]


class Table:
    """A table on disk, to be damaged."""

    def __init__(self, path):
        self.path = Path(path)
        self.log = self.path / "_delta_log"

    def copy(self, to):
        shutil.copytree(self.path, to)
        return Table(to)

    def commit(self, version):
        return self.log / f"{version:020}.json"

    @property
    def version(self):
        return max(int(path.name[:20]) for path in self.log.glob("*.json") if path.name[:20].isdigit())

    def data_files(self):
        return sorted(path for path in self.path.rglob("*.parquet") if "_delta_log" not in path.parts)

    def actions(self, kind, version=None):
        found = []
        for path in sorted(self.log.glob("*.json")):
            if path.name[:20].isdigit() and version in (None, int(path.name[:20])):
                lines = path.read_text().splitlines()
                found += [action[kind] for action in map(json.loads, lines) if kind in action]
        return found

    def put(self, *actions, version=None):
        """Writes the next commit, or the given one, from actions, text or bytes."""
        version = self.version + 1 if version is None else version
        with open(self.commit(version), "wb") as file:
            for action in actions:
                action = json.dumps(action) if isinstance(action, dict) else action
                file.write(action.encode() if isinstance(action, str) else action)
                file.write(b"\n")

    def only_the_checkpoint(self):
        """Takes away all that could stand in for the newest checkpoint."""
        newest = max(int(path.name[:20]) for path in self.log.glob("*.checkpoint*"))
        for path in self.log.glob("*"):
            named = path.name[:20].isdigit() and "checkpoint" not in path.name
            if path.suffix == ".crc" or (named and int(path.name[:20]) < newest):
                path.unlink()


def add(path="nope.parquet", **more):
    return {"add": {"path": path, "partitionValues": {}, "size": 10, "modificationTime": 1, "dataChange": True, **more}}


def schema(*fields):
    return {"type": "struct", "fields": list(fields)}


def field(name, type, **more):
    return {"name": name, "type": type, "nullable": True, "metadata": {}, **more}


Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def z85(data):
    data += b"\0" * (-len(data) % 4)
    text = ""
    for at in range(0, len(data), 4):
        number = int.from_bytes(data[at : at + 4], "big")
        text += "".join(Z85[number // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def vector(*positions, magic=1681511377):
    """The bytes of a deletion vector: one bitmap of an array container, positions below 65,536."""
    positions = sorted(positions)
    body = struct.pack("<II", 12346, 1) + struct.pack("<HH", 0, max(len(positions), 1) - 1) + struct.pack("<I", 16)
    body += b"".join(struct.pack("<H", position) for position in positions)
    return struct.pack("<IQI", magic, 1, 0) + body


def vector_file(*vectors, version=1, crc=None):
    """A file of deletion vectors and the offset of each."""
    data, offsets = bytes([version]), []
    for body in vectors:
        offsets.append(len(data))
        data += struct.pack(">I", len(body)) + body
        data += struct.pack(">I", zlib.crc32(body) if crc is None else crc)
    return data, offsets
