//! The rules, one table of cases each.

use std::sync::Arc;

use lake_catalog_api::{Bound, ColumnRule, Contract, Layer};
use lake_format::action::{Action, Add, Metadata, Protocol, Remove};
use lake_format::schema::{parse_declaration, write_schema};
use lake_format::transaction::Marks;

use super::super::head::TableHead;
use super::{Case, UpstreamState, check_contract, judge};

const COLUMNS: &str = "id long not null, price decimal(10,2), at timestamp, name string, day date, \
                       addr struct<city:string,zip:int>, ok boolean, score double, tags array<string>";

fn head(declaration: &str) -> TableHead {
    let schema = parse_declaration(declaration).expect(declaration);
    TableHead {
        version: 3,
        protocol: Protocol { min_reader_version: 1, min_writer_version: 2, ..Protocol::default() },
        metadata: Metadata { id: "x".into(), schema_string: write_schema(&schema), ..Metadata::default() },
        schema: Arc::new(schema),
        marks: Marks { version: 3, timestamp_ms: 0, row_id: -1 },
    }
}

fn add(stats: &str) -> Action {
    Action::Add(Box::new(Add {
        path: "a.parquet".into(),
        data_change: true,
        stats: Some(stats.into()),
        ..Add::default()
    }))
}

fn rule(name: &str) -> ColumnRule {
    ColumnRule { name: name.into(), ..ColumnRule::default() }
}

fn text(value: &str) -> Option<Bound> {
    Some(Bound::Text(value.into()))
}

fn number(value: &str) -> Option<Bound> {
    Some(Bound::Number(serde_json::from_str(value).expect("number")))
}

/// The rules that are broken, as `rule` or `rule:column`.
fn broken(case: &Case<'_>) -> Vec<String> {
    let name = |d: lake_catalog_api::Detail| match d.column {
        Some(column) => format!("{}:{column}", d.rule),
        None => d.rule,
    };
    judge(case).into_iter().map(name).collect()
}

fn judge_silver(rules: &[ColumnRule], before: &TableHead, after: &TableHead, actions: &[Action]) -> Vec<String> {
    let contract = Contract { columns: rules.to_vec() };
    broken(&Case {
        layer: Layer::Silver,
        owner: None,
        contract: Some(&contract),
        upstreams: &[],
        commit_upstreams: &[],
        before,
        after,
        actions,
    })
}

/// LAY-4
#[test]
fn silver_judges_files_by_their_statistics() {
    let not_null = |name: &str| ColumnRule { nullable: Some(false), ..rule(name) };
    let price = || ColumnRule { min: number("0"), max: text("99.99"), ..rule("PRICE") };
    let at = |min: &str, max: &str| ColumnRule { min: text(min), max: text(max), ..rule("at") };
    let head = head(COLUMNS);
    let id = r#""nullCount":{"id":0"#;
    let cases: Vec<(&str, ColumnRule, String, &[&str])> = vec![
        ("proven", not_null("name"), format!(r#"{{"numRecords":2,{id},"name":0}}}}"#), &[]),
        ("nulls", not_null("name"), format!(r#"{{"numRecords":2,{id},"name":1}}}}"#), &["silver.not_null:name"]),
        ("no count", not_null("name"), format!(r#"{{"numRecords":2,{id}}}}}"#), &["silver.not_null:name"]),
        ("schema's own", rule("name"), r#"{"numRecords":2,"nullCount":{"id":2}}"#.into(), &["silver.not_null:id"]),
        ("schema's own, no count", rule("name"), r#"{"numRecords":2}"#.into(), &["silver.not_null:id"]),
        ("nested", not_null("addr.City"), format!(r#"{{"numRecords":2,{id},"addr":{{"city":0}}}}}}"#), &[]),
        (
            "nested nulls",
            not_null("addr.city"),
            format!(r#"{{"numRecords":2,{id},"addr":{{"city":2}}}}}}"#),
            &["silver.not_null:addr.city"],
        ),
        ("no rows", not_null("name"), r#"{"numRecords":0}"#.into(), &[]),
        ("damaged", not_null("name"), "{".into(), &["silver.not_null:id", "silver.not_null:name"]),
        (
            "absurd count",
            not_null("name"),
            format!(r#"{{"numRecords":2,{id},"name":-1}}}}"#),
            &["silver.not_null:name"],
        ),
        (
            "inside",
            price(),
            format!(r#"{{"numRecords":2,{id}}},"minValues":{{"price":0}},"maxValues":{{"price":99.99}}}}"#),
            &[],
        ),
        (
            "below",
            price(),
            format!(r#"{{"numRecords":2,{id}}},"minValues":{{"price":-0.01}},"maxValues":{{"price":9}}}}"#),
            &["silver.range:price"],
        ),
        (
            "above",
            price(),
            format!(r#"{{"numRecords":2,{id}}},"minValues":{{"price":1}},"maxValues":{{"price":100}}}}"#),
            &["silver.range:price"],
        ),
        ("no max", price(), format!(r#"{{"numRecords":2,{id}}},"minValues":{{"price":1}}}}"#), &["silver.range:price"]),
        ("all null", price(), format!(r#"{{"numRecords":2,{id},"price":2}}}}"#), &[]),
        (
            "exact to the millisecond",
            at("2024-01-01T00:00:00Z", "2024-01-31T00:00:00Z"),
            format!(
                r#"{{"numRecords":2,{id}}},"minValues":{{"at":"2024-01-01T00:00:00.000Z"}},"maxValues":{{"at":"2024-01-31T00:00:00.000Z"}}}}"#
            ),
            &[],
        ),
        (
            "cut to the millisecond",
            at("2024-01-01T00:00:00.000500Z", "2024-01-31T00:00:00Z"),
            format!(
                r#"{{"numRecords":2,{id}}},"minValues":{{"at":"2024-01-01T00:00:00.000Z"}},"maxValues":{{"at":"2024-01-02T00:00:00.000Z"}}}}"#
            ),
            &[],
        ),
        (
            "a millisecond late",
            at("2024-01-01T00:00:00Z", "2024-01-31T00:00:00Z"),
            format!(
                r#"{{"numRecords":2,{id}}},"minValues":{{"at":"2024-01-01T00:00:00.000Z"}},"maxValues":{{"at":"2024-01-31T00:00:00.001Z"}}}}"#
            ),
            &["silver.range:at"],
        ),
        (
            "a millisecond early",
            at("2024-01-01T00:00:00Z", "2024-01-31T00:00:00Z"),
            format!(
                r#"{{"numRecords":2,{id}}},"minValues":{{"at":"2023-12-31T23:59:59.999Z"}},"maxValues":{{"at":"2024-01-02T00:00:00.000Z"}}}}"#
            ),
            &["silver.range:at"],
        ),
        (
            "date",
            ColumnRule { min: text("2024-01-01"), ..rule("day") },
            format!(
                r#"{{"numRecords":2,{id}}},"minValues":{{"day":"2023-12-31"}},"maxValues":{{"day":"2024-02-01"}}}}"#
            ),
            &["silver.range:day"],
        ),
        (
            "text",
            ColumnRule { min: text("a"), max: text("m"), ..rule("name") },
            format!(r#"{{"numRecords":2,{id}}},"minValues":{{"name":"b"}},"maxValues":{{"name":"z"}}}}"#),
            &["silver.range:name"],
        ),
        (
            "not a number",
            ColumnRule { max: number("1.5"), ..rule("score") },
            format!(r#"{{"numRecords":2,{id}}},"minValues":{{"score":"NaN"}},"maxValues":{{"score":"NaN"}}}}"#),
            &["silver.range:score"],
        ),
    ];
    for (what, rule, stats, wanted) in cases {
        assert_eq!(judge_silver(&[rule], &head, &head, &[add(&stats)]), wanted, "{what}");
    }
}

/// LAY-1
#[test]
fn silver_lists_every_broken_rule_once_per_column() {
    let head = head(COLUMNS);
    let rules = [
        ColumnRule { nullable: Some(false), ..rule("name") },
        ColumnRule { min: number("0"), nullable: Some(false), ..rule("price") },
    ];
    let bad = r#"{"numRecords":2,"nullCount":{"id":1,"name":1,"price":0},"minValues":{"price":-1}}"#;
    let contract = Contract { columns: rules.to_vec() };
    let details = judge(&Case {
        layer: Layer::Silver,
        owner: None,
        contract: Some(&contract),
        upstreams: &[],
        commit_upstreams: &[],
        before: &head,
        after: &head,
        actions: &[add(bad), add(bad), add(r#"{"numRecords":0}"#)],
    });
    let names: Vec<_> = details.iter().map(|d| (d.rule.as_str(), d.column.as_deref())).collect();
    let wanted = [("silver.not_null", Some("id")), ("silver.not_null", Some("name")), ("silver.range", Some("price"))];
    assert_eq!(names, wanted);
    assert!(details[2].message.starts_with("2 of 3 new data file(s): a value may be as low as -1"), "{details:?}");
}

/// LAY-2
#[test]
fn rows_that_were_there_are_not_judged_again() {
    let head = head(COLUMNS);
    let compacted = Action::Add(Box::new(Add { path: "c".into(), data_change: false, ..Add::default() }));
    let left = Action::Remove(Box::new(Remove { path: "a".into(), data_change: false, ..Remove::default() }));
    let rules = [ColumnRule { nullable: Some(false), min: number("0"), ..rule("price") }];
    assert!(judge_silver(&rules, &head, &head, &[compacted.clone(), left.clone()]).is_empty());
    let case = Case {
        layer: Layer::Bronze,
        owner: None,
        contract: None,
        upstreams: &[],
        commit_upstreams: &[],
        before: &head,
        after: &head,
        actions: &[compacted, left],
    };
    assert!(judge(&case).is_empty());
    assert!(judge(&Case { layer: Layer::Gold, ..case }).is_empty());
}

#[test]
fn partition_values_are_judged_exactly() {
    let mut head = head("day date, region string, v long");
    head.metadata.partition_columns = vec!["day".into(), "region".into()];
    let file = |day: Option<&str>, region: Option<&str>| {
        let mut add = Add { path: "p".into(), data_change: true, ..Add::default() };
        add.stats = Some(r#"{"numRecords":1}"#.into());
        add.partition_values.insert("day".into(), day.map(Into::into));
        add.partition_values.insert("region".into(), region.map(Into::into));
        Action::Add(Box::new(add))
    };
    let rules = [
        ColumnRule { min: text("2024-01-01"), max: text("2024-12-31"), ..rule("day") },
        ColumnRule { nullable: Some(false), ..rule("region") },
    ];
    let cases: [(Action, &[&str]); 6] = [
        (file(Some("2024-01-01"), Some("eu")), &[]),
        (file(None, Some("eu")), &[]),
        (file(Some("2025-01-01"), Some("eu")), &["silver.range:day"]),
        (file(Some("2024-05-05"), None), &["silver.not_null:region"]),
        (file(Some("2024-05-05"), Some("")), &["silver.not_null:region"]),
        (file(Some("soon"), Some("eu")), &["silver.range:day"]),
    ];
    for (action, wanted) in cases {
        assert_eq!(judge_silver(&rules, &head, &head, std::slice::from_ref(&action)), wanted, "{action:?}");
    }
}

#[test]
fn columns_keep_what_their_layer_asks() {
    let cases: [(&str, &str, &[&str], &[&str]); 10] = [
        ("a int, b string", "b string, a int, c long", &[], &[]),
        ("a int, b string", "A int", &["bronze.columns:b"], &["silver.types:b"]),
        ("a int", "a long", &["bronze.columns:a"], &["silver.types:a"]),
        ("a long", "a int", &["bronze.columns:a"], &["silver.types:a"]),
        ("a long", "a string", &["bronze.columns:a"], &["silver.types:a"]),
        ("a long not null", "a long", &[], &["silver.types:a"]),
        ("s struct<x:int,y:int>", "s struct<x:int,y:int,z:int>", &[], &[]),
        ("s struct<x:int,y:int>", "s struct<x:int>", &["bronze.columns:s.y"], &["silver.types:s.y"]),
        (
            "m map<string,array<int>>",
            "m map<string,array<string>>",
            &["bronze.columns:m.value.element"],
            &["silver.types:m.value.element"],
        ),
        ("s struct<x:int>", "s string", &["bronze.columns:s"], &["silver.types:s"]),
    ];
    for (before, after, bronze, silver) in cases {
        let (before, after) = (head(before), head(after));
        let case = Case {
            layer: Layer::Bronze,
            owner: None,
            contract: None,
            upstreams: &[],
            commit_upstreams: &[],
            before: &before,
            after: &after,
            actions: &[],
        };
        assert_eq!(broken(&case), bronze, "bronze {before:?} -> {after:?}");
        assert_eq!(broken(&Case { layer: Layer::Silver, ..case }), silver, "silver {before:?} -> {after:?}");
    }
    let typed = ColumnRule { data_type: Some("int".into()), ..rule("a") };
    assert_eq!(judge_silver(&[typed], &head("a int"), &head("a long"), &[]), ["silver.types:a"], "told once");
}

/// LAY-3
#[test]
fn bronze_only_grows() {
    let before = head("a int");
    let remove = |data_change| Action::Remove(Box::new(Remove { path: "a".into(), data_change, ..Remove::default() }));
    let mut repartitioned = before.clone();
    repartitioned.metadata.partition_columns = vec!["a".into()];
    let cases: [(&TableHead, Vec<Action>, &[&str]); 4] = [
        (&before, vec![add("{}")], &[]),
        (&before, vec![remove(false)], &[]),
        (&before, vec![add("{}"), remove(true)], &["bronze.append_only"]),
        (&repartitioned, vec![], &["table.partition_columns"]),
    ];
    for (after, actions, wanted) in cases {
        let case = Case {
            layer: Layer::Bronze,
            owner: None,
            contract: None,
            upstreams: &[],
            commit_upstreams: &[],
            before: &before,
            after,
            actions: &actions,
        };
        assert_eq!(broken(&case), wanted, "{actions:?}");
    }
    let mut protected = before.clone();
    protected.metadata.configuration.insert("delta.appendOnly".into(), "TRUE".into());
    let case = Case {
        layer: Layer::None,
        owner: None,
        contract: None,
        upstreams: &[],
        commit_upstreams: &[],
        before: &protected,
        after: &protected,
        actions: &[remove(true)],
    };
    assert_eq!(broken(&case), ["table.append_only"], "in every layer");
}

/// LAY-6
#[test]
fn partition_columns_stay_in_every_layer() {
    let before = head("a int, b int");
    let mut after = before.clone();
    after.metadata.partition_columns = vec!["a".into()];
    for layer in [Layer::None, Layer::Bronze, Layer::Silver, Layer::Gold] {
        let case = Case {
            layer,
            owner: Some("ann"),
            contract: None,
            upstreams: &[],
            commit_upstreams: &[],
            before: &before,
            after: &after,
            actions: &[],
        };
        assert_eq!(broken(&case), ["table.partition_columns"], "{layer:?}");
        assert_eq!(broken(&Case { after: &before, ..case }), [""; 0], "{layer:?}");
    }
}

/// LAY-5
#[test]
fn gold_has_an_owner_and_known_upstreams() {
    let head = head("a int");
    let state = |name: &str, layer| UpstreamState { name: name.into(), layer };
    let good = [state("lake.silver.s", Some(Layer::Silver)), state("lake.x.y", Some(Layer::None))];
    let raw = [state("lake.bronze.b", Some(Layer::Bronze))];
    let gone = [state("lake.silver.gone", None)];
    let data = [add("{}")];
    let gold = |owner, upstreams, commit_upstreams, actions| {
        broken(&Case {
            layer: Layer::Gold,
            owner,
            contract: None,
            upstreams,
            commit_upstreams,
            before: &head,
            after: &head,
            actions,
        })
    };
    assert!(gold(Some("ann"), &good, &[], &data).is_empty());
    assert!(gold(None, &[], &[], &[]).is_empty(), "a commit without rows needs neither");
    assert_eq!(gold(None, &[], &[], &data), ["gold.owner", "gold.upstreams"]);
    assert_eq!(gold(Some(" "), &good, &[], &data), ["gold.owner"]);
    assert_eq!(gold(Some("ann"), &raw, &[], &data), ["gold.upstreams"]);
    assert_eq!(gold(Some("ann"), &gone, &[], &data), ["gold.upstreams"]);
    assert_eq!(gold(Some("ann"), &good, &raw, &data), ["gold.upstreams"], "what the commit names counts as well");
    let remove = [Action::Remove(Box::new(Remove { path: "a".into(), data_change: true, ..Remove::default() }))];
    assert_eq!(gold(None, &good, &[], &remove), ["gold.owner"]);
}

#[test]
fn a_contract_must_suit_the_columns() {
    let head = head(COLUMNS);
    let cases: [(ColumnRule, Option<&str>); 16] = [
        (ColumnRule { data_type: Some("decimal(10, 2)".into()), ..rule("price") }, None),
        (ColumnRule { data_type: Some("BIGINT".into()), ..rule("ID") }, None),
        (ColumnRule { data_type: Some("array<string>".into()), ..rule("tags") }, None),
        (rule("addr.zip"), None),
        (rule("nope"), Some("no such column")),
        (rule("addr.nope"), Some("no such column")),
        (rule("id.x"), Some("no such column")),
        (ColumnRule { data_type: Some("int".into()), ..rule("id") }, Some("its type is long")),
        (ColumnRule { data_type: Some("quux".into()), ..rule("id") }, Some("is not a type")),
        (ColumnRule { data_type: Some("long, d string".into()), ..rule("id") }, Some("more than one")),
        (ColumnRule { data_type: Some("long not null".into()), ..rule("id") }, Some("nullable = false")),
        (ColumnRule { min: text("x"), ..rule("id") }, Some("no value of type long")),
        (ColumnRule { min: text(""), ..rule("name") }, Some("no value of type string")),
        (ColumnRule { min: number("2"), max: number("1"), ..rule("id") }, Some("above max")),
        (ColumnRule { max: number("1"), ..rule("ok") }, Some("no statistics")),
        (ColumnRule { nullable: Some(false), ..rule("tags") }, Some("can't be judged")),
    ];
    for (rule, wanted) in cases {
        let problems = check_contract(std::slice::from_ref(&rule), &head.schema);
        match wanted {
            None => assert!(problems.is_empty(), "{rule:?}: {problems:?}"),
            Some(words) => {
                assert_eq!(problems.len(), 1, "{rule:?}: {problems:?}");
                assert!(problems[0].message.contains(words), "{problems:?}");
            }
        }
    }
    let twice = check_contract(&[rule("addr.zip"), rule("ADDR.ZIP")], &head.schema);
    assert!(twice[0].message.contains("two rules"), "{twice:?}");
}
