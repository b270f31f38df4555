//! Tokens from a file: `token,user,uid,"group,group"` on each line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::pipeline::{AUTHENTICATED, User};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("--token-auth-file {}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is none of a token.
    #[error("--token-auth-file {}: line {line} must be token,user,uid and may have groups", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number.
        line: usize,
    },
}

/// The users of tokens that never change.
#[derive(Debug, Default)]
pub(crate) struct StaticTokens {
    /// By the token's digest, so that finding one takes the same time for all.
    users: HashMap<[u8; 32], User>,
}

impl StaticTokens {
    /// Reads the file.
    pub(crate) fn load(path: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|line| FileError::Line { path: path.to_owned(), line })
    }

    /// The user of a token.
    pub(crate) fn get(&self, token: &str) -> Option<&User> {
        self.users.get(&digest(token))
    }

    /// The error is the number of the line that is wrong.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut users = HashMap::new();
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields = fields(line);
            let [token, name, uid, rest @ ..] = fields.as_slice() else { return Err(number) };
            if token.is_empty() || name.is_empty() {
                return Err(number);
            }
            let groups = rest.first().map(String::as_str).unwrap_or_default();
            let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
            let groups = groups.chain([AUTHENTICATED]).map(str::to_owned).collect();
            let user = User { name: name.clone(), uid: uid.clone(), groups, ..User::default() };
            users.insert(digest(token), user);
        }
        Ok(Self { users })
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The fields of a line, which may be in quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            // There is always a last one.
            other => fields.iter_mut().last().into_iter().for_each(|field| field.push(other)),
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_user() {
        let tokens = StaticTokens::parse("# who\nabc,jane,1,\"dev,ops\"\n\ndef,joe,2\n").unwrap();
        let jane = tokens.get("abc").unwrap();
        assert_eq!((jane.name.as_str(), jane.uid.as_str()), ("jane", "1"));
        assert_eq!(jane.groups, ["dev", "ops", "system:authenticated"]);
        assert_eq!(tokens.get("def").unwrap().groups, ["system:authenticated"]);
        assert_eq!(tokens.get("ghi"), None);
    }

    #[test]
    fn a_wrong_line_is_told_by_its_number() {
        assert_eq!(StaticTokens::parse("abc,jane,1\nabc,jane").unwrap_err(), 2);
        assert_eq!(StaticTokens::parse(",jane,1").unwrap_err(), 1);
    }
}
