//! Which tables a statement names, and what they are called while it is planned.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, SetExpr, TableAlias, TableFactor, TableVersion, Value, VisitMut, VisitorMut,
};
use lake_format::snapshot::At;
use lake_format::{Error, Result};

use super::files::DataFile;
use super::refuse::{refused, refused_part};
use crate::reference::{Place, TableRef, is_name, parse_time};

/// Tables in one statement.
const MOST_TABLES: usize = 200;

/// What a name in a statement stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A table.
    Table(TableRef),
    /// A file that is no table.
    File(DataFile),
}

/// One table of a statement.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) source: Source,
    /// What the statement calls it after the rewrite.
    pub(super) name: TableReference,
    /// The parts of its name in the catalog, lower case; empty for a path.
    pub(super) parts: Vec<String>,
}

impl Named {
    /// Whether the statement goes on calling it by its name in the catalog.
    pub(super) fn is_kept(&self) -> bool {
        self.name.schema().is_some()
    }
}

/// Finds the tables of `query` and rewrites their names to ones that the engine can look up. A name that a WITH
/// clause defines is left alone.
///
/// # Errors
/// `Invalid` for a reference or version that can't be read, `Unsupported` for what is never run inside a query.
pub(super) fn find(query: &mut Query) -> Result<Vec<Named>> {
    let mut finder = Finder::default();
    match query.visit(&mut finder) {
        ControlFlow::Continue(()) => Ok(finder.found),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// The place that a statement writes to.
///
/// # Errors
/// `Invalid` for a reference that can't be read, and for one to an older version.
pub(super) fn target(name: &ObjectName) -> Result<Place> {
    let reference = reference(name)?.0;
    if reference.at != At::Latest {
        return Err(Error::invalid("an older version of a table can't be written to")
            .with_object(reference.to_string())
            .with_hint("leave the version out to write the next one"));
    }
    Ok(reference.place)
}

/// The table that `name` means, and whether its parts were written one by one.
pub(super) fn reference(name: &ObjectName) -> Result<(TableRef, bool)> {
    let parts = name.0.iter().map(|part| part.as_ident()).collect::<Option<Vec<&Ident>>>();
    let Some(parts) = parts else {
        return Err(Error::invalid("a table's name is expected").with_object(name.to_string()));
    };
    match parts[..] {
        [whole] => Ok((TableRef::parse(&whole.value)?, false)),
        [ref upper @ .., last] => {
            if let Some(odd) = upper.iter().find(|part| !is_name(&part.value)) {
                return Err(Error::invalid(format!("{:?} is no name in a catalog", odd.value))
                    .with_object(name.to_string())
                    .with_hint("quote a path as a whole, as in \"./my.tables/trips\""));
            }
            let text = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
            let parsed = TableRef::parse(&text)?;
            // A slash or a dot inside the last part would make another reference of it.
            let same = matches!(&parsed.place, Place::Name { table, .. } if last.value.starts_with(table.as_str()));
            if !same || parts.len() > 3 {
                return Err(Error::invalid("not a table's name")
                    .with_object(name.to_string())
                    .with_hint("quote a path as a whole, as in \"./trips\""));
            }
            Ok((parsed, true))
        }
        [] => Err(Error::invalid("a table's name is expected")),
    }
}

#[derive(Default)]
struct Finder {
    scopes: Vec<Scope>,
    found: Vec<Named>,
}

/// A query on the way down, and the names that its WITH clause defines.
#[derive(Default)]
struct Scope {
    names: Vec<String>,
    /// How many of the definitions lie behind us. Those are visible; with RECURSIVE, the current one is as well.
    done: usize,
    recursive: bool,
    /// Whether this query is a definition in the WITH clause of the one around it.
    defines: bool,
}

type Flow = ControlFlow<Box<Error>>;

impl VisitorMut for Finder {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        if let Err(error) = check_query(query) {
            return ControlFlow::Break(Box::new(error));
        }
        let defines = self.scopes.last().is_some_and(|around| around.done < around.names.len());
        let mut scope = Scope { defines, ..Scope::default() };
        if let Some(with) = &query.with {
            scope.recursive = with.recursive;
            scope.names = with.cte_tables.iter().map(|definition| normal(&definition.alias.name)).collect();
        }
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> Flow {
        let left = self.scopes.pop();
        if left.is_some_and(|left| left.defines)
            && let Some(around) = self.scopes.last_mut()
        {
            around.done += 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        match self.rewrite(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl Finder {
    fn rewrite(&mut self, factor: &mut TableFactor) -> Result<()> {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } = factor
        else {
            return Ok(());
        };
        let odd = [
            (!with_hints.is_empty(), "a table hint"),
            (!index_hints.is_empty(), "an index hint"),
            (!partitions.is_empty(), "PARTITION behind a table's name"),
            (json_path.is_some(), "a JSON path behind a table's name"),
            (sample.is_some(), "TABLESAMPLE"),
            (*with_ordinality, "WITH ORDINALITY"),
        ];
        if let Some((_, part)) = odd.iter().find(|(there, _)| *there) {
            return Err(refused_part(part));
        }
        if args.is_some() || self.is_defined(name) {
            return match version {
                None => Ok(()),
                Some(_) => Err(Error::invalid("only tables have versions").with_object(name.to_string())),
            };
        }
        let named = self.name(name, version.take())?;
        if !named.is_kept() {
            let key = Ident::with_quote('"', named.name.table());
            if alias.is_none() {
                *alias = Some(default_alias(&named.source, name));
            }
            *name = ObjectName::from(vec![key]);
        }
        Ok(())
    }

    /// Looks up or registers what `name` stands for.
    fn name(&mut self, name: &ObjectName, version: Option<TableVersion>) -> Result<Named> {
        let (source, in_parts) = match DataFile::of(name) {
            Some(file) if version.is_none() => (Source::File(file), false),
            _ => {
                let (mut reference, in_parts) = reference(name)?;
                if let Some(version) = version {
                    if reference.at != At::Latest {
                        return Err(
                            Error::invalid("two versions are given for one table").with_object(name.to_string())
                        );
                    }
                    reference.at = at(version)?;
                }
                (Source::Table(reference), in_parts)
            }
        };
        let newest = matches!(&source, Source::Table(reference) if reference.at == At::Latest);
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(normal).collect();
        let kept = if in_parts && newest { in_catalog(&parts) } else { None };
        if let Some(known) = self.found.iter().find(|known| match &kept {
            Some(kept) => known.name == *kept,
            None => known.source == source && !known.is_kept(),
        }) {
            return Ok(known.clone());
        }
        if self.found.len() >= MOST_TABLES {
            return Err(Error::invalid(format!("a statement names more than {MOST_TABLES} tables")));
        }
        let in_catalog = match &source {
            Source::Table(TableRef { place: Place::Name { catalog, schema, table }, .. }) => {
                catalog.iter().chain([schema, table]).map(|part| part.to_lowercase()).collect()
            }
            _ => Vec::new(),
        };
        let key = kept.unwrap_or_else(|| TableReference::bare(self.key(&source)));
        let named = Named { source, name: key, parts: in_catalog };
        self.found.push(named.clone());
        Ok(named)
    }

    /// What the engine calls a table that has no name in parts: its reference, which no WITH clause gives by accident.
    fn key(&self, source: &Source) -> String {
        let mut key = match source {
            Source::Table(reference) => reference.to_string(),
            Source::File(file) => file.path().to_owned(),
        };
        if !key.contains(['/', '@', '.']) {
            key.insert_str(0, "./");
        }
        while self.found.iter().any(|known| known.name.table() == key) {
            key.push('\'');
        }
        key
    }

    /// Whether a WITH clause around defines `name`.
    fn is_defined(&self, name: &ObjectName) -> bool {
        let [part] = name.0.as_slice() else { return false };
        let Some(name) = part.as_ident().map(normal) else { return false };
        self.scopes.iter().any(|scope| {
            let current = usize::from(scope.recursive && scope.done < scope.names.len());
            scope.names[..scope.done + current].contains(&name)
        })
    }
}

/// A name as the engine compares it: without quotes, case is ignored.
pub(super) fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn in_catalog(parts: &[String]) -> Option<TableReference> {
    match parts {
        [schema, table] => Some(TableReference::partial(schema.as_str(), table.as_str())),
        [catalog, schema, table] => Some(TableReference::full(catalog.as_str(), schema.as_str(), table.as_str())),
        _ => None,
    }
}

/// The alias of a table that is given none.
///
/// # Errors
/// `Invalid` for a reference that can't be read.
pub(super) fn own_alias(name: &ObjectName) -> Result<TableAlias> {
    let source = match DataFile::of(name) {
        Some(file) => Source::File(file),
        None => Source::Table(reference(name)?.0),
    };
    Ok(default_alias(&source, name))
}

/// What the columns of a table without alias are qualified by: the last part of its name or path.
fn default_alias(source: &Source, written: &ObjectName) -> TableAlias {
    let last = match source {
        Source::Table(reference) => reference.place.last_part().to_owned(),
        Source::File(file) => file.stem().to_owned(),
    };
    let mut chars = last.chars();
    let plain =
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.all(|c| c.is_alphanumeric() || c == '_');
    let name = match last.as_str() {
        "" => Ident::with_quote('"', written.to_string()),
        _ if plain => Ident::new(last),
        _ => Ident::with_quote('"', last),
    };
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

/// Refuses what would write, hidden in a query.
fn check_query(query: &Query) -> Result<()> {
    let mut bodies = vec![query.body.as_ref()];
    while let Some(body) = bodies.pop() {
        let name = match body {
            SetExpr::Insert(_) => "INSERT",
            SetExpr::Update(_) => "UPDATE",
            SetExpr::Delete(_) => "DELETE",
            SetExpr::Merge(_) => "MERGE",
            SetExpr::Table(_) => return Err(refused_part("TABLE in place of a SELECT")),
            SetExpr::Select(select) if select.into.is_some() => {
                return Err(refused("SELECT INTO", "use CREATE TABLE … AS SELECT"));
            }
            SetExpr::SetOperation { left, right, .. } => {
                bodies.extend([left.as_ref(), right.as_ref()]);
                continue;
            }
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => continue,
        };
        return Err(refused(&format!("{name} inside a query"), "put WITH behind INSERT INTO … instead of before it"));
    }
    let odd = [
        (!query.locks.is_empty(), "FOR UPDATE"),
        (query.for_clause.is_some(), "a FOR clause"),
        (query.settings.is_some(), "SETTINGS"),
        (query.format_clause.is_some(), "a FORMAT clause"),
        (!query.pipe_operators.is_empty(), "the operator |>"),
    ];
    match odd.iter().find(|(there, _)| *there) {
        Some((_, part)) => Err(refused_part(part)),
        None => Ok(()),
    }
}

fn at(version: TableVersion) -> Result<At> {
    match version {
        TableVersion::VersionAsOf(Expr::Value(value)) => {
            let text = match &value.value {
                Value::Number(text, _) => text.as_str(),
                _ => "",
            };
            text.parse().map(At::Version).map_err(|_| {
                Error::invalid("not a version of a table")
                    .with_object(value.to_string())
                    .with_hint("a version is a whole number, as in VERSION AS OF 3")
            })
        }
        TableVersion::TimestampAsOf(time) | TableVersion::ForSystemTimeAsOf(time) => match literal(&time) {
            Some(text) => parse_time(text).map(At::Timestamp),
            None => Err(Error::invalid("a table's time must be a literal")
                .with_object(time.to_string())
                .with_hint("write TIMESTAMP AS OF '2026-01-31T00:00:00Z'")),
        },
        other => Err(Error::unsupported("this way to name a version is not read")
            .with_object(other.to_string())
            .with_hint("write VERSION AS OF 3 or TIMESTAMP AS OF '2026-01-31T00:00:00Z'")),
    }
}

/// The text of `'…'`, `TIMESTAMP '…'` or `DATE '…'`.
fn literal(expr: &Expr) -> Option<&str> {
    let value = match expr {
        Expr::Value(value) => value,
        Expr::TypedString(typed) => &typed.value,
        _ => return None,
    };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;
    use lake_format::ErrorKind;

    use super::super::text::parse;
    use super::*;

    fn rewritten(text: &str) -> Result<(String, Vec<Named>)> {
        let Statement::Query(mut query) = parse(text)? else { panic!("no query: {text}") };
        let found = find(&mut query)?;
        Ok((query.to_string(), found))
    }

    fn sources(text: &str) -> Vec<String> {
        let (_, found) = rewritten(text).unwrap();
        found
            .iter()
            .map(|named| match &named.source {
                Source::Table(reference) => reference.to_string(),
                Source::File(file) => format!("file {}", file.stem()),
            })
            .collect()
    }

    #[test]
    fn names_in_parts_stay_and_everything_else_gets_an_alias() {
        let of = |text: &str| rewritten(text).unwrap().0;
        assert_eq!(of("SELECT * FROM lake.Bronze.orders o"), "SELECT * FROM lake.Bronze.orders o");
        assert_eq!(of("SELECT * FROM './trips'"), r#"SELECT * FROM "./trips" AS trips"#);
        assert_eq!(of("SELECT * FROM trips"), r#"SELECT * FROM "./trips" AS trips"#);
        assert_eq!(of("SELECT * FROM `s3://b/my-t/` x"), r#"SELECT * FROM "s3://b/my-t/" x"#);
        assert_eq!(of(r#"SELECT * FROM "/a/my-t""#), r#"SELECT * FROM "/a/my-t" AS "my-t""#);
        assert_eq!(of("SELECT * FROM a.b@v3"), r#"SELECT * FROM "a.b@v3" AS b"#);
        assert_eq!(of("SELECT * FROM a.b VERSION AS OF 3 WHERE x"), r#"SELECT * FROM "a.b@v3" AS b WHERE x"#);
        assert_eq!(of(r#"SELECT * FROM "a.b""#), r#"SELECT * FROM "a.b" AS b"#);
        assert_eq!(of("SELECT * FROM t, './t' u"), r#"SELECT * FROM "./t" AS t, "./t'" u"#);
        assert_eq!(of("SELECT * FROM range(3) r"), "SELECT * FROM range(3) r");
    }

    #[test]
    fn versions_come_from_either_place() {
        let midnight = "./t@2026-01-31T00:00:00Z";
        for text in [
            "SELECT * FROM './t' TIMESTAMP AS OF '2026-01-31T00:00:00Z'",
            "SELECT * FROM t TIMESTAMP AS OF '2026-01-31' AS x",
            "SELECT * FROM './t@2026-01-31'",
            "SELECT * FROM \"./t\" FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-31 00:00:00'",
        ] {
            assert_eq!(sources(text)[0].trim_start_matches("./"), midnight.trim_start_matches("./"), "{text}");
        }
        assert_eq!(sources("SELECT * FROM a.b VERSION AS OF 3 JOIN a.b@v3 y USING (k), a.b"), ["a.b@v3", "a.b"]);
        for text in [
            "SELECT * FROM a.b@v3 VERSION AS OF 3",
            "SELECT * FROM a.b VERSION AS OF 1.5",
            "SELECT * FROM a.b TIMESTAMP AS OF now()",
            "SELECT * FROM a.b TIMESTAMP AS OF 'yesterday'",
            "WITH c AS (SELECT 1) SELECT * FROM c VERSION AS OF 1",
        ] {
            assert_eq!(rewritten(text).expect_err(text).kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn names_of_a_with_clause_hide_paths_where_they_are_visible() {
        assert!(sources("WITH t AS (SELECT 1) SELECT * FROM t, T").is_empty());
        assert_eq!(sources("WITH t AS (SELECT * FROM t) SELECT * FROM t"), ["t"]);
        assert_eq!(sources("WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) SELECT * FROM t"), [""; 0]);
        assert_eq!(sources("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b"), ["b"]);
        assert_eq!(sources("SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) x, t"), ["t"]);
        assert_eq!(sources("WITH t AS (SELECT 1) SELECT (SELECT max(a) FROM t) FROM s.t"), ["s.t"]);
        assert_eq!(
            sources(
                "WITH a AS (WITH i AS (SELECT * FROM x) SELECT * FROM i), c AS (SELECT * FROM a, i) SELECT * FROM c"
            ),
            ["x", "i"]
        );
    }

    #[test]
    fn tables_are_found_wherever_they_stand() {
        assert_eq!(
            sources(
                "SELECT (SELECT 1 FROM a.a), x IN (SELECT 1 FROM a.b) FROM a.c WHERE EXISTS (SELECT 1 FROM a.d) UNION SELECT 1 FROM (a.e JOIN a.f ON true)"
            ),
            ["a.a", "a.b", "a.c", "a.d", "a.e", "a.f"]
        );
    }

    #[test]
    fn what_writes_inside_a_query_is_refused() {
        for text in [
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
            "SELECT * INTO t FROM s",
            "SELECT 1 FROM a.b FOR UPDATE",
        ] {
            assert_eq!(rewritten(text).expect_err(text).kind(), ErrorKind::Unsupported, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "SELECT", "FROM", "WITH", "AS", "(", ")", ",", "a", "b.c", "a.b.c", "'x.csv'", "\"./t\"", "@v1",
                    "@2026-01-31", "VERSION AS OF", "TIMESTAMP AS OF", "1", "'s'", "*", "JOIN", "USING", "ON", "WHERE",
                    "UNION", "IN", "EXISTS", "CASE", "WHEN", "THEN", "END", "INSERT INTO", "VALUES", "CREATE TABLE",
                    ";", "[", "]", "::", "INT", "-", "é", "@", ".", "/*", "*/", "--", "\n", "$1", "NOT", "IS NULL",
                    "EXPLAIN", "DESCRIBE", "RECURSIVE", "LATERAL", "NATURAL", "FOR", "OF", "E'\\", "U&'", "`", "\"",
                ]),
                0..25,
            ),
            between in proptest::sample::select(vec!["", " "]),
        ) {
            let text = words.join(between);
            if let Ok(Statement::Query(mut query)) = parse(&text) {
                let _ = find(&mut query);
            }
        }
    }

    #[test]
    fn odd_names_are_refused() {
        for text in [
            "SELECT * FROM a.b.c.d",
            "SELECT * FROM \"a.b\".c",
            "SELECT * FROM a.\"b/c\"",
            "SELECT * FROM a.\"./b\"",
            "SELECT * FROM @v3",
        ] {
            assert_eq!(rewritten(text).expect_err(text).kind(), ErrorKind::Invalid, "{text}");
        }
    }
}
