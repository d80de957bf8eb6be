//! What the columns of a result are called: as they were written, and no two alike.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, SetExpr, VisitMut, VisitorMut};

/// Longer texts of expressions are cut in names.
const LONGEST_NAME: usize = 60;

/// Gives `SELECT a, a` the columns `a` and `a:1`: the engine refuses two expressions of one text.
pub(super) fn name_apart(query: &mut Query) {
    let _ = query.visit(&mut Namer);
}

/// Texts of the columns of a query that have no name of their own, counted from both ends: what a `*` gives is not
/// known beforehand.
#[derive(Default)]
pub(super) struct Names {
    front: Vec<Option<String>>,
    /// The last column first.
    back: Vec<Option<String>>,
}

impl Names {
    /// The texts in `query`, whose columns have been told apart.
    pub(super) fn of(query: &Query) -> Self {
        let mut body = query.body.as_ref();
        let select = loop {
            body = match body {
                SetExpr::Select(select) => break select,
                SetExpr::SetOperation { left, .. } => left,
                SetExpr::Query(inner) => &inner.body,
                _ => return Self::default(),
            };
        };
        let is_named =
            |item: &&SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
        let front: Vec<Option<String>> = select.projection.iter().take_while(is_named).map(written).collect();
        let back = match front.len() == select.projection.len() {
            true => Vec::new(),
            false => select.projection.iter().rev().take_while(is_named).map(written).collect(),
        };
        Self { front, back }
    }

    /// `schema` with these names; `None` when it has them already.
    pub(super) fn apply(&self, schema: &Schema) -> Option<SchemaRef> {
        let count = schema.fields().len();
        let taken: HashSet<&String> = schema.fields().iter().map(|field| field.name()).collect();
        let text = |at: usize| self.front.get(at).or_else(|| self.back.get(count - 1 - at))?.as_ref();
        let name = |(at, field): (usize, &Arc<Field>)| match text(at) {
            Some(text) if text != field.name() && !taken.contains(text) => {
                Arc::new(field.as_ref().clone().with_name(text.as_str()))
            }
            _ => Arc::clone(field),
        };
        let fields: Fields = schema.fields().iter().enumerate().map(name).collect();
        (fields != *schema.fields()).then(|| Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
    }
}

fn written(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. },
        ) => None,
        SelectItem::UnnamedExpr(expr) => {
            let text = expr.to_string();
            Some(match text.char_indices().nth(LONGEST_NAME) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            })
        }
        _ => None,
    }
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let text = text_of(expr);
            let count = seen.entry(text.clone()).or_default();
            if *count > 0 {
                let short: String = name_of(expr, &text).chars().take(LONGEST_NAME).collect();
                let alias = Ident::with_quote('"', format!("{short}:{count}"));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
            *count += 1;
        }
        ControlFlow::Continue(())
    }
}

/// What the engine takes for the same: a conversion is called like what is converted, subqueries have no text of their
/// own, and case counts in quotes alone.
fn text_of(mut expr: &Expr) -> String {
    while let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
        expr = inner;
    }
    match expr {
        Expr::Subquery(_) => "subquery".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        _ => {
            let text = expr.to_string();
            if text.contains(['\'', '"', '`']) { text } else { text.to_lowercase() }
        }
    }
}

fn name_of<'a>(expr: &'a Expr, text: &'a str) -> &'a str {
    match expr {
        Expr::Identifier(ident) => &ident.value,
        Expr::CompoundIdentifier(idents) => idents.last().map_or(text, |ident| &ident.value),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::super::text::parse;
    use super::*;

    #[test]
    fn equal_columns_get_a_number() {
        let named = |text: &str| {
            let Statement::Query(mut query) = parse(text).unwrap() else { panic!("no query: {text}") };
            name_apart(&mut query);
            query.to_string()
        };
        assert_eq!(
            named("SELECT a, t.b, A, a AS x, t.b FROM t"),
            r#"SELECT a, t.b, A AS "A:1", a AS x, t.b AS "b:1" FROM t"#
        );
        assert_eq!(named("SELECT 1, 2, 1, 1"), r#"SELECT 1, 2, 1 AS "1:1", 1 AS "1:2""#);
        assert_eq!(named("SELECT (SELECT 1), (SELECT 2)"), r#"SELECT (SELECT 1), (SELECT 2) AS "subquery:1""#);
        assert_eq!(named("SELECT 'a', 'A'"), "SELECT 'a', 'A'");
        assert_eq!(named("SELECT a::INT, a::TEXT"), r#"SELECT a::INT, a::TEXT AS "a:1""#);
    }
}
