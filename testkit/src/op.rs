//! What requests a store gets.

use object_store::path::Path;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Write of a whole object, whatever its condition.
    Put,
    /// Begin of a write in parts.
    CreateMultipart,
    /// One part.
    PutPart,
    /// End of a write in parts, which makes the object visible.
    CompleteMultipart,
    /// End of a write in parts without an object.
    AbortMultipart,
    /// Read of an object or of one range of it.
    Get,
    /// Read of an object's size and times alone.
    Head,
    /// Delete of one object.
    Delete,
    /// Any form of listing.
    List,
    /// Copy inside the store. Rules see the path it goes to.
    Copy,
}

impl Op {
    /// Whether the request changes what the store holds.
    pub fn changes(self) -> bool {
        matches!(self, Self::Put | Self::PutPart | Self::CompleteMultipart | Self::Delete | Self::Copy)
    }

    /// Whether the request gets bytes of an object.
    pub fn reads(self) -> bool {
        self == Self::Get
    }
}

/// One request that a store got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its kind.
    pub op: Op,
    /// The object, or the prefix of a listing.
    pub path: Path,
}
