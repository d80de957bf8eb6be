//! Which paths a rule means.

/// A part of a path or, where it holds `*`, the shape of a whole path's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without `*`: the path holds the text. With it: the pieces follow one another and the last one ends the path.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut pieces: Vec<&str> = self.0.split('*').collect();
        let last = if pieces.len() > 1 { pieces.pop() } else { None };
        let mut rest = path;
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        last.is_none_or(|end| rest.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_looked_for_anywhere() {
        assert!(Pattern::new("_delta_log/").matches("t/_delta_log/0.json"));
        assert!(Pattern::new("").matches("anything"));
        assert!(!Pattern::new("_delta_log/").matches("t/part-0.parquet"));
    }

    #[test]
    fn stars_stand_for_any_text() {
        let commit = Pattern::new("_delta_log/*.json");
        assert!(commit.matches("t/_delta_log/00.json"));
        assert!(!commit.matches("t/_delta_log/00.json.tmp"));
        assert!(!commit.matches("t/00.json"));
        assert!(Pattern::new("a*b*").matches("xaxbx"));
        assert!(!Pattern::new("a*a").matches("xa"));
        assert!(Pattern::new("*.parquet").matches("x.parquet"));
    }
}
