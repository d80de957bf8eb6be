//! What a table asks of the values of new rows, in SQL: constraints, invariants, generated columns, defaults.

use serde_json::Value;

use super::gate::is_supported;
use super::properties::TableProperties;
use crate::action::Protocol;
use crate::error::{Error, Result};
use crate::schema::{DataType, StructField, StructType};

const INVARIANTS: &str = "delta.invariants";
const GENERATED: &str = "delta.generationExpression";
const DEFAULT: &str = "CURRENT_DEFAULT";

/// A condition that every new row must meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is called, for messages: the name of a constraint, or of the column whose invariant it is.
    pub name: String,
    /// SQL over the table's columns.
    pub expression: String,
}

/// A top-level column whose values come from an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedColumn {
    /// Name, as the table spells it.
    pub column: String,
    /// SQL: over the table's columns for a generated column, a constant for a default.
    pub expression: String,
}

/// All that a table asks of the values of new rows (RUL-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// CHECK constraints, then invariants.
    pub conditions: Vec<Rule>,
    /// Columns computed from others.
    pub generated: Vec<GeneratedColumn>,
    /// Columns that an input may leave out.
    pub defaults: Vec<GeneratedColumn>,
    /// Identity columns by name: never written.
    pub identity: Vec<String>,
}

impl Rules {
    /// Every rule that schema and properties hold, whatever the protocol lists.
    pub fn of(schema: &StructType, properties: &TableProperties) -> Self {
        Self::counted(schema, properties, &|_| true)
    }

    /// The rules in force. With writer version 7 a rule counts only if its feature is listed; below, all count.
    pub fn in_force(protocol: &Protocol, schema: &StructType, properties: &TableProperties) -> Self {
        let named = protocol.writer_features.is_some() && protocol.min_writer_version >= 7;
        Self::counted(schema, properties, &|feature| !named || is_supported(protocol, feature))
    }

    fn counted(schema: &StructType, properties: &TableProperties, counts: &dyn Fn(&str) -> bool) -> Self {
        let mut rules = Self::default();
        if counts("checkConstraints") {
            rules.conditions.extend(properties.check_constraints.iter().map(|(name, expression)| Rule {
                name: format!("the CHECK constraint {name:?}"),
                expression: expression.clone(),
            }));
        }
        if counts("invariants") {
            schema.fields.iter().for_each(|field| invariants(field, &field.name, &mut rules.conditions));
        }
        for field in &schema.fields {
            let text = |key: &str| field.metadata.get(key).and_then(Value::as_str);
            let made =
                |expression: &str| GeneratedColumn { column: field.name.clone(), expression: expression.to_owned() };
            rules.generated.extend(text(GENERATED).filter(|_| counts("generatedColumns")).map(made));
            rules.defaults.extend(text(DEFAULT).filter(|_| counts("allowColumnDefaults")).map(made));
            let is_identity = field.metadata.keys().any(|key| key.starts_with("delta.identity."));
            if is_identity && counts("identityColumns") {
                rules.identity.push(field.name.clone());
            }
        }
        rules
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses to write rows that nobody can judge (RUL-2).
    ///
    /// # Errors
    /// `Unsupported` naming the rule and its expression.
    pub fn check_enforceable(&self, has_evaluator: bool) -> Result<()> {
        let refused = |what: String| {
            Err(Error::unsupported(what)
                .with_hint("nothing was changed; write through an engine that evaluates SQL expressions"))
        };
        if let Some(column) = self.identity.first() {
            return refused(format!(
                "{column:?} is an identity column (table feature \"identityColumns\"), which Lake does not number"
            ));
        }
        if has_evaluator {
            return Ok(());
        }
        if let Some(Rule { name, expression }) = self.conditions.first() {
            return refused(format!(
                "new rows must meet {name}, {expression}, and no evaluator was given to check them"
            ));
        }
        if let Some(GeneratedColumn { column, expression }) = self.generated.first() {
            return refused(format!(
                "the column {column:?} is generated as {expression}, and no evaluator was given to compute it"
            ));
        }
        if let Some(GeneratedColumn { column, expression }) = self.defaults.first() {
            return refused(format!(
                "the column {column:?} has the default {expression}, and no evaluator was given to compute it"
            ));
        }
        Ok(())
    }

    /// The first rule whose expression speaks of the column at `path`, as a phrase. Names in the text are compared
    /// without a parser, so a rule may be suspected that only has a word in common.
    pub fn that_mentions(&self, path: &[String]) -> Option<String> {
        let condition = self.conditions.iter().find(|rule| mentions(&rule.expression, path));
        if let Some(Rule { name, expression }) = condition {
            return Some(format!("{name}, {expression}"));
        }
        let generated = self.generated.iter().find(|made| mentions(&made.expression, path));
        generated.map(|made| format!("the generated column {:?}, {}", made.column, made.expression))
    }
}

fn invariants(field: &StructField, path: &str, found: &mut Vec<Rule>) {
    if let Some(value) = field.metadata.get(INVARIANTS) {
        // As text that holds JSON, mostly.
        let parsed = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let object = parsed.as_ref().unwrap_or(value);
        let expression = object.pointer("/expression/expression").and_then(Value::as_str);
        let expression = expression.map_or_else(|| object.to_string(), str::to_owned);
        found.push(Rule { name: format!("the invariant of the column {path:?}"), expression });
    }
    invariants_inside(&field.data_type, path, found);
}

fn invariants_inside(data_type: &DataType, path: &str, found: &mut Vec<Rule>) {
    match data_type {
        DataType::Struct(inner) => {
            inner.fields.iter().for_each(|field| invariants(field, &format!("{path}.{}", field.name), found));
        }
        DataType::Array(array) => invariants_inside(&array.element_type, &format!("{path}.element"), found),
        DataType::Map(map) => {
            invariants_inside(&map.key_type, &format!("{path}.key"), found);
            invariants_inside(&map.value_type, &format!("{path}.value"), found);
        }
        DataType::Primitive(_) | DataType::Variant | DataType::Void => {}
    }
}

/// Whether every name of `path` is a word of `expression`.
fn mentions(expression: &str, path: &[String]) -> bool {
    let lower = expression.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    path.iter().all(|name| {
        let name = name.to_lowercase();
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if plain { words.contains(&name.as_str()) } else { lower.contains(&name) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::schema::PrimitiveType;

    fn field(name: &str, key: &str, value: Value) -> StructField {
        let mut field = StructField::new(name, DataType::Primitive(PrimitiveType::Long), true);
        field.metadata.insert(key.to_owned(), value);
        field
    }

    fn protocol(writer: i32, features: Option<&[&str]>) -> Protocol {
        let features = features.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        Protocol { min_reader_version: 1, min_writer_version: writer, writer_features: features, ..Protocol::default() }
    }

    #[test]
    fn a_rule_counts_below_version_7_and_where_it_is_listed() {
        let invariant = serde_json::json!("{\"expression\":{\"expression\":\"n > 3\"}}");
        let inner = DataType::Struct(StructType::new(vec![field("n", INVARIANTS, invariant)]));
        let schema = StructType::new(vec![
            StructField::new("s", inner, true),
            field("g", GENERATED, "s.n + 1".into()),
            field("d", DEFAULT, "7".into()),
        ]);
        let mut properties = TableProperties::default();
        properties.check_constraints.insert("pos".into(), "g > 0".into());
        let all = Rules::of(&schema, &properties);
        assert_eq!((all.conditions.len(), all.generated.len(), all.defaults.len()), (2, 1, 1), "RUL-1");
        assert_eq!(all.conditions[1].expression, "n > 3");
        assert_eq!(Rules::in_force(&protocol(1, None), &schema, &properties), all);
        assert!(Rules::in_force(&protocol(7, Some(&[])), &schema, &properties).is_empty());
        let listed = Rules::in_force(&protocol(7, Some(&["checkConstraints"])), &schema, &properties);
        assert_eq!((listed.conditions.len(), listed.generated.len()), (1, 0));

        let error = all.check_enforceable(false).expect_err("RUL-2");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("pos") && error.message().contains("g > 0"), "{error}");
        all.check_enforceable(true).expect("an evaluator");
        let identity = Rules { identity: vec!["id".into()], ..Rules::default() };
        assert!(identity.check_enforceable(true).expect_err("RUL-2").message().contains("identityColumns"));
    }

    #[test]
    fn a_column_is_found_in_the_rules_that_speak_of_it() {
        let rules = Rules {
            conditions: vec![Rule { name: "c".into(), expression: "`Total Price` > 0 AND s.x < 3".into() }],
            ..Rules::default()
        };
        let path = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        for named in [&["total price"][..], &["S"], &["s", "x"]] {
            assert!(rules.that_mentions(&path(named)).is_some(), "{named:?}");
        }
        for other in [&["tot"][..], &["s", "y"], &["xs"]] {
            assert!(rules.that_mentions(&path(other)).is_none(), "{other:?}");
        }
    }
}
