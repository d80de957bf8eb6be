//! What the tokens of a Rust file are: enough of the grammar to tell code from comments and text.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or keyword. Raw names come without `r#`.
    Ident,
    /// One punctuation character.
    Punct,
    /// Text in quotes of any form, with its quotes.
    Text,
    /// A character or byte in single quotes.
    Char,
    /// A number.
    Number,
    /// A lifetime or label, with its quote.
    Lifetime,
    /// A comment of any form, with its marks.
    Comment,
}

/// One token of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its characters, for a raw name without the prefix.
    pub text: String,
    /// Line it starts on, from 1.
    pub line: usize,
    /// Line it ends on, from 1.
    pub end_line: usize,
}

impl Token {
    /// Whether this is the name or keyword `name`.
    pub fn is(&self, name: &str) -> bool {
        self.kind == Kind::Ident && self.text == name
    }

    /// Whether this is the punctuation character `mark`.
    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Punct && self.text.starts_with(mark)
    }
}

/// The tokens of `source`, in order. Never fails: an unclosed comment or text runs to the end of the file.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: source.chars().collect(), at: 0, line: 1, found: Vec::new() };
    while lexer.step() {}
    lexer.found
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.at += 1;
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    fn bump_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&keep) {
            self.bump();
        }
    }

    /// Reads one token or run of white space; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.peek(0) else { return false };
        let (start, line) = (self.at, self.line);
        let kind = match first {
            c if c.is_whitespace() => {
                self.bump();
                return true;
            }
            '/' if self.peek(1) == Some('/') => {
                self.bump_while(|c| c != '\n');
                Kind::Comment
            }
            '/' if self.peek(1) == Some('*') => {
                self.block_comment();
                Kind::Comment
            }
            '"' => {
                self.quoted('"');
                Kind::Text
            }
            '\'' => self.tick(),
            c if c.is_ascii_digit() => {
                self.number();
                Kind::Number
            }
            c if is_name_start(c) => self.name(),
            _ => {
                self.bump();
                Kind::Punct
            }
        };
        let text: String = self.chars[start..self.at].iter().collect();
        let text = match kind {
            Kind::Ident => text.strip_prefix("r#").map(str::to_owned).unwrap_or(text),
            _ => text,
        };
        self.found.push(Token { kind, text, line, end_line: self.line });
        true
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some(_), _) => {
                    self.bump();
                    continue;
                }
                (None, _) => return,
            }
            self.bump();
            self.bump();
            if depth == 0 {
                return;
            }
        }
    }

    /// Text or a character from its opening quote to its closing one, escapes included.
    fn quoted(&mut self, quote: char) {
        self.bump();
        while let Some(next) = self.bump() {
            if next == '\\' {
                self.bump();
            } else if next == quote {
                return;
            }
        }
    }

    /// A single quote opens a character (`'a'`, `'\n'`) or a lifetime (`'a`).
    fn tick(&mut self) -> Kind {
        let is_char = match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => true,
            (Some(_), Some('\'')) => true,
            (Some(c), _) => !is_name_start(c),
            (None, _) => false,
        };
        if is_char {
            self.quoted('\'');
            return Kind::Char;
        }
        self.bump();
        self.bump_while(is_name);
        Kind::Lifetime
    }

    fn number(&mut self) {
        self.bump_while(is_name);
        // `1.5` goes on, `1..2` and `1.max(2)` do not.
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
            self.bump_while(is_name);
        }
    }

    /// A name, or one of the prefixes that open text: `r"`, `r#"`, `b"`, `br"`, `c"`, `cr"`, `b'`.
    fn name(&mut self) -> Kind {
        let start = self.at;
        self.bump_while(is_name);
        let prefix: String = self.chars[start..self.at].iter().collect();
        match (prefix.as_str(), self.peek(0)) {
            ("b", Some('\'')) => {
                self.quoted('\'');
                Kind::Char
            }
            ("b" | "c", Some('"')) => {
                self.quoted('"');
                Kind::Text
            }
            ("r" | "br" | "cr", Some('"' | '#')) => self.raw(&prefix),
            _ => Kind::Ident,
        }
    }

    fn raw(&mut self, prefix: &str) -> Kind {
        let mut hashes = 0;
        while self.peek(hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(hashes) != Some('"') {
            // `r#name` is a raw name; anything else is a name before a `#` of its own.
            if prefix == "r" && hashes == 1 && self.peek(1).is_some_and(is_name_start) {
                self.bump();
                self.bump_while(is_name);
            }
            return Kind::Ident;
        }
        for _ in 0..=hashes {
            self.bump();
        }
        while let Some(next) = self.bump() {
            if next == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                for _ in 0..hashes {
                    self.bump();
                }
                break;
            }
        }
        Kind::Text
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, source: &str) -> Vec<String> {
        tokens(source).into_iter().filter(|t| t.kind == kind).map(|t| t.text).collect()
    }

    #[test]
    fn comments_nest_and_end_at_the_line() {
        assert_eq!(of(Kind::Comment, "a // b \" c\nd"), ["// b \" c"]);
        assert_eq!(of(Kind::Ident, "a /* x /* y */ z */ b"), ["a", "b"]);
        assert_eq!(of(Kind::Ident, "a /* never closed"), ["a"]);
    }

    #[test]
    fn text_hides_what_is_in_it() {
        assert_eq!(of(Kind::Ident, r#"a "b \" c { // d" e"#), ["a", "e"]);
        assert_eq!(of(Kind::Ident, r###"a r#"b " c"# d br##"e"# f"## g"###), ["a", "d", "g"]);
        assert_eq!(of(Kind::Ident, r#"b"x" c"y" cr"z" k"#), ["k"]);
        assert_eq!(of(Kind::Text, r#""\\" a "b""#), [r#""\\""#, r#""b""#]);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        assert_eq!(of(Kind::Char, r"'{' '\'' b'}' '\u{1F600}' 'a'"), ["'{'", r"'\''", "b'}'", r"'\u{1F600}'", "'a'"]);
        assert_eq!(of(Kind::Lifetime, "fn f<'a>(x: &'a str) { 'outer: loop {} }"), ["'a", "'a", "'outer"]);
        assert_eq!(of(Kind::Char, "&'static str"), [""; 0]);
    }

    #[test]
    fn raw_names_lose_their_prefix() {
        assert_eq!(of(Kind::Ident, "r#type r"), ["type", "r"]);
    }

    #[test]
    fn numbers_leave_ranges_and_methods_alone() {
        assert_eq!(of(Kind::Number, "1..2 1.5e3 0xff_u8 1.max(2)"), ["1", "2", "1.5e3", "0xff_u8", "1", "2"]);
    }

    #[test]
    fn lines_are_counted_through_text_and_comments() {
        let found = tokens("a\n\"x\ny\"\n/* \n */ b");
        let lines: Vec<_> = found.iter().map(|t| (t.line, t.end_line)).collect();
        assert_eq!(lines, [(1, 1), (2, 3), (4, 5), (5, 5)]);
    }
}
