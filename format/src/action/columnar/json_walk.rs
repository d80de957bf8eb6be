//! One pass over a JSON object that picks the raw text of wanted members, and gives up at anything unusual.

/// Deeper nesting is unusual.
const MOST_NESTED: u32 = 32;

/// What is wanted of a member.
#[derive(Debug)]
enum Node {
    /// Its raw text.
    Leaf,
    /// These members of it, by position among the nodes.
    Object(Vec<(String, usize)>),
}

/// Members that are wanted, as a tree.
#[derive(Debug)]
pub(super) struct Walk {
    /// The whole object comes first.
    nodes: Vec<Node>,
}

/// The raw texts of one walk, by the position that [`Walk::want`] gave. Of an object that was walked into the empty text.
pub(super) type Taken<'t> = Vec<Option<&'t str>>;

impl Walk {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Object(Vec::new())] }
    }

    /// Wants the raw text of the member at `path`, and tells where [`Taken`] will have it. A path behind one that is
    /// wanted whole is never found.
    pub(super) fn want<'n>(&mut self, path: impl IntoIterator<Item = &'n str>) -> usize {
        let mut at = 0;
        for name in path {
            let next = self.nodes.len();
            at = match &mut self.nodes[at] {
                Node::Object(members) => match members.iter().find(|(known, _)| known == name) {
                    Some((_, found)) => *found,
                    None => {
                        members.push((name.to_owned(), next));
                        self.nodes.push(Node::Object(Vec::new()));
                        next
                    }
                },
                Node::Leaf => {
                    self.nodes.push(Node::Leaf);
                    next
                }
            };
        }
        self.nodes[at] = Node::Leaf;
        at
    }

    /// Knows the member `name` of the whole object, so that it may not stand there twice.
    pub(super) fn know(&mut self, name: &str) {
        let next = self.nodes.len();
        if let Node::Object(members) = &mut self.nodes[0]
            && members.iter().all(|(known, _)| known != name)
        {
            members.push((name.to_owned(), next));
            self.nodes.push(Node::Leaf);
        }
    }

    /// Picks the wanted members of `text`. False when the text is not an object spelt in the usual way: with escapes or
    /// control characters in a text, with a known member twice, nested deeply, or no JSON at all. Nothing is proved then.
    pub(super) fn over<'t>(&self, text: &'t str, taken: &mut Taken<'t>) -> bool {
        taken.clear();
        taken.resize(self.nodes.len(), None);
        let mut cursor = Cursor { walk: self, text, at: 0 };
        cursor.space();
        let Node::Object(members) = &self.nodes[0] else { return false };
        let walked = cursor.object(Some(members), taken, 0).is_some();
        cursor.space();
        walked && cursor.at == text.len()
    }
}

struct Cursor<'w, 't> {
    walk: &'w Walk,
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'_, 't> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn object(&mut self, members: Option<&[(String, usize)]>, taken: &mut Taken<'t>, depth: u32) -> Option<()> {
        if depth > MOST_NESTED {
            return None;
        }
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        // Writers keep one order: the next member is most likely the next one known.
        let mut likely = 0;
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            let known = members.and_then(|members| {
                let at = match members.get(likely) {
                    Some((name, _)) if name == key => likely,
                    _ => members.iter().position(|(name, _)| name == key)?,
                };
                likely = at + 1;
                Some(members[at].1)
            });
            match known {
                Some(node) => self.known(node, taken, depth)?,
                None => self.skip(taken, depth)?,
            }
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn known(&mut self, node: usize, taken: &mut Taken<'t>, depth: u32) -> Option<()> {
        if taken[node].is_some() {
            return None;
        }
        let start = self.at;
        let walk = self.walk;
        match &walk.nodes[node] {
            Node::Object(members) if self.peek()? == b'{' => {
                taken[node] = Some("");
                self.object(Some(members), taken, depth + 1)
            }
            Node::Object(_) => {
                taken[node] = Some("");
                self.skip(taken, depth)
            }
            Node::Leaf => {
                self.skip(taken, depth)?;
                taken[node] = Some(&self.text[start..self.at]);
                Some(())
            }
        }
    }

    fn skip(&mut self, taken: &mut Taken<'t>, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(None, taken, depth + 1),
            b'[' => self.array(taken, depth + 1),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn array(&mut self, taken: &mut Taken<'t>, depth: u32) -> Option<()> {
        if depth > MOST_NESTED {
            return None;
        }
        self.expect(b'[')?;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            self.skip(taken, depth)?;
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// A text without escapes, quotes left off.
    fn string(&mut self) -> Option<&'t str> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
        self.at = start + length;
        self.expect(b'"')?;
        Some(&self.text[start..start + length])
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Option<Vec<Option<&str>>> {
        let mut walk = Walk::new();
        let wanted = [walk.want(["rows"]), walk.want(["min", "a"]), walk.want(["min", "s", "b"])];
        let mut taken = Taken::new();
        walk.over(text, &mut taken).then(|| wanted.iter().map(|&at| taken[at]).collect())
    }

    #[test]
    fn wanted_members_are_found_in_any_order() {
        let text = r#" {"x":[1,{"min":{"a":0}}],"min" : {"s":{"b":"ü","c":null},"a":-1.5e+3},"rows":7,"y":{}} "#;
        assert_eq!(walk(text), Some(vec![Some("7"), Some("-1.5e+3"), Some("\"ü\"")]));
        assert_eq!(walk(r#"{"min":null,"rows":null}"#), Some(vec![Some("null"), None, None]));
        assert_eq!(walk("{}"), Some(vec![None, None, None]));
    }

    #[test]
    fn the_unusual_is_left_alone() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
        for text in [
            "",
            "[]",
            "{",
            "7",
            r#"{"rows":7"#,
            r#"{"rows":7}}"#,
            r#"{"rows":7,}"#,
            r#"{"rows":07}"#,
            r#"{"rows":7,"rows":8}"#,
            r#"{"min":{"a":1},"min":{}}"#,
            r#"{"ro\u0077s":7}"#,
            r#"{"x":"\""}"#,
            "{\"x\":\"\n\"}",
            r#"{"x":nul}"#,
            r#"{"x":1.}"#,
            r#"{"x":-}"#,
            r#"{"x" 1}"#,
            r#"{"x":[1,]}"#,
            &deep,
        ] {
            assert_eq!(walk(text), None, "{text}");
        }
    }
}
