//! Comma-separated text, record by record, each with the line it stands in.

use std::io::BufRead;

use lake_format::{Error, Result};

/// Bytes of one record, at most: a quote that is never closed must not take the file into memory.
const RECORD_BYTES: usize = 16 << 20;

/// Fields of one record, at most.
const RECORD_FIELDS: usize = 1 << 20;

/// What some programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One record: fields as text, and where it began.
#[derive(Debug, Default)]
pub struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    quoted: Vec<bool>,
    raw: Vec<u8>,
    /// Line that it begins in, from 1.
    pub line: u64,
}

/// Why a record can't be used.
#[derive(Debug)]
pub enum Trouble {
    /// The record is wrong, the ones behind it can be read.
    Record(String),
    /// The rest of the file can't be read.
    File(Error),
}

impl Record {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Text of a field, and whether it was quoted. Only after [`CsvReader::next`] gave the record.
    pub fn field(&self, at: usize) -> Option<(&str, bool)> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        // Checked whole, and separators are ASCII: the cuts are sound.
        Some((std::str::from_utf8(&self.text[start..end]).ok()?, self.quoted[at]))
    }

    /// The record as it stands in the file, if the reader keeps that.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw).trim_end_matches(['\r', '\n']).to_owned()
    }

    fn clear(&mut self, line: u64) {
        self.text.clear();
        self.ends.clear();
        self.quoted.clear();
        self.raw.clear();
        self.line = line;
    }

    fn is_blank(&self) -> bool {
        self.ends.len() == 1 && self.text.is_empty() && !self.quoted[0]
    }
}

/// What the reader is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a quote inside quotes: the end, or the first of two.
    Quote,
    /// Behind text that should not follow a closing quote.
    Spoilt,
}

/// Reads records: RFC 4180, with any separator, `\n` or `\r\n` between records, blank lines skipped.
#[derive(Debug)]
pub struct CsvReader<R> {
    input: R,
    delimiter: u8,
    line: u64,
    fresh: bool,
    keep_raw: bool,
    file: String,
}

impl<R: BufRead> CsvReader<R> {
    /// A reader of `input`, which messages call `file`.
    pub fn new(input: R, delimiter: u8, file: String) -> Self {
        Self { input, delimiter, line: 1, fresh: true, keep_raw: false, file }
    }

    /// Keeps each record also as it stands in the file.
    #[must_use]
    pub fn keeping_raw(mut self, keep: bool) -> Self {
        self.keep_raw = keep;
        self
    }

    /// Reads the next record; `false` at the end.
    ///
    /// # Errors
    /// [`Trouble`]; after [`Trouble::Record`] reading goes on with the next one.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, Trouble> {
        loop {
            if std::mem::take(&mut self.fresh) {
                self.skip_mark()?;
            }
            record.clear(self.line);
            let (any, spoilt) = self.scan(record)?;
            if !any {
                return Ok(false);
            }
            if spoilt {
                return Err(Trouble::Record("there is text between a closing quote and the next separator".to_owned()));
            }
            if std::str::from_utf8(&record.text).is_err() {
                return Err(Trouble::Record("the text is not UTF-8".to_owned()));
            }
            if !record.is_blank() {
                return Ok(true);
            }
        }
    }

    /// Reads up to the end of the record. Says whether there was any, and whether it was spoilt.
    fn scan(&mut self, record: &mut Record) -> Result<(bool, bool), Trouble> {
        let (mut state, mut any, mut spoilt, mut quoted) = (State::Start, false, false, false);
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) => return Err(Trouble::File(Error::from(error).with_object(self.file.clone()))),
            };
            if buffer.is_empty() {
                if state == State::Quoted {
                    return Err(Trouble::File(self.unclosed(record.line)));
                }
                if any {
                    end_field(record, quoted);
                }
                return Ok((any, spoilt));
            }
            any = true;
            let mut at = 0;
            let mut ended = false;
            while at < buffer.len() && !ended {
                let byte = buffer[at];
                match (state, byte) {
                    (State::Quoted, b'"') => state = State::Quote,
                    (State::Quoted, _) => {
                        let run = buffer[at..].iter().position(|&b| b == b'"').unwrap_or(buffer.len() - at);
                        self.line += buffer[at..at + run].iter().filter(|&&b| b == b'\n').count() as u64;
                        record.text.extend_from_slice(&buffer[at..at + run]);
                        at += run - 1;
                    }
                    (State::Start, b'"') => (state, quoted) = (State::Quoted, true),
                    (State::Quote, b'"') => {
                        record.text.push(b'"');
                        state = State::Quoted;
                    }
                    (_, b'\n') => {
                        if state == State::Plain && record.text.last() == Some(&b'\r') {
                            record.text.pop();
                        }
                        self.line += 1;
                        ended = true;
                    }
                    (_, byte) if byte == self.delimiter => {
                        end_field(record, quoted);
                        (state, quoted) = (State::Start, false);
                    }
                    (State::Quote, b'\r') => {}
                    (State::Quote | State::Spoilt, _) => (state, spoilt) = (State::Spoilt, true),
                    _ => {
                        let special = |&b: &u8| b == b'\n' || b == self.delimiter;
                        let run = buffer[at..].iter().position(special).unwrap_or(buffer.len() - at);
                        record.text.extend_from_slice(&buffer[at..at + run]);
                        state = State::Plain;
                        at += run - 1;
                    }
                }
                at += 1;
            }
            if self.keep_raw {
                record.raw.extend_from_slice(&buffer[..at]);
            }
            self.input.consume(at);
            if ended {
                end_field(record, quoted);
                return Ok((true, spoilt));
            }
            if record.text.len() > RECORD_BYTES || record.ends.len() > RECORD_FIELDS {
                return Err(Trouble::File(self.unclosed(record.line)));
            }
        }
    }

    fn skip_mark(&mut self) -> Result<(), Trouble> {
        let start = self.buffered()?;
        if start.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
        } else if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(Trouble::File(
                Error::invalid("the file is UTF-16, and UTF-8 is read")
                    .with_object(self.file.clone())
                    .with_hint("nothing was written; convert it, for example with `iconv -f UTF-16 -t UTF-8`"),
            ));
        }
        Ok(())
    }

    fn buffered(&mut self) -> Result<&[u8], Trouble> {
        self.input.fill_buf().map_err(|error| Trouble::File(Error::from(error).with_object(self.file.clone())))
    }

    fn unclosed(&self, line: u64) -> Error {
        Error::invalid(
            "a record does not end: a quote is opened and not closed, or it is larger than 16 MiB or a million fields",
        )
        .with_object(format!("{}:{line}", self.file))
        .with_hint("nothing was written; mend the file, or say its separator with --delimiter")
    }
}

fn end_field(record: &mut Record, quoted: bool) {
    record.ends.push(record.text.len());
    record.quoted.push(quoted);
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// Gives a byte at a time: every state is crossed at a buffer's end.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn read(input: impl BufRead) -> Vec<String> {
        let mut reader = CsvReader::new(input, b',', "f".to_owned());
        let (mut record, mut found) = (Record::default(), Vec::new());
        loop {
            match reader.next(&mut record) {
                Ok(false) => return found,
                Ok(true) => {
                    let fields: Vec<String> = (0..record.len())
                        .filter_map(|at| record.field(at))
                        .map(|(text, quoted)| if quoted { format!("<{text}>") } else { text.to_owned() })
                        .collect();
                    found.push(format!("{}: {}", record.line, fields.join("|")));
                }
                Err(Trouble::Record(problem)) => found.push(format!("{}! {problem}", record.line)),
                Err(Trouble::File(error)) => {
                    found.push(format!("stop: {error}"));
                    return found;
                }
            }
        }
    }

    fn both(text: &[u8]) -> Vec<String> {
        let whole = read(text);
        assert_eq!(whole, read(BufReader::with_capacity(1, Drip(text))), "{text:?}");
        whole
    }

    #[test]
    fn fields_quotes_and_line_ends() {
        assert_eq!(both(b"a,b\n1,2\n"), ["1: a|b", "2: 1|2"]);
        assert_eq!(both(b"a,b\r\n1,\r\n\r\n,4"), ["1: a|b", "2: 1|", "4: |4"]);
        assert_eq!(both(b"\"x,\"\"y\"\"\nz\",\"\"\nnext,\"q\"\r\n"), ["1: <x,\"y\"\nz>|<>", "3: next|<q>"]);
        assert_eq!(both(b"a\"b,c\n"), ["1: a\"b|c"]);
        assert_eq!(both(b"a,"), ["1: a|"]);
        assert_eq!(both(b"\"\"\n\n"), ["1: <>"]);
        assert!(both(b"").is_empty() && both(b"\n\n").is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        assert_eq!(read(&b"\xef\xbb\xbfa,b\n"[..]), ["1: a|b"]);
        assert_eq!(read(&b"\xef\xbb\xbf\"a\",b\n"[..]), ["1: <a>|b"]);
    }

    #[test]
    fn a_bad_record_does_not_hide_the_next() {
        let found = both(b"\"a\"x,b\nc,d\n\xff,e\nf,g\n");
        assert!(
            found[0].starts_with("1! there is text") && found[2].starts_with("3! the text is not UTF-8"),
            "{found:?}"
        );
        assert_eq!((found[1].as_str(), found[3].as_str()), ("2: c|d", "4: f|g"));
    }

    #[test]
    fn an_open_quote_names_the_line_it_opened_in() {
        let found = both(b"a,b\nc,\"d\ne,f\n");
        assert!(found[1].starts_with("stop: a record does not end") && found[1].contains("f:2"), "{found:?}");
    }
}
