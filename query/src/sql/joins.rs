//! Columns that a JOIN … USING makes one of two, where the engine can't tell which is meant.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, TableFactor,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::dialect::LakeDialect;
use super::tables::normal;

/// Writes the table in front of columns that a USING names, in the SELECT that the join belongs to: the left one, the
/// right one for a right join, whichever is there for a full join. Joins whose tables have no name are left alone.
pub(super) fn resolve_using(query: &mut Query) {
    let _ = query.visit(&mut Selects);
}

struct Selects;

impl VisitorMut for Selects {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let merged = Merged { columns: merged_columns(select), depth: 0 };
        if !merged.columns.is_empty() {
            merged.rewrite(select);
        }
        ControlFlow::Continue(())
    }
}

/// What each column of a USING stands for.
fn merged_columns(select: &Select) -> HashMap<String, Expr> {
    let mut merged: HashMap<String, Expr> = HashMap::new();
    for table in &select.from {
        let mut first = qualifier(&table.relation);
        for join in &table.joins {
            let right = qualifier(&join.relation);
            if let Some((constraint, side)) = side_of(&join.join_operator) {
                for column in using(constraint) {
                    let key = normal(column);
                    let left = match (merged.get(&key), &first) {
                        (Some(left), _) => Some(left.clone()),
                        (None, Some(first)) => Some(qualified(first, column)),
                        (None, None) => None,
                    };
                    let right = right.as_ref().map(|right| qualified(right, column));
                    let meant = match side {
                        Side::Left => left,
                        Side::Right => right,
                        Side::Both => left.zip(right).and_then(|(left, right)| either(&left, &right)),
                    };
                    if let Some(meant) = meant {
                        merged.insert(key, meant);
                    }
                }
            }
            // Of several tables on the left it is not known which one has a column.
            first = None;
        }
    }
    merged
}

enum Side {
    Left,
    Right,
    Both,
}

fn side_of(operator: &JoinOperator) -> Option<(&JoinConstraint, Side)> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint) | J::Inner(constraint) | J::Left(constraint) | J::LeftOuter(constraint) => {
            Some((constraint, Side::Left))
        }
        J::Right(constraint) | J::RightOuter(constraint) => Some((constraint, Side::Right)),
        J::FullOuter(constraint) => Some((constraint, Side::Both)),
        _ => None,
    }
}

fn using(constraint: &JoinConstraint) -> impl Iterator<Item = &Ident> {
    let names: &[ObjectName] = match constraint {
        JoinConstraint::Using(names) => names,
        _ => &[],
    };
    names.iter().filter_map(|name| match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    })
}

fn qualifier(factor: &TableFactor) -> Option<Vec<Ident>> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(vec![alias.name.clone()]),
        TableFactor::Table { name, alias: None, args: None, .. } => {
            name.0.iter().map(|part| part.as_ident().cloned()).collect()
        }
        _ => None,
    }
}

fn qualified(table: &[Ident], column: &Ident) -> Expr {
    Expr::CompoundIdentifier(table.iter().chain([column]).cloned().collect())
}

fn either(left: &Expr, right: &Expr) -> Option<Expr> {
    let text = format!("coalesce({left}, {right})");
    Parser::new(&LakeDialect).try_with_sql(&text).ok()?.parse_expr().ok()
}

/// Puts the meant columns in place, outside of subqueries.
struct Merged {
    columns: HashMap<String, Expr>,
    depth: usize,
}

impl Merged {
    fn rewrite(mut self, select: &mut Select) {
        for item in &mut select.projection {
            let name = match item {
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(ident.clone()),
                _ => None,
            };
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    let _ = expr.visit(&mut self);
                }
                _ => continue,
            }
            if let (Some(alias), SelectItem::UnnamedExpr(expr)) = (name, &*item)
                && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        let grouped = match &mut select.group_by {
            GroupByExpr::Expressions(exprs, _) => exprs.iter_mut(),
            GroupByExpr::All(_) => [].iter_mut(),
        };
        for expr in select.selection.iter_mut().chain(grouped).chain(&mut select.having).chain(&mut select.qualify) {
            let _ = expr.visit(&mut self);
        }
    }
}

impl VisitorMut for Merged {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(ident) = expr
            && let Some(meant) = self.columns.get(&normal(ident))
        {
            *expr = meant.clone();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::super::text::parse;
    use super::*;

    #[test]
    fn columns_of_using_get_their_table() {
        let of = |text: &str| {
            let Statement::Query(mut query) = parse(text).unwrap() else { panic!("no query: {text}") };
            resolve_using(&mut query);
            query.to_string()
        };
        assert_eq!(
            of("SELECT k, v FROM s.a JOIN s.b USING (k) WHERE K > 1 GROUP BY k, v HAVING k < 9"),
            "SELECT s.a.k, v FROM s.a JOIN s.b USING(k) WHERE s.a.k > 1 GROUP BY s.a.k, v HAVING s.a.k < 9"
        );
        assert_eq!(
            of("SELECT k FROM s.a x JOIN s.b y USING (k) LEFT JOIN s.c z USING (k)"),
            "SELECT x.k FROM s.a x JOIN s.b y USING(k) LEFT JOIN s.c z USING(k)"
        );
        assert_eq!(of("SELECT k FROM s.a RIGHT JOIN s.b USING (k)"), "SELECT s.b.k FROM s.a RIGHT JOIN s.b USING(k)");
        assert_eq!(
            of("SELECT k FROM s.a FULL JOIN s.b USING (k)"),
            "SELECT coalesce(s.a.k, s.b.k) AS k FROM s.a FULL JOIN s.b USING(k)"
        );
        let unknown = "SELECT j FROM s.a JOIN s.b USING(k) JOIN s.c USING(j) WHERE j IN (SELECT k FROM s.d)";
        assert_eq!(of(unknown), unknown);
    }
}
