//! Lines read in place say what the full parser says, to the letter.

use proptest::prelude::*;

use super::*;
use crate::action::columnar::{FileBatch, FileKind};

/// Decisions, one after the other.
struct Tape<'a>(std::slice::Iter<'a, u32>);

impl Tape<'_> {
    fn below(&mut self, most: usize) -> usize {
        self.0.next().map_or(0, |&n| n as usize % most)
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == odds - 1
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }
}

const TEXTS: &[&str] = &[
    r#""a.parquet""#,
    r#""part=é/ü ö.parquet""#,
    r#""a%20b%2520c""#,
    r#""""#,
    r#""file:///x/y""#,
    r#""a\"b\\c\/d\n\t\r\b\f""#,
    r#""\u00e9\ud83d\ude00""#,
    r#""\ud800""#,
    r#""\x""#,
    r#""\u12""#,
    "\"a\tb\"",
    "\"\u{7f}\u{1F600}\"",
    "null",
    "7",
    "[]",
    "{}",
    "\"open",
];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "-0",
    "00",
    "01",
    "-01",
    "123456789012345678",
    "999999999999999999",
    "1234567890123456789",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "99999999999999999999999",
    "2147483648",
    "1.0",
    "1e3",
    "1E0",
    ".5",
    "-",
    "+1",
    "1 ",
    "\"1\"",
    "null",
    "true",
    "NaN",
    "0x1",
    "1_0",
];
const STATS: &[&str] = &[
    r#""{\"numRecords\":3,\"minValues\":{\"a\":\"x\\\"y\"},\"maxValues\":{},\"nullCount\":{\"a\":0}}""#,
    r#""{\"numRecords\":3,\"minValues\":{\"a\":\"é\"}}""#,
    r#""{\"numRecords\":3}""#,
    r#""{\"a\":\"\\u0041\"}""#,
    r#""\u007b\"numRecords\":3}""#,
    r#""{\"a\\":1}""#,
    r#""no JSON""#,
    r#""""#,
    "null",
    "{\"numRecords\":3}",
    "\"{\\\"a\\\":1",
];

fn map(tape: &mut Tape<'_>) -> String {
    if tape.one_in(8) {
        return tape.pick(&["null", "[]", "7", "{", "{}", r#"{"a":{"b":"c"}}"#, r#"{"a":1}"#, r#"{"a"}"#]).to_owned();
    }
    let names = [r#""a""#, r#""b""#, r#""part""#, r#""é""#, r#""a""#, r#""a\u0041""#];
    let members: Vec<String> = (0..tape.below(4))
        .map(|_| format!("{}{}:{}{}", tape.pick(&names), space(tape), space(tape), text(tape)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn text(tape: &mut Tape<'_>) -> &'static str {
    let plain = tape.below(4) > 0;
    tape.pick(if plain { &TEXTS[..3] } else { TEXTS })
}

fn number(tape: &mut Tape<'_>) -> &'static str {
    let plain = tape.below(6) > 0;
    tape.pick(if plain { &NUMBERS[..3] } else { NUMBERS })
}

fn flag(tape: &mut Tape<'_>) -> &'static str {
    let plain = tape.below(6) > 0;
    tape.pick(if plain { &["true", "false"] } else { &["null", "1", "\"true\"", "True", "tru", "truex"] })
}

fn vector(tape: &mut Tape<'_>) -> String {
    if tape.one_in(8) {
        return tape.pick(&["null", "{}", "[]", "\"u\"", r#"["u","x",1,2,3]"#]).to_owned();
    }
    let mut fields = vec![
        format!("\"storageType\":{}", tape.pick(&["\"u\"", "\"i\"", "\"p\"", "null", "7"])),
        format!("\"pathOrInlineDv\":{}", tape.pick(&["\"ab^-aqEH.-t@S}K{vb[*k^\"", "\"\"", "\"a\\\"\"", "null"])),
        format!("\"sizeInBytes\":{}", number(tape)),
        format!("\"cardinality\":{}", number(tape)),
    ];
    if tape.one_in(2) {
        fields.push(format!("\"offset\":{}", number(tape)));
    }
    shuffled(tape, fields)
}

fn space(tape: &mut Tape<'_>) -> &'static str {
    let plain = tape.below(4) > 0;
    if plain { "" } else { tape.pick(&[" ", "  ", "\t", "\r", " \r "]) }
}

/// An object of these members, some given twice, left out or strange.
fn shuffled(tape: &mut Tape<'_>, mut fields: Vec<String>) -> String {
    if tape.one_in(12) {
        fields.push(
            tape.pick(&["\"new\":[{\"a\":[1,2]}]", "\"stats\":null", "\"size\":5", "\"x\"", "", "3:4"]).to_owned(),
        );
    }
    if tape.one_in(12) {
        let again = fields[tape.below(fields.len())].clone();
        fields.push(again);
    }
    if tape.one_in(10) {
        fields.remove(tape.below(fields.len()));
    }
    for at in (1..fields.len()).rev() {
        let other = if tape.one_in(2) { tape.below(at + 1) } else { at };
        fields.swap(at, other);
    }
    let comma = format!("{},{}", space(tape), space(tape));
    format!("{{{}{}{}}}", space(tape), fields.join(&comma), space(tape))
}

fn line(tape: &mut Tape<'_>) -> Vec<u8> {
    let kind = tape.pick(&["add", "remove", "add", "remove", "add", "cdc", "Add", "zzz"]);
    let mut fields = vec![
        format!("\"path\":{}", text(tape)),
        format!("\"partitionValues\":{}", map(tape)),
        format!("\"size\":{}", number(tape)),
        format!("\"dataChange\":{}", flag(tape)),
    ];
    let others = [
        "stats",
        "tags",
        "deletionVector",
        "baseRowId",
        "defaultRowCommitVersion",
        "clusteringProvider",
        "modificationTime",
        "deletionTimestamp",
        "extendedFileMetadata",
    ];
    for name in others {
        if tape.one_in(2) {
            let value = match name {
                "stats" => tape.pick(STATS).to_owned(),
                "tags" => map(tape),
                "deletionVector" => vector(tape),
                "clusteringProvider" => text(tape).to_owned(),
                "extendedFileMetadata" => flag(tape).to_owned(),
                _ => number(tape).to_owned(),
            };
            fields.push(format!("\"{name}\"{}:{}{value}", space(tape), space(tape)));
        }
    }
    let object = shuffled(tape, fields);
    let outer = tape.pick(&["", "", "", "", "", ",\"txn\":null", ",\"add\":{\"path\":\"x\",\"size\":1}", ","]);
    let mut line = format!("{}{{\"{kind}\":{}{object}{outer}}}{}", space(tape), space(tape), space(tape)).into_bytes();
    if tape.one_in(16) {
        line.truncate(tape.below(line.len() + 1));
    }
    if tape.one_in(16) {
        let at = tape.below(line.len() + 1);
        let odd: &[u8] =
            [&b"\xff"[..], b"\xc3", b"\0", b"\\", b"\"", b"{", b"}", b",", b" ", b"\xe2\x82"][tape.below(10)];
        line.splice(at..at, odd.iter().copied());
    }
    line
}

/// Everything that the columns hold, row by row, and in which order files are named.
fn rows(changes: &Changes, with_stats: bool) -> (Vec<crate::action::Add>, Vec<crate::action::Remove>) {
    let of = |batches: &[FileBatch]| -> Vec<(FileBatch, usize)> {
        batches.iter().flat_map(|batch| (0..batch.len()).map(|row| (batch.clone(), row))).collect()
    };
    let add = |(batch, row): (FileBatch, usize)| if with_stats { batch.add(row) } else { batch.add_without_stats(row) };
    let adds = of(changes.adds()).into_iter().map(add).collect();
    (adds, of(changes.removes()).into_iter().map(|(batch, row)| batch.remove(row)).collect())
}

fn judge(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parse = |files| {
        let mut whole = Whole::new(7);
        let part = whole.take(parse_part(bytes, files, &Home::default()).expect("columns")).and_then(|part| {
            whole.finish()?;
            Ok(part)
        });
        part.map_err(|error| format!("{error:?}"))
    };
    let full = parse(FileLines::Actions);
    for (files, with_stats) in [(FileLines::WithStats, true), (FileLines::Bare, false)] {
        match (&full, parse(files)) {
            (Err(wanted), Err(found)) => prop_assert_eq!(wanted, &found),
            (Ok(wanted), Ok(found)) => {
                let columns = Changes::of(&wanted.actions, &Home::default()).expect("columns");
                prop_assert_eq!(rows(&columns, with_stats), rows(&found.changes, with_stats));
                prop_assert_eq!(columns.keys(), found.changes.keys());
                prop_assert_eq!(columns.tally(), found.changes.tally());
                let others = |action: &&Action| !matches!(action, Action::Add(_) | Action::Remove(_));
                let others: Vec<&Action> = wanted.actions.iter().filter(others).collect();
                prop_assert_eq!(others, found.actions.iter().collect::<Vec<_>>());
            }
            (full, found) => prop_assert!(false, "{full:?}\nin place: {found:?}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 3_000 } else { 30_000 }))]
    /// LOG-2: whatever a line is, reading it in place gives the columns, or the error, of the full parser.
    #[test]
    fn lines_in_place_are_what_the_full_parser_makes_of_them(tape in prop::collection::vec(any::<u32>(), 1..400)) {
        let mut tape = Tape(tape.iter());
        let mut bytes = Vec::new();
        for _ in 0..=tape.below(4) {
            bytes.extend(line(&mut tape));
            bytes.extend(tape.pick(&["\n", "\n", "\r\n", "\n\n", " \n"]).as_bytes());
        }
        judge(&bytes)?;
    }
}

#[test]
fn what_writers_write_is_read_in_place() {
    let plain = [
        r#"{"add":{"path":"a","partitionValues":{"p":"1","b":null},"size":1,"modificationTime":2,"dataChange":true,"stats":"{\"numRecords\":1}","tags":null,"deletionVector":null,"baseRowId":0,"defaultRowCommitVersion":1,"clusteringProvider":null}}"#,
        r#"{"add": {"path": "a", "partitionValues": {}, "size": 1, "modificationTime": 2, "dataChange": false, "tags": {"k": "v"}, "deletionVector": {"storageType": "u", "pathOrInlineDv": "x", "offset": 1, "sizeInBytes": 34, "cardinality": 2}}}"#,
        r#"{"remove":{"path":"a","deletionTimestamp":1,"dataChange":true,"extendedFileMetadata":true,"partitionValues":{"p":"1"},"size":1,"stats":"{}","tags":{}}}"#,
    ];
    for line in plain {
        let home = Home::default();
        let mut columns = ChangesBuilder::new(&home, true, line.len());
        assert!(columns.line(line.as_bytes()).expect("columns"), "{line}");
        judge(line.as_bytes()).expect("the same");
    }
}

#[test]
fn a_batch_is_closed_before_its_text_is_too_long() {
    let long = "x".repeat(3 << 20);
    let line = |n| format!("{{\"add\":{{\"path\":\"{n}{long}\",\"size\":1,\"stats\":\"{long}\"}}}}\n");
    let bytes: String = (0..8).map(line).collect();
    let part = parse_part(bytes.as_bytes(), FileLines::WithStats, &Home::default()).expect("columns").part;
    assert_eq!(part.changes.adds().iter().map(FileBatch::len).collect::<Vec<_>>(), [3, 3, 2]);
    let kinds = part.changes.keys().iter().map(|(_, kind)| *kind);
    assert!(kinds.eq([FileKind::Add; 8]));
}
