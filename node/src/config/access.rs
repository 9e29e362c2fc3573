//! Who may come in, and what they may do: users with secrets and rights.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

/// The bytes of a token, before they are written in hexadecimal.
const TOKEN_BYTES: usize = 32;

/// The most users.
const USERS_MAX: usize = 10_000;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// See data.
    Read,
    /// Change data.
    Update,
    /// See and change how the cluster is.
    Admin,
}

/// Verbs that are allowed on some keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// Which.
    pub verbs: Vec<Verb>,
    /// In the bucket of this name; in all if left out.
    #[serde(default)]
    pub bucket: Option<String>,
    /// On keys that begin so.
    #[serde(default)]
    pub prefix: String,
}

impl Right {
    fn allows(&self, verb: Verb, bucket: &[u8], key: &[u8]) -> bool {
        let here = self.bucket.as_ref().is_none_or(|mine| mine.as_bytes() == bucket);
        here && self.verbs.contains(&verb) && key.starts_with(self.prefix.as_bytes())
    }

    /// Whether it is about everything.
    fn is_general(&self) -> bool {
        self.bucket.is_none() && self.prefix.is_empty()
    }
}

/// Somebody who may come in. Secrets are kept as hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    token: Option<[u8; 32]>,
    password: Option<String>,
    rights: Vec<Right>,
}

impl User {
    /// One who may do everything: whoever comes by a door that asks for no secret.
    #[must_use]
    pub fn everything() -> User {
        let verbs = vec![Verb::Read, Verb::Update, Verb::Admin];
        let rights = vec![Right { verbs, bucket: None, prefix: String::new() }];
        User { name: "default".to_owned(), token: None, password: None, rights }
    }

    /// One who may do nothing: whoever asks for what needs no right.
    #[must_use]
    pub fn nobody() -> User {
        User { name: "nobody".to_owned(), token: None, password: None, rights: Vec::new() }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 of its token, if it has one.
    #[must_use]
    pub fn token_digest(&self) -> Option<[u8; 32]> {
        self.token
    }

    /// What it may do.
    #[must_use]
    pub fn rights(&self) -> &[Right] {
        &self.rights
    }

    /// Whether this may be done to a key.
    #[must_use]
    pub fn may(&self, verb: Verb, bucket: &[u8], key: &[u8]) -> bool {
        self.rights.iter().any(|right| right.allows(verb, bucket, key))
    }

    /// Whether this may be done to every key of a bucket that begins so: what listings need.
    #[must_use]
    pub fn may_all(&self, verb: Verb, bucket: &[u8], prefix: &[u8]) -> bool {
        self.may(verb, bucket, prefix)
    }

    /// Whether this may be done to everything: what administration needs.
    #[must_use]
    pub fn may_everywhere(&self, verb: Verb) -> bool {
        self.rights.iter().any(|right| right.is_general() && right.verbs.contains(&verb))
    }
}

/// Why a file of users does not work.
#[derive(Debug, Error)]
pub enum UsersError {
    /// It cannot be read.
    #[error("users = {path}: {problem}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A user in it does not work.
    #[error("users = {path}: user {name:?}: {problem}", path = path.display())]
    User {
        /// In which file.
        path: PathBuf,
        /// Who.
        name: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
}

/// All who may come in.
#[derive(Clone, Debug, Default)]
pub struct Users {
    users: Arc<Vec<Arc<User>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    user: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    token_sha256: Option<String>,
    password_argon2: Option<String>,
    #[serde(default)]
    rights: Vec<Right>,
}

impl Users {
    /// Reads a file of `[[user]]` tables.
    ///
    /// # Errors
    /// [`UsersError`]
    pub fn load(path: &Path) -> Result<Users, UsersError> {
        let text = fs::read_to_string(path).map_err(|error| UsersError::File {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        Users::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Users, UsersError> {
        let file = |problem: String| UsersError::File { path: path.to_owned(), problem };
        let entries: File = toml::from_str(text).map_err(|error| file(error.to_string()))?;
        if entries.user.len() > USERS_MAX {
            return Err(file(format!("more than {USERS_MAX} users")));
        }
        let mut users: Vec<Arc<User>> = Vec::new();
        for entry in entries.user {
            let user = entry.read(&users);
            users.push(Arc::new(user.map_err(|(name, problem)| UsersError::User {
                path: path.to_owned(),
                name,
                problem,
            })?));
        }
        Ok(Users { users: Arc::new(users) })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter().map(Arc::as_ref)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.users.len()
    }

    /// Whose token this is. Takes as long whosoever's it is, and if nobody's.
    #[must_use]
    pub fn by_token(&self, token: &[u8]) -> Option<Arc<User>> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let (mut found, mut which) = (Choice::from(0), 0u32);
        for (index, user) in self.users.iter().enumerate() {
            let Some(stored) = &user.token else { continue };
            let same = stored.ct_eq(&hash);
            let index = u32::try_from(index).expect("there are at most 10,000");
            which.conditional_assign(&index, same);
            found |= same;
        }
        let which = usize::try_from(which).expect("it was a usize");
        bool::from(found).then(|| Arc::clone(&self.users[which]))
    }

    /// The user of this name, if the secret is their token or password. A password takes tens of milliseconds, on
    /// purpose: not for a lane's thread.
    #[must_use]
    pub fn authenticate(&self, name: &str, secret: &[u8]) -> Option<Arc<User>> {
        let user = self.users.iter().find(|user| user.name == name);
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let by_token = user.and_then(|user| user.token.as_ref());
        if by_token.is_some_and(|token| bool::from(token.ct_eq(&hash))) {
            return user.cloned();
        }
        // Names that are not there take as long as those that are.
        let password = user.and_then(|user| user.password.as_deref()).unwrap_or(NOBODYS);
        let stored = PasswordHash::new(password).ok()?;
        let fits = Argon2::default().verify_password(secret, &stored).is_ok();
        user.filter(|user| fits && user.password.is_some()).cloned()
    }
}

/// A password that nobody has.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Entry {
    fn read(self, before: &[Arc<User>]) -> Result<User, (String, &'static str)> {
        let problem = if self.name.is_empty() || self.name.contains(char::is_whitespace) {
            Some("a name has no spaces and at least one letter")
        } else if before.iter().any(|user| user.name == self.name) {
            Some("there are two of that name: give them different ones")
        } else if self.token_sha256.is_none() && self.password_argon2.is_none() {
            Some(
                "no secret: give token_sha256 or password_argon2, as `coterie-node user` prints them",
            )
        } else if self.rights.is_empty() {
            Some(
                "no rights: give rights = [{ verbs = [\"read\", \"update\", \"admin\"] }] or fewer",
            )
        } else if self.rights.iter().any(|right| right.verbs.is_empty()) {
            Some("a right without verbs: give read, update or admin")
        } else if self.password_argon2.as_ref().is_some_and(|hash| PasswordHash::new(hash).is_err())
        {
            Some("password_argon2 is no hash: make one with `coterie-node user password`")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err((self.name, problem));
        }
        let token = match self.token_sha256.map(|text| from_hexadecimal(&text)) {
            Some(None) => {
                let problem = "token_sha256 is not 64 hexadecimal digits: make one with `coterie-node user token`";
                return Err((self.name, problem));
            }
            Some(token) => token,
            None => None,
        };
        let (name, password, rights) = (self.name, self.password_argon2, self.rights);
        Ok(User { name, token, password, rights })
    }
}

fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A secret that was just drawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// 256 random bits.
    ///
    /// # Errors
    /// If the machine has no randomness.
    pub fn draw() -> Result<Token, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; TOKEN_BYTES];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Token(hexadecimal(&bytes)))
    }

    /// What its user sends.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What the file of users has.
    #[must_use]
    pub fn hash(&self) -> String {
        hexadecimal(&Sha256::digest(self.0.as_bytes()))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What the file of users has for a password.
///
/// # Errors
/// If the machine has no randomness, or the password is longer than 4 GiB.
pub(super) fn hash_password(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash = Argon2::default().hash_password(password)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Result<Users, UsersError> {
        Users::parse(Path::new("users.toml"), text)
    }

    #[test]
    fn a_token_is_its_users_and_nobody_elses() {
        let (a, b) = (Token::draw().unwrap(), Token::draw().unwrap());
        assert_ne!(a, b);
        let text = format!(
            "[[user]]\nname = \"a\"\ntoken_sha256 = \"{}\"\nrights = [{{ verbs = [\"read\"] }}]\n\
             [[user]]\nname = \"b\"\ntoken_sha256 = \"{}\"\nrights = [{{ verbs = [\"admin\"] }}]\n",
            a.hash(),
            b.hash()
        );
        let users = users(&text).unwrap();
        assert_eq!(users.by_token(a.secret().as_bytes()).unwrap().name(), "a");
        assert_eq!(users.by_token(b.secret().as_bytes()).unwrap().name(), "b");
        assert_eq!(users.by_token(a.hash().as_bytes()), None);
        assert_eq!(users.by_token(b""), None);
        assert_eq!(users.authenticate("b", b.secret().as_bytes()).unwrap().name(), "b");
        assert_eq!(users.authenticate("a", b.secret().as_bytes()), None);
        assert_eq!(users.authenticate("c", b.secret().as_bytes()), None);
        assert!(!format!("{a:?}").contains(a.secret()));
    }

    #[test]
    fn a_password_opens_the_door_for_its_user() {
        let hash = hash_password(b"hunter42").unwrap();
        let text = format!(
            "[[user]]\nname = \"a\"\npassword_argon2 = \"{hash}\"\nrights = [{{ verbs = [\"read\"] }}]\n"
        );
        let users = users(&text).unwrap();
        assert_eq!(users.authenticate("a", b"hunter42").unwrap().name(), "a");
        assert_eq!(users.authenticate("a", b"hunter43"), None);
        assert_eq!(users.authenticate("b", b"hunter42"), None);
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }

    #[test]
    fn rights_are_verbs_on_a_bucket_and_a_prefix() {
        let text = format!(
            "[[user]]\nname = \"a\"\ntoken_sha256 = \"{}\"\nrights = [\n\
             {{ verbs = [\"read\"] }},\n{{ verbs = [\"update\"], bucket = \"db0\", prefix = \"cart:\" }} ]\n",
            Token::draw().unwrap().hash()
        );
        let users = users(&text).unwrap();
        let user = &users.users[0];
        assert!(user.may(Verb::Read, b"db7", b"x"));
        assert!(user.may(Verb::Update, b"db0", b"cart:1"));
        assert!(!user.may(Verb::Update, b"db0", b"car"));
        assert!(!user.may(Verb::Update, b"db1", b"cart:1"));
        assert!(!user.may(Verb::Admin, b"db0", b"cart:1"));
        assert!(user.may_all(Verb::Update, b"db0", b"cart:"));
        assert!(!user.may_all(Verb::Update, b"db0", b""));
        assert!(user.may_everywhere(Verb::Read) && !user.may_everywhere(Verb::Update));
        assert!(User::everything().may_everywhere(Verb::Admin));
    }

    #[test]
    fn a_user_that_does_not_work_is_refused_by_name() {
        let token = Token::draw().unwrap().hash();
        let token = format!("token_sha256 = \"{token}\"\n");
        let rights = "rights = [{ verbs = [\"read\"] }]\n";
        let cases = [
            (format!("[[user]]\nname = \"a b\"\n{token}{rights}"), "spaces"),
            (format!("[[user]]\nname = \"a\"\n{rights}"), "no secret"),
            (format!("[[user]]\nname = \"a\"\n{token}"), "no rights"),
            (
                format!("[[user]]\nname = \"a\"\n{token}rights = [{{ verbs = [] }}]\n"),
                "without verbs",
            ),
            (format!("[[user]]\nname = \"a\"\ntoken_sha256 = \"12\"\n{rights}"), "64 hexadecimal"),
            (format!("[[user]]\nname = \"a\"\npassword_argon2 = \"x\"\n{rights}"), "no hash"),
            (
                format!(
                    "[[user]]\nname = \"a\"\n{token}{rights}[[user]]\nname = \"a\"\n{token}{rights}"
                ),
                "two of that name",
            ),
            (
                format!("[[user]]\nname = \"a\"\n{token}rights = [{{ verbs = [\"write\"] }}]\n"),
                "write",
            ),
        ];
        for (text, word) in cases {
            let error = users(&text).unwrap_err().to_string();
            assert!(error.contains(word) && error.starts_with("users = users.toml"), "{error}");
        }
    }
}
