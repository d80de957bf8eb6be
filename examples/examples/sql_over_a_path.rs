//! How do I run SQL over a table in a folder, with a limit on memory?

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use lake_format::{Result, StoreOptions, SystemClock};
use lake_query::{PathResolver, Session, SqlAnswer};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let batches = run(&folder.path().join("trips").to_string_lossy()).await?;
    println!("{}", pretty_format_batches(&batches).expect("printable"));
    Ok(())
}

async fn run(location: &str) -> Result<Vec<RecordBatch>> {
    let resolver = PathResolver::new(StoreOptions::default(), SystemClock::shared());
    let session = Session::builder().memory_limit_bytes(Some(256 << 20)).resolver(Arc::new(resolver)).build()?;
    let trips = "select * from (values (1, 'Accra', 12.5), (2, 'Lima', 7.25), (3, 'Lima', 9.0)) t(id, city, fare)";
    session.run(&format!("create table '{location}' as {trips}")).await?;
    session.run(&format!("insert into '{location}' values (4, 'Oslo', 30.0)")).await?;
    let question = format!("select city, count(*) n, sum(fare) total from '{location}' group by city order by city");
    match session.run(&question).await? {
        SqlAnswer::Rows { stream, .. } => stream.try_collect().await,
        SqlAnswer::Written(_) | SqlAnswer::Unchanged(_) => Ok(Vec::new()),
    }
}

#[tokio::test]
async fn it_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let batches = run(&folder.path().join("t").to_string_lossy()).await.expect("runs");
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 3);
}
