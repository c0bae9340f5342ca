//! A reader of JSON that the expected type drives: it takes one token after the other from the text, builds
//! no tree, and keeps numbers as they are written. Knows nothing of types and values.

use std::borrow::Cow;

use crate::ValueError;

/// Reads a JSON document from front to back. Cheap to copy: a copy is a bookmark.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// An array or object that is being read.
pub(crate) struct Sequence {
    close: u8,
    first: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(json: &'a [u8]) -> Result<Reader<'a>, ValueError> {
        let text = std::str::from_utf8(json)
            .map_err(|e| ValueError::new(format!("invalid JSON at byte {}: not UTF-8", e.valid_up_to())))?;
        Ok(Reader { text, at: 0 })
    }

    /// The byte with which the next token starts.
    pub(crate) fn peek(&mut self) -> Result<u8, ValueError> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Ok(*byte),
            }
        }
        Err(self.error("the text ends too early"))
    }

    /// Checks that nothing but space follows.
    pub(crate) fn finish(mut self) -> Result<(), ValueError> {
        match self.peek() {
            Ok(_) => Err(self.error("something follows after the end of the value")),
            Err(_) => Ok(()),
        }
    }

    /// Takes `null`, `true` or `false`, if it is next.
    pub(crate) fn literal(&mut self, literal: &str) -> Result<(), ValueError> {
        if self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            self.at += literal.len();
            return Ok(());
        }
        Err(self.error("no such word in JSON"))
    }

    /// Takes a string.
    pub(crate) fn string(&mut self, expected: &str) -> Result<Cow<'a, str>, ValueError> {
        if self.peek()? != b'"' {
            return Err(self.required(expected));
        }
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        let mut end = start;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(0..=0x1f) => {
                    self.at = end;
                    return Err(self.error("a control character in a string"));
                }
                Some(_) => end += 1,
                None => {
                    self.at = bytes.len();
                    return Err(self.error("a string has no end"));
                }
            }
        }
        let quoted = &self.text[self.at..=end];
        if escaped {
            let plain =
                serde_json::from_str(quoted).map_err(|_| self.error("an invalid escape in a string"))?;
            self.at = end + 1;
            return Ok(Cow::Owned(plain));
        }
        self.at = end + 1;
        Ok(Cow::Borrowed(&self.text[start..end]))
    }

    /// Takes a number, as it is written.
    pub(crate) fn number(&mut self, expected: &str) -> Result<&'a str, ValueError> {
        let first = self.peek()?;
        if !matches!(first, b'-' | b'0'..=b'9') {
            return Err(self.required(expected));
        }
        let rest = &self.text[self.at..];
        let length =
            rest.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let number = &rest[..length];
        if !is_number(number.as_bytes()) {
            return Err(self.error("not a number"));
        }
        self.at += length;
        Ok(number)
    }

    /// Enters an array.
    pub(crate) fn array(&mut self, expected: &str) -> Result<Sequence, ValueError> {
        self.open(b'[', b']', expected)
    }

    /// Enters an object.
    pub(crate) fn object(&mut self, expected: &str) -> Result<Sequence, ValueError> {
        self.open(b'{', b'}', expected)
    }

    fn open(&mut self, open: u8, close: u8, expected: &str) -> Result<Sequence, ValueError> {
        if self.peek()? != open {
            return Err(self.required(expected));
        }
        self.at += 1;
        Ok(Sequence { close, first: true })
    }

    /// Whether another element of the array follows; leaves the array if not.
    pub(crate) fn element(&mut self, sequence: &mut Sequence) -> Result<bool, ValueError> {
        let next = self.peek()?;
        if next == sequence.close {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::replace(&mut sequence.first, false) {
            if next != b',' {
                return Err(self.error("a comma or the end of the array or object is required"));
            }
            self.at += 1;
            if self.peek()? == sequence.close {
                return Err(self.error("nothing follows the comma"));
            }
        }
        Ok(true)
    }

    /// The next key of the object, up to its value; none if the object ends, and leaves it.
    pub(crate) fn key(&mut self, sequence: &mut Sequence) -> Result<Option<Cow<'a, str>>, ValueError> {
        if !self.element(sequence)? {
            return Ok(None);
        }
        let key = self.string("a key")?;
        if self.peek()? != b':' {
            return Err(self.error("a colon is required"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Passes over a value of any kind and depth; needs no stack.
    pub(crate) fn skip(&mut self) -> Result<(), ValueError> {
        let mut open: Vec<Sequence> = Vec::new();
        loop {
            match self.peek()? {
                b'[' => open.push(self.array("")?),
                b'{' => open.push(self.object("")?),
                b'"' => drop(self.string("")?),
                b'n' => self.literal("null")?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                _ => drop(self.number("a value")?),
            }
            // Leave whatever ends here, then go on with the next element.
            loop {
                let Some(sequence) = open.last_mut() else { return Ok(()) };
                let more = if sequence.close == b'}' {
                    self.key(sequence)?.is_some()
                } else {
                    self.element(sequence)?
                };
                if more {
                    break;
                }
                open.pop();
            }
        }
    }

    /// The error that something else is required here. Names what is there, never its content.
    pub(crate) fn required(&mut self, expected: &str) -> ValueError {
        let found = match self.peek() {
            Err(error) => return error,
            Ok(b'{') => "an object",
            Ok(b'[') => "an array",
            Ok(b'"') => "a string",
            Ok(b'-' | b'0'..=b'9') => "a number",
            Ok(b't' | b'f') => "a bool",
            Ok(b'n') => "null",
            Ok(_) => return self.error("no value starts like this"),
        };
        ValueError::new(format!("{expected} is required, not {found}"))
    }

    fn error(&self, what: &str) -> ValueError {
        ValueError::new(format!("invalid JSON at byte {}: {what}", self.at))
    }
}

// RFC 8259, section 6.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}
