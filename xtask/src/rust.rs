//! What a Rust file says to the checks: which code is test code, which modules it declares, which paths it names.

use std::ops::RangeInclusive;

use crate::lexer::{Kind, Token, tokens};

/// A Rust file, read.
#[derive(Debug)]
pub struct Rust {
    /// The tokens without comments.
    pub code: Vec<Token>,
    /// The comments.
    pub comments: Vec<Token>,
    test_spans: Vec<RangeInclusive<usize>>,
}

/// A `mod name;` declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The module's name.
    pub name: String,
    /// Inline modules around it, outermost first.
    pub scope: Vec<String>,
    /// File named by a `#[path]` attribute.
    pub file: Option<String>,
    /// Whether it is compiled for tests alone.
    pub test: bool,
}

/// A path that the code names, groups opened up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its segments. A glob ends in `*`.
    pub segments: Vec<String>,
    /// The name it gets here: its alias or last segment.
    pub name: String,
    /// Inline modules around it, outermost first.
    pub scope: Vec<String>,
    /// Line of its last segment.
    pub line: usize,
    /// Whether it stands in a `use`.
    pub imported: bool,
    /// Whether it stands in test code.
    pub test: bool,
}

impl Rust {
    /// Reads `text`.
    pub fn read(text: &str) -> Self {
        let (comments, code): (Vec<_>, Vec<_>) = tokens(text).into_iter().partition(|t| t.kind == Kind::Comment);
        let test_spans = test_spans(&code);
        Self { code, comments, test_spans }
    }

    /// Whether the token at `index` of the code belongs to a test.
    pub fn is_test(&self, index: usize) -> bool {
        self.test_spans.iter().any(|span| span.contains(&index))
    }

    /// Lines of the outermost test items, first to last of each.
    pub fn test_lines(&self) -> Vec<RangeInclusive<usize>> {
        let line = |index: usize, end: bool| self.code.get(index).map_or(0, |t| if end { t.end_line } else { t.line });
        self.test_spans.iter().map(|span| line(*span.start(), false)..=line(*span.end(), true)).collect()
    }

    /// The modules declared with `mod name;`.
    pub fn declared(&self) -> Vec<Declared> {
        let mut found = Vec::new();
        self.walk(|at, scope| {
            let [word, name, mark] = self.code.get(at..at + 3).unwrap_or_default() else { return };
            if word.is("mod") && name.kind == Kind::Ident && mark.is_mark(';') {
                found.push(Declared {
                    name: name.text.clone(),
                    scope: scope.to_vec(),
                    file: self.path_attribute(at),
                    test: self.is_test(at),
                });
            }
        });
        found
    }

    /// The paths that the code names: imports, paths of two or more segments, and text that begins with `crate::`.
    pub fn named(&self) -> Vec<Named> {
        let mut found = Vec::new();
        let mut skip_to = 0;
        self.walk(|at, scope| {
            if at < skip_to {
                return;
            }
            let mut reader = PathReader { code: &self.code, at, found: Vec::new() };
            let token = &self.code[at];
            let imported = token.is("use") && !self.code.get(at + 1).is_some_and(|next| next.is_mark('<'));
            if imported {
                reader.at += 1;
                reader.import(&[]);
            } else if token.kind == Kind::Ident {
                reader.plain();
            } else if token.kind == Kind::Text {
                reader.quoted();
            }
            skip_to = reader.at;
            found.extend(reader.found.into_iter().map(|path| Named {
                segments: path.segments,
                name: path.name,
                scope: scope.to_vec(),
                line: path.line,
                imported,
                test: self.is_test(at),
            }));
        });
        found
    }

    /// Calls `visit` for every token with the inline modules around it.
    fn walk(&self, mut visit: impl FnMut(usize, &[String])) {
        let (mut scope, mut depths, mut depth) = (Vec::new(), Vec::new(), 0_usize);
        for (at, token) in self.code.iter().enumerate() {
            if token.is_mark('{') {
                let before = at.checked_sub(2).and_then(|from| self.code.get(from..at));
                if let Some([word, name]) = before
                    && word.is("mod")
                {
                    scope.push(name.text.clone());
                    depths.push(depth);
                }
                depth += 1;
            } else if token.is_mark('}') {
                depth = depth.saturating_sub(1);
                if depths.last() == Some(&depth) {
                    depths.pop();
                    scope.pop();
                }
            }
            visit(at, &scope);
        }
    }

    /// The file in a `#[path = "…"]` right before the declaration at `at`.
    fn path_attribute(&self, at: usize) -> Option<String> {
        let mut end = at;
        while end > 0 && !self.code[end - 1].is_mark(';') && !self.code[end - 1].is_mark('}') {
            end -= 1;
            if self.code[end].is("path") {
                let text = self.code.get(end + 2).filter(|t| t.kind == Kind::Text)?;
                return Some(text.text.trim_matches('"').to_owned());
            }
        }
        None
    }
}

struct Found {
    segments: Vec<String>,
    name: String,
    line: usize,
}

struct PathReader<'a> {
    code: &'a [Token],
    at: usize,
    found: Vec<Found>,
}

impl PathReader<'_> {
    fn mark(&self, mark: char) -> bool {
        self.code.get(self.at).is_some_and(|t| t.is_mark(mark))
    }

    fn separator(&self) -> bool {
        self.mark(':') && self.code.get(self.at + 1).is_some_and(|t| t.is_mark(':'))
    }

    fn ident(&self) -> Option<&Token> {
        self.code.get(self.at).filter(|t| t.kind == Kind::Ident)
    }

    fn push(&mut self, segments: Vec<String>, alias: Option<String>, line: usize) {
        let name = alias.or_else(|| segments.last().cloned()).unwrap_or_default();
        self.found.push(Found { segments, name, line });
    }

    /// One tree of a `use`, after `before`.
    fn import(&mut self, before: &[String]) {
        let mut segments = before.to_vec();
        loop {
            if self.separator() {
                self.at += 2;
            } else if self.mark('{') {
                self.at += 1;
                while self.at < self.code.len() && !self.mark('}') {
                    let from = self.at;
                    self.import(&segments);
                    if self.mark(',') || self.at == from {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            } else if self.mark('*') {
                segments.push("*".to_owned());
                let line = self.code[self.at].line;
                self.at += 1;
                return self.push(segments, None, line);
            } else if let Some(token) = self.ident() {
                let (text, line) = (token.text.clone(), token.line);
                self.at += 1;
                // `a::{self}` names `a`.
                if text != "self" || segments.is_empty() {
                    segments.push(text);
                }
                if !self.separator() {
                    let alias = self.alias();
                    return self.push(segments, alias, line);
                }
            } else {
                return;
            }
        }
    }

    fn alias(&mut self) -> Option<String> {
        if !self.ident()?.is("as") {
            return None;
        }
        self.at += 1;
        let name = self.ident()?.text.clone();
        self.at += 1;
        Some(name)
    }

    /// A path in code. A method or field after a dot is none.
    fn plain(&mut self) {
        let dot = |back: usize| self.at.checked_sub(back).is_some_and(|before| self.code[before].is_mark('.'));
        // `x.a` but not `0..a`.
        let after_dot = dot(1) && !dot(2);
        let mut segments = Vec::new();
        let mut line = 0;
        while let Some(token) = self.ident() {
            line = token.line;
            segments.push(token.text.clone());
            self.at += 1;
            if !(self.separator() && self.code.get(self.at + 2).is_some_and(|t| t.kind == Kind::Ident)) {
                break;
            }
            self.at += 2;
        }
        if segments.len() > 1 && !after_dot {
            self.push(segments, None, line);
        }
    }

    /// A path in text, as attributes of derive macros take it.
    fn quoted(&mut self) {
        let token = &self.code[self.at];
        self.at += 1;
        let path = token.text.trim_matches('"');
        let is_path = path.chars().all(|c| c == ':' || c == '_' || c.is_alphanumeric());
        if is_path && path.strip_prefix("crate::").is_some_and(|rest| !rest.is_empty()) {
            self.push(path.split("::").map(str::to_owned).collect(), None, token.line);
        }
    }
}

/// The outermost items that are compiled for tests alone, as token ranges.
fn test_spans(code: &[Token]) -> Vec<RangeInclusive<usize>> {
    let (mut spans, mut at) = (Vec::new(), 0);
    while at < code.len() {
        let Some((inner, end)) = attribute(code, at) else {
            at += 1;
            continue;
        };
        if !is_test_attribute(&code[at..=end]) {
            at = end + 1;
        } else if inner {
            return vec![RangeInclusive::new(0, code.len() - 1)];
        } else {
            let last = item_end(code, end + 1);
            spans.push(at..=last);
            at = last + 1;
        }
    }
    spans
}

/// Whether an attribute opens at `at`: whether it is an inner one, and the place of its closing bracket.
fn attribute(code: &[Token], at: usize) -> Option<(bool, usize)> {
    if !code.get(at)?.is_mark('#') {
        return None;
    }
    let inner = code.get(at + 1)?.is_mark('!');
    let open = at + 1 + usize::from(inner);
    if !code.get(open)?.is_mark('[') {
        return None;
    }
    let mut depth = 0_usize;
    for (place, token) in code.iter().enumerate().skip(open) {
        if token.is_mark('[') {
            depth += 1;
        } else if token.is_mark(']') {
            depth -= 1;
            if depth == 0 {
                return Some((inner, place));
            }
        }
    }
    None
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]`, `#[any::test]`. Not `cfg(any(test, …))`, not `cfg(not(test))`.
fn is_test_attribute(attribute: &[Token]) -> bool {
    let names: Vec<&str> = attribute.iter().filter(|t| t.kind == Kind::Ident).map(|t| t.text.as_str()).collect();
    if names.first() == Some(&"cfg") {
        return names == ["cfg", "test"]
            || (names.get(1) == Some(&"all") && names.contains(&"test") && !names.contains(&"not"));
    }
    // The path ends where the arguments open.
    let path = attribute.iter().skip(2).take_while(|t| t.kind == Kind::Ident || t.is_mark(':'));
    path.filter(|t| t.kind == Kind::Ident).last().is_some_and(|t| t.text == "test")
}

/// Last token of the item that begins at `at`, attributes before it included.
fn item_end(code: &[Token], mut at: usize) -> usize {
    const OPENERS: [&str; 16] = [
        "pub",
        "fn",
        "mod",
        "use",
        "const",
        "static",
        "struct",
        "enum",
        "trait",
        "impl",
        "type",
        "async",
        "unsafe",
        "extern",
        "macro_rules",
        "let",
    ];
    while let Some((_, end)) = attribute(code, at) {
        at = end + 1;
    }
    // A field, arm or argument ends at a comma, an item does not.
    let is_item = code.get(at).is_some_and(|t| OPENERS.iter().any(|word| t.is(word)));
    let mut depth = 0_usize;
    for (place, token) in code.iter().enumerate().skip(at) {
        match token.text.as_str() {
            _ if token.kind != Kind::Punct => {}
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return place.saturating_sub(1),
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 && token.is_mark('}') && is_item {
                    return place;
                }
            }
            ";" if depth == 0 => return place,
            "," if depth == 0 && !is_item => return place,
            _ => {}
        }
    }
    code.len().saturating_sub(1)
}

#[cfg(test)]
mod tests;
