//! Text tables: cells in columns, as wide as the terminal allows.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::error::{CliError, printable};

/// Characters that a cell shows at most.
const CELL_CHARS: usize = 2_000;

/// One column's header.
pub struct Header {
    /// Name.
    pub name: String,
    /// Whether its cells are numbers.
    pub number: bool,
}

/// Prints a table.
pub fn print(headers: &[Header], rows: impl Iterator<Item = Vec<String>>, to: &mut impl Write) -> Result<(), CliError> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_FULL_CONDENSED);
    match width() {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(headers.iter().map(|header| spell(&header.name)).collect::<Vec<_>>());
    for row in rows {
        let cells = row.iter().zip(headers).map(|(text, header)| {
            let cell = Cell::new(spell(text));
            if header.number { cell.set_alignment(CellAlignment::Right) } else { cell }
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    for line in table.lines() {
        writeln!(to, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints names and values, one a line.
pub fn print_pairs(pairs: &[(String, String)], to: &mut impl Write) -> Result<(), CliError> {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in pairs {
        let mut lines = value.lines();
        let first = spell(lines.next().unwrap_or_default());
        writeln!(to, "{}", format!("{:<width$}  {first}", spell(name)).trim_end())?;
        for line in lines {
            writeln!(to, "{:<width$}  {}", "", spell(line))?;
        }
    }
    Ok(())
}

/// Columns of the terminal that standard output is; `None` where it is none.
fn width() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (terminal_size::Width(width), _) = terminal_size::terminal_size()?;
    (width >= 20).then_some(width)
}

/// Text on one line: line feeds, other controls and what changes direction are spelled out; long text is cut.
fn spell(text: &str) -> String {
    let mut shown: String = text.chars().take(CELL_CHARS).collect();
    if text.chars().nth(CELL_CHARS).is_some() {
        shown.push('…');
    }
    printable(&shown).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_on_their_line() {
        let headers = [Header { name: "a\nb".into(), number: false }, Header { name: "n".into(), number: true }];
        let rows = vec![vec!["x\ty\u{1b}".to_owned(), "1".to_owned()], vec![String::new(), "22".to_owned()]];
        let mut text = Vec::new();
        print(&headers, rows.into_iter(), &mut text).expect("print");
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.contains("| x\\ty\\u{1b} |  1 |"), "{text}");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(spell(&"x".repeat(CELL_CHARS + 1)).chars().count(), CELL_CHARS + 1);
        assert!(spell(&"x".repeat(CELL_CHARS + 1)).ends_with('…'));
    }

    #[test]
    fn pairs_are_aligned() {
        let pairs = [("a".to_owned(), "1\n2".to_owned()), ("long".to_owned(), String::new())];
        let mut text = Vec::new();
        print_pairs(&pairs, &mut text).expect("print");
        assert_eq!(String::from_utf8(text).expect("text"), "a     1\n      2\nlong\n");
    }
}
