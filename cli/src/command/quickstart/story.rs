//! How the quickstart tells what it does: headings, sentences, commands and small tables.

use std::fmt::Display;

use crate::args::Format;
use crate::error::{CliError, printable};
use crate::output::Output;

/// What stands in front of everything but a heading.
const INDENT: &str = "   ";

/// Tells on standard output, or on standard error where standard output is for programs.
#[derive(Debug)]
pub struct Story<'a> {
    output: &'a Output,
    chapters: u32,
}

impl<'a> Story<'a> {
    /// Nothing told yet.
    pub fn new(output: &'a Output) -> Self {
        Self { output, chapters: 0 }
    }

    fn tell(&self, text: &str) -> Result<(), CliError> {
        if self.output.is_quiet() {
            return Ok(());
        }
        if self.output.format() == Format::Table {
            return self.output.raw(&printable(&format!("{text}\n")));
        }
        self.output.say(text);
        Ok(())
    }

    /// Begins the next chapter.
    ///
    /// # Errors
    /// Where standard output does not take it; so for everything told.
    pub fn chapter(&mut self, title: impl Display) -> Result<(), CliError> {
        self.chapters += 1;
        self.tell(&format!("\n{:<3}{title}", self.chapters))
    }

    /// One line.
    pub fn line(&self, line: impl Display) -> Result<(), CliError> {
        self.tell(&format!("{INDENT}{line}"))
    }

    /// A command that does the same; its own lines stay apart.
    pub fn command(&self, command: impl Display) -> Result<(), CliError> {
        let command = command.to_string();
        let mut lines = command.lines();
        self.tell(&format!("{INDENT}$ {}", lines.next().unwrap_or_default()))?;
        lines.try_for_each(|line| self.tell(&format!("{INDENT}  {line}")))
    }

    /// A table with its header in the first row. Columns of numbers stand to the right.
    pub fn table<const N: usize>(&self, rows: &[[String; N]]) -> Result<(), CliError> {
        aligned(rows).iter().try_for_each(|line| self.line(line))
    }
}

/// The rows as lines of the same columns.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let body = rows.get(1..).unwrap_or_default();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let is_number = |column: usize| !body.is_empty() && body.iter().all(|row| looks_like_number(&row[column]));
    let columns: [(usize, bool); N] = std::array::from_fn(|column| (width(column), is_number(column)));
    let cell = |(text, (width, right)): (&String, &(usize, bool))| {
        if *right { format!("{text:>width$}") } else { format!("{text:<width$}") }
    };
    let line = |row: &[String; N]| row.iter().zip(&columns).map(cell).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
}

fn looks_like_number(text: &str) -> bool {
    text == "-"
        || (text.ends_with(|c: char| c.is_ascii_digit()) && text.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
            && text.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '-'))
}

/// A whole number with its thousands apart: `100,000`.
pub fn number(value: impl Into<i128>) -> String {
    let value = value.into();
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A word that a POSIX shell reads as `text`.
pub fn shell(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ',' | '=' | '@' | '%' | '+');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let texts = [0, 7, 999, 1_000, 100_000, 1_234_567, -1_000].map(|value: i64| number(value));
        assert_eq!(texts, ["0", "7", "999", "1,000", "100,000", "1,234,567", "-1,000"]);
    }

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["table", "rows", "note"]), row(["customers", "1,000", ""]), row(["orders", "-", "late 3"])];
        assert_eq!(aligned(&rows), ["table       rows  note", "customers  1,000", "orders         -  late 3"]);
    }

    #[test]
    fn a_word_of_the_shell_means_itself() {
        assert_eq!(shell("./a/b-1.csv"), "./a/b-1.csv");
        assert_eq!(shell("my data"), "'my data'");
        assert_eq!(shell("it's"), r"'it'\''s'");
        assert_eq!(shell(""), "''");
    }
}
