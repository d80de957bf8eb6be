//! The `lake` commands that do what the quickstart does, as it tells them and as a script.

use std::path::Path;

use super::super::house::{House, SERVER_DIR};
use super::super::model::{OWNER, TableSpec};
use super::super::story::shell;
use super::super::{Args, DEFAULT_DIR, DEFAULT_ROWS};
use crate::context::Context;

/// Where a command line is broken.
const WIDTH: usize = 100;

/// Commands told so far.
#[derive(Debug)]
pub struct Commands {
    /// How a command begins, with what it takes to reach the same catalog.
    lake: String,
    serve: String,
    quickstart: String,
    script: Vec<String>,
}

impl Commands {
    /// None yet.
    pub fn new(args: &Args, house: &House, context: &Context) -> Self {
        let profile = context.settings().profile_name.as_deref();
        let own_server = house.warehouse().is_some();
        let with_profile = || profile.map(|name| format!(" --profile {}", shell(name))).unwrap_or_default();
        let lake = match profile {
            _ if own_server => "lake".to_owned(),
            Some(_) => format!("lake{}", with_profile()),
            None => format!("lake --catalog {}", shell(house.url())),
        };
        let state = shell(&args.dir.join(SERVER_DIR).display().to_string());
        let mut serve = format!("lake{} serve --state {state}", with_profile());
        if let Some(warehouse) = &args.warehouse {
            serve += &format!(" --warehouse {}", shell(warehouse));
        }
        let mut quickstart = match (profile, own_server) {
            (None, true) => "lake quickstart".to_owned(),
            (None, false) => format!("{lake} quickstart"),
            (Some(_), _) => format!("lake{} quickstart", with_profile()),
        };
        if args.rows != DEFAULT_ROWS {
            quickstart += &format!(" --rows {}", args.rows);
        }
        if args.dir != Path::new(DEFAULT_DIR) {
            quickstart += &format!(" --dir {}", quote(&args.dir));
        }
        if let Some(warehouse) = &args.warehouse {
            quickstart += &format!(" --warehouse {}", shell(warehouse));
        }
        Self { lake, serve, quickstart, script: Vec::new() }
    }

    /// The command that starts the server on the same folder.
    pub fn serve(&self) -> &str {
        &self.serve
    }

    /// The command that makes all of it anew.
    pub fn quickstart(&self) -> &str {
        &self.quickstart
    }

    /// A command to be shown only.
    pub fn shown(&self, arguments: &str) -> String {
        format!("{} {arguments}", self.lake)
    }

    /// A command that belongs to the script, as it is shown.
    fn note(&mut self, arguments: &str) -> String {
        self.script.push(format!("lake {arguments}"));
        self.shown(arguments)
    }

    /// `lake create`.
    pub fn create(&mut self, spec: &TableSpec, properties: &[(String, String)], contract: Option<&Path>) -> String {
        let mut parts = vec![format!("create {}", spec.full_name())];
        parts.extend(declaration(spec.columns));
        parts.push(format!("--owner {OWNER}"));
        parts.extend(spec.upstreams.iter().map(|name| format!("--upstream {name}")));
        parts.extend(properties.iter().map(|(key, value)| format!("--property {}", shell(&format!("{key}={value}")))));
        parts.extend(contract.map(|path| format!("--contract {}", quote(path))));
        self.note(&wrap(&parts))
    }

    /// `lake import`.
    pub fn import(&mut self, table: &str, path: &Path) -> String {
        self.note(&format!("import {table} {}", quote(path)))
    }

    /// `lake sql --file`.
    pub fn sql_file(&mut self, path: &Path) -> String {
        self.note(&format!("sql --file {}", quote(path)))
    }

    /// `lake sql --file` of a statement that must be refused.
    pub fn refused_sql_file(&mut self, path: &Path) -> String {
        let command = format!("sql --file {}", quote(path));
        self.script.push(format!("if lake {command}; then echo 'this should have been refused' >&2; exit 1; fi"));
        self.shown(&command)
    }

    /// Any other command that writes, or could.
    pub fn other(&mut self, arguments: &str) -> String {
        self.note(arguments)
    }

    /// All of the script.
    pub fn script(&self) -> String {
        let mut text = "#!/bin/sh\n\
            # Every command that the quickstart shows, for an empty catalog.\n\
            # Set LAKE_CATALOG and LAKE_TOKEN, or LAKE_PROFILE, and run it where the quickstart was run.\n\
            set -eu\n"
            .to_owned();
        for command in &self.script {
            text += command;
            text.push('\n');
        }
        text
    }
}

fn quote(path: &Path) -> String {
    shell(&path.display().to_string())
}

/// `--schema "…"`, in pieces that may stand on lines of their own.
fn declaration(columns: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in columns.char_indices() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            ',' if depth == 0 => {
                pieces.push(columns[start..=at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(columns[start..].trim().to_owned());
    if let Some(first) = pieces.first_mut() {
        *first = format!("--schema \"{first}");
    }
    if let Some(last) = pieces.last_mut() {
        last.push('"');
    }
    pieces
}

/// The parts on as few lines as fit. Inside double quotes, too, a shell joins lines at a backslash.
fn wrap(parts: &[String]) -> String {
    let mut text = String::new();
    let mut width = 0;
    for part in parts {
        if width > 0 && width + part.len() + 1 > WIDTH {
            text += " \\\n";
            width = 0;
        } else if width > 0 {
            text.push(' ');
        }
        text += part;
        width += part.len() + 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::model::TABLES;
    use super::*;

    /// What a shell makes of text in double quotes that is broken at backslashes.
    fn joined(text: &str) -> String {
        text.replace("\\\n", "")
    }

    #[test]
    fn the_broken_line_declares_the_same_columns() {
        use lake_format::schema::parse_declaration;
        for spec in TABLES {
            let text = joined(&wrap(&declaration(spec.columns)));
            let inner = text.strip_prefix("--schema \"").and_then(|text| text.strip_suffix('"')).expect("quoted");
            assert_eq!(parse_declaration(inner).expect("columns"), parse_declaration(spec.columns).expect("columns"));
        }
    }

    #[test]
    fn lines_are_broken_between_parts() {
        let part = "x".repeat(60);
        assert_eq!(wrap(&[part.clone(), part.clone()]), format!("{part} \\\n{part}"));
        assert_eq!(wrap(&["a".to_owned(), "b".to_owned()]), "a b");
    }
}
