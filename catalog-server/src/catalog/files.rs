//! Whether the files that a commit adds are there.

use futures::{StreamExt, TryStreamExt};
use lake_catalog_api::Detail;
use lake_format::action::deletion_vector::VectorLocation;
use lake_format::action::{Action, Add, DeletionVectorDescriptor};
use lake_format::{Error, Result, TableRoot};

/// Files that are looked at at once.
const AT_ONCE: usize = 16;

/// What is wrong with the files that `actions` add, told once for all of them.
///
/// # Errors
/// `Unavailable` when the store does not say.
pub(super) async fn missing_files(root: &TableRoot, actions: &[Action]) -> Result<Option<Detail>> {
    let adds: Vec<&Add> = actions.iter().filter_map(added).collect();
    // Collected: over a lazy iterator the compiler can't prove that the whole can be sent between threads.
    let mut looks = Vec::with_capacity(adds.len());
    for add in &adds {
        looks.push(problem(root, add));
    }
    let found: Vec<Option<String>> = futures::stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    let mut found = found.into_iter().flatten();
    let Some(first) = found.next() else { return Ok(None) };
    let message = format!("{} of {} new data file(s): {first}", found.count() + 1, adds.len());
    Ok(Some(Detail { rule: "commit.files".to_owned(), column: None, message }))
}

fn added(action: &Action) -> Option<&Add> {
    if let Action::Add(add) = action { Some(add) } else { None }
}

async fn problem(root: &TableRoot, add: &Add) -> Result<Option<String>> {
    let log_path = add.path.as_str();
    match size_of(root, log_path).await? {
        None => return Ok(Some(format!("{log_path} is not there"))),
        Some(bytes) if u64::try_from(add.size) != Ok(bytes) => {
            return Ok(Some(format!("{log_path} has {bytes} bytes, not {}", add.size)));
        }
        Some(_) => {}
    }
    let located = add.deletion_vector.as_ref().map(DeletionVectorDescriptor::locate).transpose()?;
    let Some(VectorLocation::File { log_path, offset, size_bytes }) = located else { return Ok(None) };
    Ok(match size_of(root, &log_path).await? {
        None => Some(format!("{log_path} is not there")),
        Some(bytes) if bytes < offset.unwrap_or(0).saturating_add(size_bytes as u64) => {
            Some(format!("{log_path} has {bytes} bytes and so not the deletion vector that the commit names"))
        }
        Some(_) => None,
    })
}

/// Bytes of a file as the log names it; `None` when it is not there.
async fn size_of(root: &TableRoot, log_path: &str) -> Result<Option<u64>> {
    let path = root.resolve(log_path)?;
    let info = root.head(&path).await.map_err(|e| {
        Error::unavailable("the store does not say whether a new data file is there")
            .with_object(log_path)
            .with_hint("nothing was committed; send the same request again")
            .with_source(e)
    })?;
    Ok(info.map(|info| info.size_bytes))
}
