//! The workloads: which work on which tables, by whom, and what is hoped for.

use crate::peers::{Op, Peer};
use crate::tables::Kind;

/// One table of the results.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// What Lake wants to reach.
    pub goal: &'static str,
    /// The work.
    pub op: Op,
    /// Each of the tables is a group of its own.
    pub tables: &'static [Kind],
    /// Who does it. The first is Lake, the ratios are to it.
    pub peers: &'static [Peer],
    /// Whether the version in the middle of the log is asked for.
    pub past: bool,
    /// Times that the work is repeated within a run.
    pub times: u64,
    /// Processes that do it at once.
    pub processes: u64,
    /// Where each run gets a fresh copy to write to.
    pub place: Place,
}

/// Where a run works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the table itself, which it only reads.
    Table,
    /// On a copy, on the same disk.
    Copy,
    /// On a copy in memory, where fsync costs nothing.
    Memory,
}

const READ: Workload = Workload {
    name: "",
    what: "",
    goal: "",
    op: Op::List,
    tables: &[],
    peers: &[],
    past: false,
    times: 1,
    processes: 1,
    place: Place::Table,
};
const WRITE: Workload = Workload { place: Place::Copy, ..READ };
const SHAPES: &[Kind] = &[Kind::OneGroup, Kind::Clustered, Kind::Shuffled, Kind::JsonStats];
const LISTERS: &[Peer] = &[Peer::Lake, Peer::Kernel, Peer::KernelBare, Peer::Deltalake];
const APPENDERS: &[Peer] = &[Peer::Lake, Peer::Deltalake, Peer::DeltalakeBlind];

/// All of them that are measured in time.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "plan-selective",
        what: "open a table of 1,000,000 files and find the ten that a range of ids needs",
        goal: "12x delta_kernel on each shape",
        op: Op::Plan,
        tables: SHAPES,
        peers: &[Peer::Lake, Peer::Kernel, Peer::KernelBare],
        ..READ
    },
    Workload {
        name: "plan-selective-read",
        what: "the same, and read the 10,000 rows",
        goal: "10x the best engine",
        op: Op::PlanRead,
        tables: &[Kind::OneGroup, Kind::JsonStats],
        peers: &[Peer::Lake, Peer::Kernel],
        ..READ
    },
    Workload {
        name: "list-files",
        what: "open a table of 1,000,000 files and list them all",
        goal: "8x delta_kernel's default scan, 25x deltalake at a sixth of its memory",
        op: Op::List,
        tables: &[Kind::OneGroup, Kind::JsonStats],
        peers: LISTERS,
        ..READ
    },
    Workload {
        name: "replay-json",
        what: "the same table as one JSON commit",
        goal: "6x delta_kernel, 10x deltalake",
        op: Op::List,
        tables: &[Kind::JsonCommit],
        peers: LISTERS,
        ..READ
    },
    Workload {
        name: "many-commits",
        what: "open and list 1,000 JSON commits of 100 files, no checkpoint",
        goal: "4x deltalake",
        op: Op::List,
        tables: &[Kind::ManyCommits],
        peers: LISTERS,
        ..READ
    },
    Workload {
        name: "time-travel",
        what: "open and list version 5,000 of 10,000, a checkpoint every ten",
        goal: "no slower than deltalake",
        op: Op::List,
        tables: &[Kind::Tiny],
        peers: LISTERS,
        past: true,
        ..READ
    },
    Workload {
        name: "open-tiny",
        what: "open and list the newest of 10,000 versions, a checkpoint every ten",
        goal: "no slower than deltalake",
        op: Op::List,
        tables: &[Kind::Tiny],
        peers: LISTERS,
        ..READ
    },
    Workload {
        name: "history",
        what: "the last ten entries of the history of 10,000 commits",
        goal: "no slower than deltalake",
        op: Op::History,
        tables: &[Kind::Tiny],
        peers: &[Peer::Lake, Peer::Deltalake],
        ..READ
    },
    Workload {
        name: "append-one",
        what: "append one row with the table open; `by_path_ms` includes opening it. Lake waits for the disk, deltalake does not",
        goal: "200x deltalake on a million files, within 1.2x of one file",
        op: Op::Append,
        tables: &[Kind::OneFile, Kind::ThousandFiles, Kind::OneGroup],
        peers: APPENDERS,
        ..WRITE
    },
    Workload {
        name: "append-one-volatile",
        what: "the same in memory, and nobody waits for a disk",
        goal: "200x deltalake on a million files, within 1.2x of one file",
        op: Op::Append,
        tables: &[Kind::OneFile, Kind::ThousandFiles, Kind::OneGroup],
        peers: &[Peer::LakeVolatile, Peer::Deltalake, Peer::DeltalakeBlind],
        place: Place::Memory,
        ..WRITE
    },
    Workload {
        name: "small-appends",
        what: "200 appends of 1,000 rows, one after the other. Lake and the floor wait for the disk, lake-volatile and deltalake do not",
        goal: "60% of the floor's rate; p99 at most 3x p50",
        op: Op::SmallAppends,
        tables: &[Kind::Empty],
        peers: &[Peer::Lake, Peer::Floor, Peer::LakeVolatile, Peer::Deltalake, Peer::DeltalakeBlind],
        times: 200,
        ..WRITE
    },
    Workload {
        name: "small-appends-volatile",
        what: "the same in memory, and nobody waits for a disk",
        goal: "20x deltalake; p99 at most 3x p50",
        op: Op::SmallAppends,
        tables: &[Kind::Empty],
        peers: &[Peer::LakeVolatile, Peer::FloorVolatile, Peer::Deltalake, Peer::DeltalakeBlind],
        times: 200,
        place: Place::Memory,
        ..WRITE
    },
    Workload {
        name: "racing-appends",
        what: "8 processes append 25 times each to one table. Lake waits for the disk, deltalake does not",
        goal: "4x deltalake's rate, no failed call",
        op: Op::RaceWorker,
        tables: &[Kind::Empty],
        peers: APPENDERS,
        times: 25,
        processes: 8,
        ..WRITE
    },
    Workload {
        name: "checkpoint-write",
        what: "write the checkpoint of 1,000,000 files that one JSON commit added; `out_mb` is its size",
        goal: "6x deltalake at a quarter of its bytes",
        op: Op::Checkpoint,
        tables: &[Kind::JsonCommit],
        peers: &[Peer::Lake, Peer::Kernel, Peer::Deltalake],
        ..WRITE
    },
    Workload {
        name: "scan-full",
        what: "read 10,000,000 rows of 8 columns to Arrow, batch by batch",
        goal: "within 1.1x of DataFusion on the bare files, under 200 MB",
        op: Op::Scan,
        tables: &[Kind::Rows100, Kind::Rows1000],
        peers: &[Peer::Lake, Peer::Datafusion, Peer::Kernel],
        ..READ
    },
    Workload {
        name: "scan-skip",
        what: "read 5,000 rows of one of 100 files",
        goal: "no slower than DuckDB",
        op: Op::ScanRange,
        tables: &[Kind::Rows100],
        peers: &[Peer::Lake, Peer::Datafusion, Peer::Kernel],
        ..READ
    },
];
