//! From the engine's expression to a predicate that is true wherever the expression is.

use std::cmp::Ordering;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use lake_format::expr::{CompareOp, Predicate, Scalar, compare};

use super::Translated;
use super::column::{Found, find};
use super::literal::convert;

/// Longer lists are narrowed to their range: the engine looks values up in them faster than a scan compares.
const LONGEST_LIST: usize = 64;

/// The scan's form of `filter` over columns of `schema`, the table's schema; `None` when it has nothing to say.
pub(crate) fn translate(filter: &Expr, schema: &Schema) -> Option<Translated> {
    Translator { schema }.holds(filter, true)
}

struct Translator<'a> {
    schema: &'a Schema,
}

impl Translator<'_> {
    /// A predicate that is true wherever `expr` is `want`. Unknown is neither, so `NOT` swaps what is wanted.
    fn holds(&self, expr: &Expr, want: bool) -> Option<Translated> {
        match expr {
            Expr::Alias(alias) => self.holds(&alias.expr, want),
            Expr::Literal(ScalarValue::Boolean(value), _) => Some(exactly(Predicate::Literal(*value == Some(want)))),
            Expr::Not(inner) => self.holds(inner, !want),
            Expr::IsTrue(inner) if want => self.holds(inner, true),
            Expr::IsFalse(inner) if want => self.holds(inner, false),
            Expr::IsNotTrue(inner) if !want => self.holds(inner, true),
            Expr::IsNotFalse(inner) if !want => self.holds(inner, false),
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => self.null(inner, want),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => self.null(inner, !want),
            Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
                self.joined(expr, *op, want)
            }
            Expr::BinaryExpr(binary) => self.compared(binary, want),
            Expr::Between(between) => {
                let want = want != between.negated;
                let column = find(&between.expr, self.schema)?;
                let low = ordered(&column, op_for(CompareOp::GtEq, want), self.literal(&between.low, &column)?);
                let high = ordered(&column, op_for(CompareOp::LtEq, want), self.literal(&between.high, &column)?);
                Some(join(vec![low, high], want))
            }
            Expr::InList(list) => self.listed(list, want != list.negated),
            Expr::Like(like) => self.like(like, want),
            Expr::Column(_) | Expr::ScalarFunction(_) => {
                let column = find(expr, self.schema)?;
                let value = Scalar::Boolean(want);
                (column.data_type == DataType::Boolean).then(|| ordered(&column, CompareOp::Eq, value))
            }
            _ => None,
        }
    }

    /// Parts of one long AND or OR. Of parts that must all hold, those without a translation are left out.
    fn joined(&self, expr: &Expr, op: Operator, want: bool) -> Option<Translated> {
        let all = (op == Operator::And) == want;
        let (mut parts, mut exact) = (Vec::new(), true);
        let mut waiting = vec![expr];
        while let Some(next) = waiting.pop() {
            match next {
                Expr::BinaryExpr(binary) if binary.op == op => {
                    waiting.push(&binary.right);
                    waiting.push(&binary.left);
                }
                part => match self.holds(part, want) {
                    Some(part) => parts.push(part),
                    None if all => exact = false,
                    None => return None,
                },
            }
        }
        if parts.is_empty() {
            return None;
        }
        let joined = join(parts, all);
        Some(Translated { exact: joined.exact && exact, ..joined })
    }

    fn null(&self, inner: &Expr, want: bool) -> Option<Translated> {
        let column = find(inner, self.schema)?;
        if column.data_type == DataType::Null {
            return None;
        }
        let path = column.path;
        Some(exactly(if want { Predicate::IsNull(path) } else { Predicate::IsNotNull(path) }))
    }

    fn compared(&self, binary: &BinaryExpr, want: bool) -> Option<Translated> {
        let (column, value, swapped) = match find(&binary.left, self.schema) {
            Some(column) => (column, binary.right.as_ref(), false),
            None => (find(&binary.right, self.schema)?, binary.left.as_ref(), true),
        };
        let value = self.literal(value, &column)?;
        let op = match binary.op {
            Operator::Eq => CompareOp::Eq,
            Operator::NotEq => CompareOp::NotEq,
            Operator::Lt => CompareOp::Lt,
            Operator::LtEq => CompareOp::LtEq,
            Operator::Gt => CompareOp::Gt,
            Operator::GtEq => CompareOp::GtEq,
            Operator::IsNotDistinctFrom => return Some(distinct(&column, value, !want)),
            Operator::IsDistinctFrom => return Some(distinct(&column, value, want)),
            _ => return None,
        };
        let op = if swapped { mirrored(op) } else { op };
        Some(ordered(&column, op_for(op, want), value))
    }

    fn listed(&self, list: &InList, want: bool) -> Option<Translated> {
        let column = find(&list.expr, self.schema)?;
        let values = list.list.iter().map(|value| self.literal(value, &column)).collect::<Option<Vec<_>>>()?;
        if is_float(&column.data_type) && (!want || values.iter().any(is_nan)) {
            return Some(roughly(Predicate::IsNotNull(column.path)));
        }
        if values.len() > LONGEST_LIST {
            return if want { range(&column, values) } else { Some(roughly(Predicate::IsNotNull(column.path))) };
        }
        let exact = !is_float(&column.data_type);
        let member = Predicate::In { column: column.path, values };
        Some(Translated { predicate: if want { member } else { Predicate::Not(Box::new(member)) }, exact })
    }

    /// Text that starts like the pattern does lies between two bounds.
    fn like(&self, like: &Like, want: bool) -> Option<Translated> {
        if like.negated == want {
            return None;
        }
        let column = find(&like.expr, self.schema)?;
        let Scalar::String(pattern) = self.literal(&like.pattern, &column)? else { return None };
        if like.case_insensitive || like.escape_char.is_some() {
            return Some(roughly(Predicate::IsNotNull(column.path)));
        }
        let prefix: String = pattern.chars().take_while(|c| !matches!(c, '%' | '_' | '\\')).collect();
        if prefix.is_empty() {
            return Some(roughly(Predicate::IsNotNull(column.path)));
        }
        let mut parts = Vec::new();
        if let Some(end) = successor(&prefix) {
            parts.push(ordered(&column, CompareOp::Lt, Scalar::String(end)));
        }
        parts.insert(0, ordered(&column, CompareOp::GtEq, Scalar::String(prefix)));
        Some(Translated { exact: false, ..join(parts, true) })
    }

    fn literal(&self, expr: &Expr, column: &Found) -> Option<Scalar> {
        match expr {
            Expr::Literal(value, _) => convert(value, &column.data_type),
            Expr::Alias(alias) => self.literal(&alias.expr, column),
            _ => None,
        }
    }
}

fn exactly(predicate: Predicate) -> Translated {
    Translated { predicate, exact: true }
}

fn roughly(predicate: Predicate) -> Translated {
    Translated { predicate, exact: false }
}

/// For the scan every NaN is above all numbers; the engine tells a NaN with a sign from one without, and not alike in
/// all places. What is said of floats is kept wide, and the engine looks again at the rows that are left.
fn ordered(column: &Found, op: CompareOp, value: Scalar) -> Translated {
    let path = column.path.clone();
    if !is_float(&column.data_type) || value.is_null() {
        return exactly(Predicate::Compare { column: path, op, value });
    }
    if is_nan(&value) {
        return roughly(Predicate::IsNotNull(path));
    }
    let op = match op {
        CompareOp::NotEq => return roughly(Predicate::IsNotNull(path)),
        CompareOp::Lt => CompareOp::LtEq,
        CompareOp::Gt => CompareOp::GtEq,
        other => other,
    };
    roughly(Predicate::Compare { column: path, op, value })
}

fn distinct(column: &Found, value: Scalar, want: bool) -> Translated {
    let path = column.path.clone();
    match (value.is_null(), want) {
        (true, true) => exactly(Predicate::IsNotNull(path)),
        (true, false) => exactly(Predicate::IsNull(path)),
        (false, false) => ordered(column, CompareOp::Eq, value),
        (false, true) => join(vec![exactly(Predicate::IsNull(path)), ordered(column, CompareOp::NotEq, value)], false),
    }
}

/// A long list by its least and greatest value. Nulls in it match nothing.
fn range(column: &Found, values: Vec<Scalar>) -> Option<Translated> {
    let order = |a: &Scalar, b: &Scalar| compare(a, b).unwrap_or(Ordering::Equal);
    let mut values: Vec<Scalar> = values.into_iter().filter(|value| !value.is_null()).collect();
    values.sort_by(order);
    let (low, high) = (values.first()?.clone(), values.last()?.clone());
    let parts = vec![ordered(column, CompareOp::GtEq, low), ordered(column, CompareOp::LtEq, high)];
    Some(Translated { exact: false, ..join(parts, true) })
}

fn join(parts: Vec<Translated>, all: bool) -> Translated {
    let exact = parts.iter().all(|part| part.exact);
    let mut parts: Vec<Predicate> = parts.into_iter().map(|part| part.predicate).collect();
    let predicate = match parts.len() {
        1 => parts.remove(0),
        _ if all => Predicate::And(parts),
        _ => Predicate::Or(parts),
    };
    Translated { predicate, exact }
}

/// The comparison that is true where `op` is `want`.
fn op_for(op: CompareOp, want: bool) -> CompareOp {
    match op {
        _ if want => op,
        CompareOp::Eq => CompareOp::NotEq,
        CompareOp::NotEq => CompareOp::Eq,
        CompareOp::Lt => CompareOp::GtEq,
        CompareOp::LtEq => CompareOp::Gt,
        CompareOp::Gt => CompareOp::LtEq,
        CompareOp::GtEq => CompareOp::Lt,
    }
}

fn mirrored(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::LtEq => CompareOp::GtEq,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::GtEq => CompareOp::LtEq,
        same => same,
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

fn is_nan(value: &Scalar) -> bool {
    match value {
        Scalar::Float(value) => value.is_nan(),
        Scalar::Double(value) => value.is_nan(),
        _ => false,
    }
}

/// The least text that is greater than every text that starts with `prefix`.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Skips the gap of surrogates; bytes of UTF-8 sort as the characters do.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
