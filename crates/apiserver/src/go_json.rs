//! What Go says of a text that is no JSON, as clients of Kubernetes know it.

/// How deep Go reads.
const MAX_DEPTH: usize = 10_000;
const END: &str = "unexpected end of JSON input";

/// Why a text is no JSON; nothing where it is some.
pub(crate) fn why_not(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.document().err()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// What may follow.
enum Expect {
    /// A value; a closing bracket too, where a list may be empty.
    Value { or_end: bool },
    /// A key; a closing brace too, where an object may be empty.
    Key { or_end: bool },
    /// A comma or a closing bracket.
    AfterValue,
}

impl Scanner<'_> {
    fn skip_spaces(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.text.get(self.at).copied().ok_or(END)?;
        self.at += 1;
        Ok(byte)
    }

    fn document(&mut self) -> Result<(), String> {
        // What is open: `{` or `[`.
        let mut open: Vec<u8> = Vec::new();
        let mut expect = Expect::Value { or_end: false };
        loop {
            let Some(byte) = self.skip_spaces() else {
                let done = open.is_empty() && matches!(expect, Expect::AfterValue);
                return if done { Ok(()) } else { Err(END.to_owned()) };
            };
            expect = match (expect, byte) {
                (Expect::Value { or_end: true }, b']') | (Expect::Key { or_end: true }, b'}') => {
                    self.at += 1;
                    open.pop();
                    Expect::AfterValue
                }
                (Expect::Value { .. }, b'{' | b'[') => {
                    self.at += 1;
                    open.push(byte);
                    if open.len() > MAX_DEPTH {
                        return Err("exceeded max depth".to_owned());
                    }
                    if byte == b'{' { Expect::Key { or_end: true } } else { Expect::Value { or_end: true } }
                }
                (Expect::Value { .. }, _) => {
                    self.scalar(byte)?;
                    Expect::AfterValue
                }
                (Expect::Key { .. }, b'"') => {
                    self.string()?;
                    match self.skip_spaces() {
                        Some(b':') => self.at += 1,
                        Some(other) => return Err(invalid(other, "after object key")),
                        None => return Err(END.to_owned()),
                    }
                    Expect::Value { or_end: false }
                }
                (Expect::Key { .. }, other) => {
                    return Err(invalid(other, "looking for beginning of object key string"));
                }
                (Expect::AfterValue, _) => {
                    let context = match open.last() {
                        None => "after top-level value",
                        Some(b'{') => "after object key:value pair",
                        Some(_) => "after array element",
                    };
                    self.at += 1;
                    match (byte, open.last()) {
                        (b',', Some(b'{')) => Expect::Key { or_end: false },
                        (b',', Some(_)) => Expect::Value { or_end: false },
                        (b'}', Some(b'{')) | (b']', Some(b'[')) => {
                            open.pop();
                            Expect::AfterValue
                        }
                        (other, _) => return Err(invalid(other, context)),
                    }
                }
            };
        }
    }

    fn scalar(&mut self, first: u8) -> Result<(), String> {
        match first {
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            other => Err(invalid(other, "looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for letter in word.chars() {
            let byte = self.next()?;
            if char::from(byte) != letter {
                return Err(invalid(byte, &format!("in literal {word} (expecting '{letter}')")));
            }
        }
        Ok(())
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        let byte = self.next()?;
        if !byte.is_ascii_digit() {
            return Err(invalid(byte, context));
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        // Nothing but a point or an exponent follows a zero in front.
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(invalid(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    other => return Err(invalid(other, "in string escape code")),
                },
                control @ ..0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }
}

fn invalid(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => r"\'".to_owned(),
        b'"' => "\"".to_owned(),
        b'\\' => r"\\".to_owned(),
        0x07 => r"\a".to_owned(),
        0x08 => r"\b".to_owned(),
        0x0b => r"\v".to_owned(),
        0x0c => r"\f".to_owned(),
        b'\n' => r"\n".to_owned(),
        b'\r' => r"\r".to_owned(),
        b'\t' => r"\t".to_owned(),
        ..0x20 | 0x7f => format!(r"\x{byte:02x}"),
        0x80..0xa0 | 0xad => format!(r"\u{byte:04x}"),
        other => char::from(other).to_string(),
    };
    format!("invalid character '{shown}' {context}")
}

/// The beginning of a body as upstream shows it.
pub(crate) fn summary(body: &[u8]) -> String {
    const LENGTH: usize = 30;
    let (shown, more) = match body.get(..LENGTH) {
        Some(head) if body.len() > LENGTH => (head, " ..."),
        _ => (body, ""),
    };
    match shown.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => {
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_as_go_says_it() {
        for (text, wanted) in [
            ("", END),
            ("{", END),
            ("[1,", END),
            ("\"a", END),
            ("-", END),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{]", "invalid character ']' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} {}", "invalid character '{' after top-level value"),
            ("nul!", "invalid character '!' in literal null (expecting 'l')"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\\u00g\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("'", "invalid character '\\'' looking for beginning of value"),
        ] {
            assert_eq!(why_not(text.as_bytes()).as_deref(), Some(wanted), "{text}");
        }
        for text in ["{}", "[]", " {\"a\": [1, -0.5e+3, true, false, null, \"\\u00ff\\n\"]} ", "0"] {
            assert_eq!(why_not(text.as_bytes()), None, "{text}");
        }
        assert_eq!(why_not(&b"[".repeat(20_000)).as_deref(), Some("exceeded max depth"));
    }

    #[test]
    fn bodies_are_summed_up() {
        assert_eq!(summary(b""), "<empty>");
        assert_eq!(summary(b"{"), "{");
        assert_eq!(summary(b"hi"), "6869");
        assert_eq!(summary("{".repeat(40).as_bytes()), format!("{} ...", "{".repeat(30)));
    }
}
