//! A condition on the rows of one table, as a predicate that scans and writes understand.

use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::Statement;
use lake_format::expr::Predicate;
use lake_format::{Error, Result};

use super::engine::Engine;
use super::plan::{Planned, plan};
use super::text;
use crate::error::from_engine;
use crate::predicate::translate;
use crate::reference::TableRef;

/// What a condition says of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// True for every row for which the condition is true.
    pub predicate: Predicate,
    /// Whether it is true for no other row.
    pub exact: bool,
}

/// Reads the SQL `condition` on rows of `table`, as it stands behind WHERE.
pub(crate) async fn condition(engine: &Engine, table: &TableRef, condition: &str) -> Result<Condition> {
    let name = table.to_string().replace('"', "\"\"");
    // The line feed ends a comment in the condition.
    let statement = text::parse(&format!("SELECT * FROM \"{name}\" WHERE ({condition}\n)"))?;
    if !matches!(statement, Statement::Query(_)) {
        return Err(no_condition(condition));
    }
    let (planned, _) = plan(engine, statement, None).await?;
    of_plan(&planned)?.ok_or_else(|| no_condition(condition))
}

/// The condition of a query on the rows of one table; `None` where it is more than that.
pub(super) fn of_plan(planned: &Planned) -> Result<Option<Condition>> {
    let optimized = planned.state.optimize(&planned.plan).map_err(|error| from_engine(&error))?;
    let mut found = Found::default();
    Ok(found.look(&optimized).map(|()| found.condition()))
}

fn no_condition(text: &str) -> Error {
    Error::unsupported("this is more than a condition on the rows of one table")
        .with_object(text.to_owned())
        .with_hint("compare columns with values, joined by AND, OR and NOT; subqueries are for `lake sql`")
}

#[derive(Default)]
struct Found {
    never: bool,
    exact: Option<bool>,
    parts: Vec<Predicate>,
}

impl Found {
    /// Collects the filters of a plan over one table; `None` for any other plan.
    fn look(&mut self, plan: &LogicalPlan) -> Option<()> {
        match plan {
            LogicalPlan::Projection(projection) => self.look(&projection.input),
            LogicalPlan::SubqueryAlias(alias) => self.look(&alias.input),
            LogicalPlan::Filter(filter) => {
                let schema = filter.input.schema().inner().clone();
                for part in split_conjunction(&filter.predicate) {
                    self.add(part, &schema);
                }
                self.look(&filter.input)
            }
            LogicalPlan::TableScan(scan) => {
                let schema = scan.source.schema();
                scan.filters.iter().for_each(|filter| self.add(filter, &schema));
                Some(())
            }
            LogicalPlan::EmptyRelation(_) => {
                self.never = true;
                Some(())
            }
            _ => None,
        }
    }

    fn add(&mut self, filter: &Expr, schema: &datafusion::arrow::datatypes::Schema) {
        let translated = translate(filter, schema);
        let exact = translated.as_ref().is_some_and(|part| part.exact);
        self.exact = Some(self.exact.unwrap_or(true) && exact);
        // A filter that a scan answers in part stands in the plan twice.
        self.parts.extend(translated.map(|part| part.predicate).filter(|part| !self.parts.contains(part)));
    }

    fn condition(mut self) -> Condition {
        if self.never {
            return Condition { predicate: Predicate::Literal(false), exact: true };
        }
        let predicate = match self.parts.len() {
            0 => Predicate::Literal(true),
            1 => self.parts.remove(0),
            _ => Predicate::And(self.parts),
        };
        Condition { predicate, exact: self.exact.unwrap_or(true) }
    }
}
