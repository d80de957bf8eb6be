//! The clauses of a MERGE as expressions over the join of target and source.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, CaseWhen, Expr, Ident, MergeAction, MergeClause, MergeClauseKind,
    MergeInsertExpr, MergeInsertKind, ObjectName, SelectItem, Value, WildcardAdditionalOptions,
};
use lake_format::schema::StructType;
use lake_format::{Error, Result};

use super::super::insert::targets;
use super::super::refuse::refused_part;
use crate::provider::FILE;

/// The number of the clause that applies to a row; null where none does.
pub(super) const CLAUSE: &str = "lake: clause, of the row";
/// True for rows that have a source.
pub(super) const IN_SOURCE: &str = "lake: there, in the source";
/// Stands for the star of `UPDATE SET *` and `INSERT *`.
pub(in super::super) const ALL: &str = "lake: all, columns";

/// What a clause does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Insert,
    Update,
    Delete,
}

/// What the query calls a new value.
pub(super) fn new_value(at: usize) -> String {
    format!("lake: new value, {at}")
}

/// `*`
pub(super) fn star() -> SelectItem {
    SelectItem::Wildcard(WildcardAdditionalOptions::default())
}

/// One clause.
struct Clause {
    kind: MergeClauseKind,
    /// When it applies, if none before it does.
    when: Expr,
    does: Does,
    /// A value for each column of the table.
    values: Vec<Expr>,
    has_predicate: bool,
}

pub(super) struct Clauses(Vec<Clause>);

/// The names of the two sides, and the columns of the source.
struct Sides<'a> {
    schema: &'a StructType,
    target: &'a Ident,
    source: &'a Ident,
    source_columns: &'a [String],
}

impl Clauses {
    /// # Errors
    /// `Invalid` for columns that are not there, values that do not fit their columns in number, a clause that does what
    /// its kind can't; `Unsupported` for forms of other engines.
    pub(super) fn new(
        clauses: &[MergeClause],
        schema: &StructType,
        (target, source): (&Ident, &Ident),
        source_columns: &[String],
    ) -> Result<Self> {
        let sides = Sides { schema, target, source, source_columns };
        let clauses = clauses.iter().map(|clause| sides.clause(clause)).collect::<Result<Vec<_>>>()?;
        if clauses.is_empty() {
            return Err(Error::invalid("a MERGE needs at least one WHEN clause"));
        }
        for kind in [MergeClauseKind::Matched, MergeClauseKind::NotMatchedByTarget, MergeClauseKind::NotMatchedBySource]
        {
            let mut same = clauses.iter().filter(|clause| clause.kind == kind).peekable();
            while let Some(clause) = same.next() {
                if !clause.has_predicate && same.peek().is_some() {
                    return Err(Error::invalid(format!("a WHEN {kind} clause stands behind one without a condition"))
                        .with_hint("it would never apply; only the last clause of a kind may be without AND"));
                }
            }
        }
        Ok(Self(clauses))
    }

    /// What each clause does, by its number.
    pub(super) fn does(&self) -> Vec<Does> {
        self.0.iter().map(|clause| clause.does).collect()
    }

    /// Whether source rows without a match matter.
    pub(super) fn inserts(&self) -> bool {
        self.0.iter().any(|clause| clause.does == Does::Insert)
    }

    /// Whether rows of the table without a match matter.
    pub(super) fn looks_at_rows_without_source(&self) -> bool {
        self.0.iter().any(|clause| clause.kind == MergeClauseKind::NotMatchedBySource)
    }

    /// Whether a row of the table may meet one row of the source only: unless all that ever happens to it is that it is
    /// deleted.
    pub(super) fn needs_one_match(&self) -> bool {
        let mut matched = self.0.iter().filter(|clause| clause.kind == MergeClauseKind::Matched);
        !matches!((matched.next(), matched.next()), (Some(only), None) if only.does == Does::Delete && !only.has_predicate)
    }

    /// The number of the clause that applies.
    pub(super) fn which(&self) -> Expr {
        let number = |at: usize| Expr::value(Value::Number(at.to_string(), false));
        case(self.0.iter().enumerate().map(|(at, clause)| (clause.when.clone(), number(at))))
    }

    /// The new value of the table's column.
    pub(super) fn value(&self, column: usize) -> Expr {
        let of = |clause: &Clause| {
            let value = clause.values.get(column).cloned();
            (clause.when.clone(), value.unwrap_or_else(|| Expr::value(Value::Null)))
        };
        case(self.0.iter().map(of))
    }
}

fn case(whens: impl Iterator<Item = (Expr, Expr)>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: whens.map(|(condition, result)| CaseWhen { condition, result }).collect(),
        else_result: None,
    }
}

fn and(left: Expr, right: Expr) -> Expr {
    let right = Expr::Nested(Box::new(right));
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

impl Sides<'_> {
    fn clause(&self, clause: &MergeClause) -> Result<Clause> {
        let kind = match clause.clause_kind {
            MergeClauseKind::NotMatched => MergeClauseKind::NotMatchedByTarget,
            kind => kind,
        };
        let file = Box::new(self.of_target(FILE));
        let flag = Box::new(self.of_source(IN_SOURCE));
        let there = match kind {
            MergeClauseKind::Matched => and(Expr::IsNotNull(file), Expr::IsNotNull(flag)),
            MergeClauseKind::NotMatchedBySource => Expr::IsNull(flag),
            _ => Expr::IsNull(file),
        };
        let when = match &clause.predicate {
            Some(predicate) => and(there, predicate.clone()),
            None => there,
        };
        let (does, values) = match (&clause.action, kind) {
            (MergeAction::Insert(insert), MergeClauseKind::NotMatchedByTarget) => {
                (Does::Insert, self.inserted(insert)?)
            }
            (MergeAction::Update(update), MergeClauseKind::Matched | MergeClauseKind::NotMatchedBySource) => {
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return Err(refused_part("WHERE inside a clause of MERGE: put the condition behind WHEN … AND"));
                }
                (Does::Update, self.updated(&update.assignments)?)
            }
            (MergeAction::Delete { .. }, MergeClauseKind::Matched | MergeClauseKind::NotMatchedBySource) => {
                (Does::Delete, Vec::new())
            }
            (action, kind) => {
                let action = action.to_string();
                let action = action.split_whitespace().next().unwrap_or_default().to_owned();
                return Err(Error::invalid(format!("{action} can't be done to a row that is {kind}"))
                    .with_hint("MATCHED and NOT MATCHED BY SOURCE take UPDATE and DELETE, NOT MATCHED takes INSERT"));
            }
        };
        Ok(Clause { kind, when, does, values, has_predicate: clause.predicate.is_some() })
    }

    fn of_target(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![self.target.clone(), Ident::with_quote('"', name)])
    }

    fn of_source(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![self.source.clone(), Ident::with_quote('"', name)])
    }

    /// The source's column for one of the table, where a star stands for all.
    fn same_in_source(&self, name: &str) -> Result<Expr> {
        let mut alike = self.source_columns.iter().filter(|column| column.eq_ignore_ascii_case(name));
        let exact = self.source_columns.iter().find(|column| *column == name);
        let found = match (exact, alike.next(), alike.next()) {
            (Some(exact), ..) => exact,
            (None, Some(only), None) => only,
            _ => {
                return Err(Error::invalid(format!(
                    "the source of the MERGE has no column {name:?}, which * stands for"
                ))
                .with_hint("name the columns one by one, or give the source that column"));
            }
        };
        Ok(self.of_source(found))
    }

    fn updated(&self, assignments: &[Assignment]) -> Result<Vec<Expr>> {
        let mut values: Vec<Expr> = self.schema.fields.iter().map(|field| self.of_target(&field.name)).collect();
        if let [Assignment { target: AssignmentTarget::ColumnName(name), .. }] = assignments
            && is_all(name)
        {
            return self.schema.fields.iter().map(|field| self.same_in_source(&field.name)).collect();
        }
        let named = assignments.iter().map(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(name) if name.0.len() <= 2 => {
                Ok(ObjectName(name.0.last().cloned().into_iter().collect()))
            }
            AssignmentTarget::ColumnName(_) => Err(refused_part("SET of a field inside a column")),
            AssignmentTarget::Tuple(_) => Err(refused_part("SET of several columns at once")),
        });
        let named = named.collect::<Result<Vec<_>>>()?;
        for (field, assignment) in targets(self.schema, &named)?.into_iter().zip(assignments) {
            if let Some(at) = self.schema.index_of(&field.name) {
                values[at] = assignment.value.clone();
            }
        }
        Ok(values)
    }

    fn inserted(&self, insert: &MergeInsertExpr) -> Result<Vec<Expr>> {
        if insert.insert_predicate.is_some() {
            return Err(refused_part("WHERE inside a clause of MERGE: put the condition behind WHEN … AND"));
        }
        if matches!(insert.columns.as_slice(), [name] if is_all(name)) {
            return self.schema.fields.iter().map(|field| self.same_in_source(&field.name)).collect();
        }
        let given = match &insert.kind {
            MergeInsertKind::Values(values) => match values.rows.as_slice() {
                [row] => row.content.clone(),
                _ => return Err(refused_part("several rows in a clause of MERGE")),
            },
            MergeInsertKind::Row => return Err(refused_part("INSERT ROW: write INSERT *")),
        };
        let fields = targets(self.schema, &insert.columns)?;
        if fields.len() != given.len() {
            let message = format!("{} columns of a MERGE get {} values", fields.len(), given.len());
            return Err(Error::invalid(message));
        }
        let mut values = vec![Expr::value(Value::Null); self.schema.fields.len()];
        for (field, value) in fields.into_iter().zip(given) {
            if let Some(at) = self.schema.index_of(&field.name) {
                values[at] = value;
            }
        }
        Ok(values)
    }
}

fn is_all(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| ident.value == ALL))
}
