//! From text to tokens.

use super::Error;

/// A token and the byte where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Int(i64),
    /// A number that is only an integer behind a minus: the smallest one.
    MinInt,
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// An operator or a bracket.
    Mark(&'static str),
    End,
}

/// The longer ones first.
static MARKS: [&str; 26] = [
    "&&", "||", "==", "!=", "<=", ">=", ".?", "[?", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "+",
    "-", "*", "/", "%", "<", ">", "!",
];

/// The tokens of a text, with [`Kind::End`] at its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer { text, at: 0 };
    let mut all = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.kind == Kind::End;
        all.push(token);
        if end {
            return Ok(all);
        }
    }
}

/// The column of a byte, counted from 1. It takes the whole way to it, so only errors ask.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[..at].chars().count() + 1
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Error> {
        Err(Error::Syntax { column: column(self.text, self.at), what: what.into() })
    }

    fn next(&mut self) -> Result<Token, Error> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !self.rest().starts_with("//") {
                break;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
        let at = self.at;
        let kind = self.kind()?;
        Ok(Token { kind, at })
    }

    fn kind(&mut self) -> Result<Kind, Error> {
        let Some(first) = self.rest().chars().next() else { return Ok(Kind::End) };
        let number_after_dot =
            self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || number_after_dot {
            return self.number();
        }
        if let Some(prefix) = self.prefix() {
            return self.text(&prefix);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let name = self.rest()[..end.unwrap_or(self.rest().len())].to_owned();
            self.at += name.len();
            return Ok(Kind::Name(name));
        }
        if first == '`' {
            let Some(end) = self.rest()[1..].find('`') else { return self.wrong("unterminated name") };
            let name = self.rest()[1..=end].to_owned();
            self.at += end + 2;
            return Ok(Kind::Name(name));
        }
        match MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
            Some(mark) => {
                self.at += mark.len();
                Ok(Kind::Mark(mark))
            }
            None => self.wrong(format!("token recognition error at: '{first}'")),
        }
    }

    /// What stands before the quote of a text: `r`, `b`, both or nothing.
    fn prefix(&self) -> Option<String> {
        let end = self.rest().bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''))?;
        let prefix = self.rest()[..end].to_ascii_lowercase();
        matches!(prefix.as_str(), "" | "r" | "b" | "rb" | "br").then_some(prefix)
    }

    fn number(&mut self) -> Result<Kind, Error> {
        let rest = self.rest();
        if let Some(hex) = rest.strip_prefix("0x") {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            let (digits, unsigned) = (hex[..end].to_owned(), hex[end..].starts_with('u'));
            self.at += 2 + end + usize::from(unsigned);
            let number = u64::from_str_radix(&digits, 16).ok();
            return match (number, unsigned) {
                (Some(number), true) => Ok(Kind::Uint(number)),
                (Some(number), false) if i64::try_from(number).is_ok() => Ok(Kind::Int(number.cast_signed())),
                _ => self.wrong(format!("invalid int literal: 0x{digits}")),
            };
        }
        let mut end = 0;
        let mut double = false;
        let bytes = rest.as_bytes();
        while let Some(byte) = bytes.get(end) {
            let digit_next = bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            match byte {
                b'0'..=b'9' => {}
                b'.' if digit_next && !double => double = true,
                b'e' | b'E' if digit_next => double = true,
                b'e' | b'E' if matches!(bytes.get(end + 1), Some(b'+' | b'-')) => {
                    double = true;
                    end += 1;
                }
                _ => break,
            }
            end += 1;
        }
        let text = rest[..end].to_owned();
        let unsigned = !double && matches!(bytes.get(end), Some(b'u' | b'U'));
        self.at += end + usize::from(unsigned);
        let read = if double {
            text.parse().ok().map(Kind::Double)
        } else if unsigned {
            text.parse().ok().map(Kind::Uint)
        } else if text == "9223372036854775808" {
            Some(Kind::MinInt)
        } else {
            text.parse().ok().map(Kind::Int)
        };
        read.map_or_else(|| self.wrong(format!("invalid number literal: {text}")), Ok)
    }

    fn text(&mut self, prefix: &str) -> Result<Kind, Error> {
        let (raw, bytes) = (prefix.contains('r'), prefix.contains('b'));
        self.at += prefix.len();
        let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let end = if self.rest().starts_with(&triple) { triple } else { quote.to_string() };
        self.at += end.len();
        let mut out = Vec::new();
        loop {
            if self.rest().starts_with(&end) {
                self.at += end.len();
                break;
            }
            let Some(letter) = self.rest().chars().next() else { return self.wrong("unterminated string") };
            self.at += letter.len_utf8();
            if letter == '\\' && !raw {
                self.escape(&mut out, bytes)?;
            } else {
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if bytes {
            return Ok(Kind::Bytes(out));
        }
        String::from_utf8(out).map(Kind::Text).or_else(|_| self.wrong("invalid string"))
    }

    fn escape(&mut self, out: &mut Vec<u8>, bytes: bool) -> Result<(), Error> {
        let Some(letter) = self.rest().chars().next() else { return self.wrong("unterminated string") };
        self.at += letter.len_utf8();
        let code = match letter {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            '\\' | '\'' | '"' | '`' | '?' => u32::from(letter),
            'x' | 'X' => self.digits(2, 16)?,
            'u' => self.digits(4, 16)?,
            'U' => self.digits(8, 16)?,
            '0'..='3' => {
                self.at -= 1;
                self.digits(3, 8)?
            }
            other => return self.wrong(format!("invalid escape: \\{other}")),
        };
        match (bytes, u8::try_from(code), char::from_u32(code)) {
            (true, Ok(byte), _) => out.push(byte),
            (_, _, Some(letter)) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => return self.wrong("invalid unicode code point"),
        }
        Ok(())
    }

    fn digits(&mut self, count: usize, radix: u32) -> Result<u32, Error> {
        let code = self.rest().get(..count).and_then(|digits| u32::from_str_radix(digits, radix).ok());
        let Some(code) = code else { return self.wrong("invalid escape") };
        self.at += count;
        Ok(code)
    }
}
