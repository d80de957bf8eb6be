//! The transaction log on the store: names, listing, commits, checkpoints.

pub mod checkpoint;
mod commit;
mod list;
mod path;

pub use commit::{ACTION_COUNT_KEY, CommitBody, CommitRecord, Settled, parse_commit, read_commit, write_commit};
pub use list::{LogFile, LogSegment, list_log};
pub use path::{LogPath, checkpoint_name, commit_name};
