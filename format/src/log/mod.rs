//! The transaction log on the store: names, listing, commits, checkpoints.

pub mod checkpoint;
mod checksum;
mod chunks;
mod cleanup;
mod commit;
mod lines;
mod list;
mod path;
mod times;

pub use checksum::{Checksum, read_checksum, write_checksum};
pub use cleanup::{CleanUpRules, CleanedUp, clean_up};
pub use commit::{
    CommitBody, CommitRecord, Settled, parse_commit, read_commit, read_commit_info, read_parts, stream_parts,
    write_commit,
};
pub use lines::{ACTION_COUNT_KEY, FileLines, Part, empty_commit};
pub use list::{Candidates, LogFile, LogSegment, TailFile, checkpoints, is_linked, list_log};
pub use path::{LogPath, SIDECARS, checkpoint_name, checksum_name, commit_name, uuid_checkpoint_name};
pub use times::{Timekeeping, in_commit_ms, rising};
