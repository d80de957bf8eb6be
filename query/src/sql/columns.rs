//! Column names whatever the case of their letters: every unquoted name gets the one spelling that is meant.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{DataType, Fields, Schema};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};

use super::tables::{Named, normal};

/// The engine takes an unquoted name for its lower case. Where a table or an alias of the statement spells the name in
/// another way, the name is replaced by that spelling, everywhere alike, so what was equal stays equal. Names of tables
/// in front of columns are brought to what the rewrite of table names made of them.
pub(super) fn spell(query: &mut Query, schemas: &[&Schema], tables: &[Named]) {
    let mut collected = Collector::default();
    let _ = query.visit(&mut collected);
    let mut spellings = HashMap::new();
    for schema in schemas {
        collect(schema.fields(), true, &mut spellings);
    }
    let mut inner = HashMap::new();
    for schema in schemas {
        collect(schema.fields(), false, &mut inner);
    }
    for (lower, names) in inner {
        spellings.entry(lower).or_insert(names);
    }
    for alias in collected.aliases {
        spellings.entry(alias.to_lowercase()).or_insert_with(|| HashSet::from([alias]));
    }
    spellings.retain(|lower, names| names.len() > 1 || !names.contains(lower));
    let schema_of = |name: &String| schemas.get(tables.iter().position(|table| table.name.table() == name)?).copied();
    let within = collected.within.iter();
    let within = within.map(|(alias, names)| (alias.clone(), names.iter().filter_map(schema_of).collect())).collect();
    let of_catalog = |kept: bool| {
        tables
            .iter()
            .filter(move |table| table.is_kept() == kept && !table.parts.is_empty())
            .map(|table| table.parts.as_slice())
    };
    let mut qualifiers = collected.aliased.clone();
    qualifiers.extend(collected.named);
    let mut speller = Speller {
        spellings,
        within,
        qualifiers,
        aliased: collected.aliased,
        taken: of_catalog(false).collect(),
        kept: of_catalog(true).collect(),
    };
    let _ = query.visit(&mut speller);
}

type Spellings = HashMap<String, HashSet<String>>;

fn collect(fields: &Fields, top: bool, spellings: &mut Spellings) {
    for field in fields {
        if top {
            spellings.entry(field.name().to_lowercase()).or_default().insert(field.name().clone());
        } else {
            collect_inner(field.data_type(), spellings);
        }
    }
}

fn collect_inner(data_type: &DataType, spellings: &mut Spellings) {
    match data_type {
        DataType::Struct(fields) => {
            collect(fields, true, spellings);
            collect(fields, false, spellings);
        }
        DataType::List(element) | DataType::LargeList(element) | DataType::Map(element, _) => {
            collect_inner(element.data_type(), spellings);
        }
        _ => {}
    }
}

/// Names that the statement itself gives: to columns, and to tables.
#[derive(Default)]
struct Collector {
    aliases: Vec<String>,
    /// Aliases of tables.
    aliased: HashSet<String>,
    /// Parts of names of tables.
    named: HashSet<String>,
    /// The tables whose columns are known under a name.
    within: HashMap<String, Vec<String>>,
}

/// The tables that a factor takes its columns from, where these pass through.
fn tables_in(factor: &TableFactor, found: &mut Vec<String>) {
    match factor {
        TableFactor::Table { name, .. } => found.extend(name.0.last().and_then(ObjectNamePart::as_ident).map(normal)),
        TableFactor::Derived { subquery, .. } => {
            if let SetExpr::Select(select) = subquery.body.as_ref() {
                for from in &select.from {
                    tables_in(&from.relation, found);
                    from.joins.iter().for_each(|join| tables_in(&join.relation, found));
                }
            }
        }
        _ => {}
    }
}

impl Collector {
    fn alias(&mut self, ident: &Ident) {
        if ident.quote_style.is_none() {
            self.aliases.push(ident.value.clone());
        }
    }

    fn table(&mut self, alias: &TableAlias) {
        self.aliased.insert(normal(&alias.name));
        alias.columns.iter().for_each(|column| self.alias(&column.name));
    }
}

impl VisitorMut for Collector {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for definition in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.table(&definition.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => self.alias(alias),
                SelectItem::ExprWithAliases { aliases, .. } => aliases.iter().for_each(|alias| self.alias(alias)),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } = factor {
            self.named.extend(name.0.iter().filter_map(ObjectNamePart::as_ident).map(normal));
        }
        let mut within = Vec::new();
        tables_in(factor, &mut within);
        let known_as = match alias_of(factor) {
            Some(alias) => {
                self.table(alias);
                Some(normal(&alias.name))
            }
            None => within.first().cloned(),
        };
        if let Some(known_as) = known_as {
            self.within.entry(known_as).or_default().extend(within);
        }
        ControlFlow::Continue(())
    }
}

fn alias_of(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. } => alias.as_mut(),
        _ => None,
    }
}

struct Speller<'a> {
    /// Lower case to the spellings in use; a single one that is not the lower case itself, or several.
    spellings: Spellings,
    /// What a table's columns are, by its name in front of them.
    within: HashMap<String, Vec<&'a Schema>>,
    /// Names and aliases of tables: in front of a dot these are no columns.
    qualifiers: HashSet<String>,
    /// Those of them that are aliases.
    aliased: HashSet<String>,
    /// Names in the catalog that the rewrite took away: such a table is called by its last part now.
    taken: Vec<&'a [String]>,
    /// Names in the catalog that stayed.
    kept: Vec<&'a [String]>,
}

impl Speller<'_> {
    fn ident(&self, ident: &mut Ident) {
        self.ident_of(None, ident);
    }

    /// Spells a column, which stands behind the name of a table where one is given.
    fn ident_of(&self, table: Option<&str>, ident: &mut Ident) {
        if ident.quote_style.is_some() {
            return;
        }
        let lower = ident.value.to_lowercase();
        let Some(names) = self.spellings.get(&lower) else { return };
        let spelling = match names.len() {
            1 => names.iter().next(),
            // Two columns differ in case alone: the one of the table in front, or the one that was written, if it was.
            _ => table.and_then(|table| self.column_of(table, &ident.value)).or_else(|| names.get(&ident.value)),
        };
        if let Some(spelling) = spelling {
            ident.value.clone_from(spelling);
            ident.quote_style = Some('"');
        }
    }

    /// The column of a table that `written` means: it itself, or the only one that differs in case alone.
    fn column_of(&self, table: &str, written: &str) -> Option<&String> {
        let within = self.within.get(table)?;
        let columns = || within.iter().flat_map(|schema| schema.fields().iter().map(|field| field.name()));
        let lower = written.to_lowercase();
        let mut alike = columns().filter(|name| name.to_lowercase() == lower);
        let only = alike.next().filter(|_| alike.next().is_none());
        columns().find(|name| *name == written).or(only)
    }

    /// How many parts in front of `lower` belong to a name that the rewrite took away.
    fn parts_taken(&self, lower: &[String]) -> usize {
        let of = |name: &&[String]| {
            let from = (0..name.len() - 1).find(|&from| lower.starts_with(&name[from..]))?;
            Some(name.len() - 1 - from)
        };
        self.taken.iter().find_map(of).unwrap_or(0)
    }

    fn compound(&self, idents: &mut Vec<Ident>) {
        let front = idents.len().saturating_sub(1);
        let lower: Vec<String> = idents[..front].iter().map(|ident| ident.value.to_lowercase()).collect();
        idents.drain(..self.parts_taken(&lower));
        let count = idents.len();
        let mut in_front = true;
        let mut table: Option<String> = None;
        for (at, ident) in idents.iter_mut().enumerate() {
            in_front &= at + 1 < count && self.qualifiers.contains(&normal(ident));
            if in_front {
                table = Some(normal(ident));
            } else {
                self.ident_of(table.take().as_deref(), ident);
            }
        }
    }

    fn name(&self, name: &mut ObjectName) {
        if let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() {
            self.ident(last);
        }
    }

    /// The table in front of `.*`, which the engine knows by its full name or its alias and by nothing between.
    fn qualifier(&self, name: &mut ObjectName) {
        let idents = name.0.iter().map(|part| part.as_ident().cloned()).collect::<Option<Vec<Ident>>>();
        let Some(mut idents) = idents else { return };
        let lower: Vec<String> = idents.iter().map(|ident| ident.value.to_lowercase()).collect();
        idents.drain(..self.parts_taken(&lower));
        if let [single] = idents.as_slice()
            && self.aliased.contains(&normal(single))
        {
            name.0 = idents.into_iter().map(ObjectNamePart::Identifier).collect();
            return;
        }
        let mut ends_so = self.kept.iter().filter(|kept| kept.ends_with(&lower));
        if let (Some(only), None) = (ends_so.next(), ends_so.next()) {
            name.0 =
                only.iter().map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part.as_str()))).collect();
        }
    }

    fn wildcard(&self, options: &mut WildcardAdditionalOptions) {
        match &mut options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => self.name(name),
            Some(ExcludeSelectItem::Multiple(names)) => names.iter_mut().for_each(|name| self.name(name)),
            None => {}
        }
        if let Some(except) = &mut options.opt_except {
            self.ident(&mut except.first_element);
            except.additional_elements.iter_mut().for_each(|ident| self.ident(ident));
        }
        if let Some(replace) = &mut options.opt_replace {
            replace.items.iter_mut().for_each(|item| self.ident(&mut item.column_name));
        }
    }

    fn table(&self, alias: &mut TableAlias) {
        alias.columns.iter_mut().for_each(|column| self.ident(&mut column.name));
    }

    fn joins(&self, table: &mut TableWithJoins) {
        for join in &mut table.joins {
            if let Some(JoinConstraint::Using(names)) = constraint(&mut join.join_operator) {
                names.iter_mut().for_each(|name| self.name(name));
            }
        }
    }
}

impl VisitorMut for Speller<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for definition in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            self.table(&mut definition.alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => self.ident(alias),
                SelectItem::ExprWithAliases { aliases, .. } => aliases.iter_mut().for_each(|alias| self.ident(alias)),
                SelectItem::Wildcard(options) => self.wildcard(options),
                SelectItem::QualifiedWildcard(table, options) => {
                    if let SelectItemQualifiedWildcardKind::ObjectName(name) = table {
                        self.qualifier(name);
                    }
                    self.wildcard(options);
                }
                SelectItem::UnnamedExpr(_) => {}
            }
        }
        select.from.iter_mut().for_each(|table| self.joins(table));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.joins(table_with_joins);
        }
        if let Some(alias) = alias_of(factor) {
            self.table(alias);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.ident(ident),
            Expr::CompoundIdentifier(idents) => self.compound(idents),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::CompoundIdentifier(idents)) = access {
                        idents.iter_mut().for_each(|ident| self.ident(ident));
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint)
        | J::CrossJoin(constraint)
        | J::Semi(constraint)
        | J::LeftSemi(constraint)
        | J::RightSemi(constraint)
        | J::Anti(constraint)
        | J::LeftAnti(constraint)
        | J::RightAnti(constraint)
        | J::StraightJoin(constraint)
        | J::AsOf { constraint, .. } => Some(constraint),
        J::CrossApply | J::OuterApply | J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::sql::sqlparser::ast::Statement;

    use super::super::text::parse;
    use super::*;

    fn spelled(text: &str, columns: &[&[&str]]) -> String {
        let Statement::Query(mut query) = parse(text).unwrap() else { panic!("no query: {text}") };
        let of = |names: &&[&str]| {
            let city = Field::new("cityName", DataType::Utf8, true);
            let mut fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
            fields.push(Field::new("address", DataType::Struct(vec![city].into()), true));
            Schema::new(fields)
        };
        let schemas: Vec<Schema> = columns.iter().map(of).collect();
        let tables = super::super::tables::find(&mut query).unwrap();
        spell(&mut query, &schemas.iter().collect::<Vec<_>>(), &tables);
        query.to_string()
    }

    #[test]
    fn unquoted_names_get_the_tables_spelling() {
        let of = |text: &str| spelled(text, &[&["OrderId", "amount"]]);
        assert_eq!(of("SELECT orderid, AMOUNT FROM s.t"), r#"SELECT "OrderId", AMOUNT FROM s.t"#);
        assert_eq!(of(r#"SELECT "orderid" FROM s.t"#), r#"SELECT "orderid" FROM s.t"#);
        assert_eq!(
            of("SELECT t.ORDERID FROM s.t ORDER BY orderId"),
            r#"SELECT t."OrderId" FROM s.t ORDER BY "OrderId""#
        );
        assert_eq!(of("SELECT * EXCEPT (orderid) FROM s.t"), r#"SELECT * EXCEPT ("OrderId") FROM s.t"#);
        assert_eq!(of("SELECT 1 FROM s.t JOIN s.u USING (orderid)"), r#"SELECT 1 FROM s.t JOIN s.u USING("OrderId")"#);
        assert_eq!(of("SELECT address.cityname FROM s.t"), r#"SELECT address."cityName" FROM s.t"#);
    }

    #[test]
    fn a_tables_alias_is_no_column() {
        assert_eq!(spelled("SELECT o.o, O FROM s.t o", &[&["O"]]), r#"SELECT o."O", "O" FROM s.t o"#);
    }

    #[test]
    fn aliases_keep_their_case() {
        assert_eq!(
            spelled("SELECT 1 AS Total FROM s.t ORDER BY TOTAL", &[]),
            r#"SELECT 1 AS "Total" FROM s.t ORDER BY "Total""#
        );
        assert_eq!(spelled("SELECT 1 AS total, 2 AS x FROM s.t", &[]), "SELECT 1 AS total, 2 AS x FROM s.t");
        assert_eq!(
            spelled("WITH c(MyCol) AS (SELECT 1) SELECT mycol FROM c", &[]),
            r#"WITH c ("MyCol") AS (SELECT 1) SELECT "MyCol" FROM c"#
        );
    }

    #[test]
    fn names_that_differ_in_case_alone_stay_apart() {
        assert_eq!(
            spelled("SELECT a.ID, b.id FROM s.a, s.b", &[&["ID"], &["id"]]),
            r#"SELECT a."ID", b."id" FROM s.a, s.b"#
        );
    }

    #[test]
    fn names_of_tables_follow_the_rewrite() {
        let of = |text: &str| spelled(text, &[]);
        assert_eq!(
            of("SELECT bronze.orders.id, orders.id, bronze.x, lake.bronze.orders.id FROM lake.bronze.orders@v3"),
            r#"SELECT orders.id, orders.id, bronze.x, orders.id FROM "lake.bronze.orders@v3" AS orders"#
        );
        assert_eq!(
            of("SELECT ORDERS.* FROM lake.bronze.orders"),
            r#"SELECT "lake"."bronze"."orders".* FROM lake.bronze.orders"#
        );
        assert_eq!(of("SELECT orders.* FROM a.orders, b.orders"), "SELECT orders.* FROM a.orders, b.orders");
        assert_eq!(
            of("SELECT orders.* FROM a.orders x, b.t AS orders"),
            "SELECT orders.* FROM a.orders x, b.t AS orders"
        );
        assert_eq!(
            of("SELECT bronze.orders.* FROM bronze.orders@v1"),
            r#"SELECT orders.* FROM "bronze.orders@v1" AS orders"#
        );
    }
}
