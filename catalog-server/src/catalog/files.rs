//! Whether the files that a commit adds are there.

use futures::{StreamExt, TryStreamExt};
use lake_catalog_api::Detail;
use lake_format::action::{Action, Add};
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
    let path = root.resolve(&add.path)?;
    let info = root.head(&path).await.map_err(|e| {
        Error::unavailable("the store does not say whether a new data file is there")
            .with_object(add.path.clone())
            .with_hint("nothing was committed; send the same request again")
            .with_source(e)
    })?;
    Ok(match info {
        None => Some(format!("{} is not there", add.path)),
        Some(info) if u64::try_from(add.size) != Ok(info.size_bytes) => {
            Some(format!("{} has {} bytes, not {}", add.path, info.size_bytes, add.size))
        }
        Some(_) => None,
    })
}
