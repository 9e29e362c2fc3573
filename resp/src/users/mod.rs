//! Users: who they are, and what they may do.
//!
//! A user has secrets, commands that it may give, and rights: verbs on keys that match a pattern in buckets that match
//! one. A command is checked by its name before its arguments are kept, and by its keys afterwards.

mod commands;
mod modify;
mod secret;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use commands::{CATEGORIES, Permitted, in_category};
pub use modify::{ModifyError, right_rules};
pub use secret::{NoDigest, Secret};

use crate::glob;
use crate::table::{Access, Category, Command, Flag};

/// The user that clients are before they say who they are.
pub const DEFAULT: &str = "default";

/// What a command does to what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// It reads keys.
    Read,
    /// It changes keys.
    Update,
    /// It is for operators.
    Admin,
}

impl Verb {
    /// What a command needs; `None` where everybody may.
    #[must_use]
    pub fn of(command: &Command) -> Option<Verb> {
        match () {
            () if command.has(Flag::Admin) => Some(Verb::Admin),
            () if command.has(Flag::Write) => Some(Verb::Update),
            () if command.has(Flag::Readonly) => Some(Verb::Read),
            () if command.categories.contains(&Category::Dangerous) => Some(Verb::Admin),
            () => None,
        }
    }
}

/// Which keys a user may read or change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// Whether it may read them.
    pub read: bool,
    /// Whether it may change them.
    pub update: bool,
    /// Buckets, as a pattern.
    pub bucket: Vec<u8>,
    /// Keys, as a pattern.
    pub keys: Vec<u8>,
}

impl Right {
    /// Everything.
    #[must_use]
    pub fn all() -> Right {
        Right { read: true, update: true, bucket: b"*".to_vec(), keys: b"*".to_vec() }
    }

    fn is_all(&self) -> bool {
        self.read && self.update && self.bucket == b"*" && self.keys == b"*"
    }

    fn covers(&self, verb: Verb, bucket: &[u8], key: &[u8]) -> bool {
        let may = match verb {
            Verb::Read => self.read,
            Verb::Update => self.update,
            Verb::Admin => false,
        };
        may && glob::matches(&self.bucket, bucket) && glob::matches(&self.keys, key)
    }
}

/// Somebody who may give commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Whether it may log in.
    pub enabled: bool,
    /// Whether any secret will do.
    pub any_secret: bool,
    /// What it proves itself by.
    pub secrets: Vec<Secret>,
    /// The commands that it may give.
    pub commands: Permitted,
    /// The keys that it may use.
    pub rights: Vec<Right>,
}

impl User {
    /// One that exists and may do nothing yet.
    #[must_use]
    pub fn new(name: &str) -> User {
        User {
            name: name.to_owned(),
            enabled: false,
            any_secret: false,
            secrets: Vec::new(),
            commands: Permitted::none(),
            rights: Vec::new(),
        }
    }

    /// One that may do everything, without a secret: the default user of a door that only this machine reaches.
    #[must_use]
    pub fn unrestricted(name: &str) -> User {
        User {
            enabled: true,
            any_secret: true,
            commands: Permitted::all(),
            rights: vec![Right::all()],
            ..User::new(name)
        }
    }

    /// One out of a configuration: verbs with the bucket and the keys' prefix that they are for; `None` for any bucket.
    #[must_use]
    pub fn configured(
        name: &str,
        secrets: Vec<Secret>,
        rights: &[(Verb, Option<&str>, &[u8])],
    ) -> User {
        let mut user = User { enabled: true, secrets, ..User::new(name) };
        for (verb, bucket, keys) in rights {
            user.commands.permit_verb(*verb);
            let bucket = bucket.map_or_else(|| b"*".to_vec(), |name| exactly(name.as_bytes()));
            let (read, update) = match verb {
                Verb::Read => (true, false),
                Verb::Update => (false, true),
                Verb::Admin => continue,
            };
            user.rights.push(Right { read, update, bucket, keys: glob::prefix(keys) });
        }
        user.commands.permit_everybody();
        user
    }

    /// Whether this secret is one of its.
    #[must_use]
    pub fn proves(&self, secret: &[u8]) -> bool {
        let given = Secret::of(secret);
        // All are compared, so that time says nothing about which.
        let known = self.secrets.iter().fold(false, |known, secret| known | secret.is(&given));
        self.enabled && (self.any_secret || known)
    }

    /// Whether it may use a key of a bucket this way.
    #[must_use]
    pub fn may_access(&self, bucket: &[u8], key: &[u8], access: Access) -> bool {
        match access {
            Access::Read => self.may(Verb::Read, bucket, key),
            Access::Insert | Access::Overwrite | Access::Delete => {
                self.may(Verb::Update, bucket, key)
            }
            Access::Update => {
                self.may(Verb::Read, bucket, key) && self.may(Verb::Update, bucket, key)
            }
        }
    }

    /// Whether it may do this with a key of a bucket.
    #[must_use]
    pub fn may(&self, verb: Verb, bucket: &[u8], key: &[u8]) -> bool {
        self.rights.iter().any(|right| right.is_all() || right.covers(verb, bucket, key))
    }
}

/// The pattern that matches just this text.
fn exactly(text: &[u8]) -> Vec<u8> {
    let mut pattern = glob::prefix(text);
    pattern.pop();
    pattern
}

/// All users of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// Rises with every change, so that connections look again who they are.
    pub version: u64,
    users: BTreeMap<String, Arc<User>>,
}

impl Default for Users {
    /// One who may do everything without a secret.
    fn default() -> Self {
        Users::new([User::unrestricted(DEFAULT)])
    }
}

impl Users {
    /// These. Without a default user, who says nothing may do nothing.
    #[must_use]
    pub fn new(users: impl IntoIterator<Item = User>) -> Users {
        let users = users.into_iter().map(|user| (user.name.clone(), Arc::new(user)));
        let mut users = Users { version: 1, users: users.collect() };
        users.users.entry(DEFAULT.to_owned()).or_insert_with(|| Arc::new(User::new(DEFAULT)));
        users
    }

    /// These in the place of others: connections look again who they are.
    #[must_use]
    pub fn after(self, others: &Users) -> Users {
        Users { version: others.version + 1, ..self }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.users.get(std::str::from_utf8(name).ok()?)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The user that clients are before they say who they are, if it needs no secret.
    #[must_use]
    pub fn without_secret(&self) -> Option<&Arc<User>> {
        self.users.get(DEFAULT).filter(|user| user.enabled && user.any_secret)
    }

    /// The user of a name, if the secret is its. A name that nobody has takes as long.
    #[must_use]
    pub fn authenticate(&self, name: &[u8], secret: &[u8]) -> Option<&Arc<User>> {
        match self.get(name) {
            Some(user) => Some(user).filter(|user| user.proves(secret)),
            None => {
                let nobody = User::new("");
                Some(()).filter(|()| nobody.proves(secret)).and(None)
            }
        }
    }

    /// Changes one, or makes it.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed.
    pub fn set(&mut self, name: &str, modifiers: &[&[u8]]) -> Result<(), ModifyError> {
        let mut user = self.users.get(name).map_or_else(|| User::new(name), |u| (**u).clone());
        for modifier in modifiers {
            user.modify(modifier)?;
        }
        self.users.insert(name.to_owned(), Arc::new(user));
        self.version += 1;
        Ok(())
    }

    /// Removes one; false where there is none. The default one stays.
    pub fn remove(&mut self, name: &str) -> bool {
        let removed = name != DEFAULT && self.users.remove(name).is_some();
        self.version += u64::from(removed);
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    #[test]
    fn a_configured_user_may_do_what_its_rights_say_and_no_more() {
        let rights = [(Verb::Read, Some("db0"), &b"cart:"[..]), (Verb::Update, None, b"tmp:")];
        let user = User::configured("ann", vec![Secret::of(b"s3")], &rights);
        let may = |name: &str| user.commands.permits(table::lookup(name.as_bytes()).unwrap().1);
        assert!(may("get") && may("set") && may("ping") && !may("shutdown"));
        assert!(user.may(Verb::Read, b"db0", b"cart:1"));
        assert!(!user.may(Verb::Read, b"db1", b"cart:1"));
        assert!(!user.may(Verb::Update, b"db0", b"cart:1"));
        assert!(user.may_access(b"db7", b"tmp:1", Access::Overwrite));
        assert!(!user.may_access(b"db7", b"tmp:1", Access::Update), "it must not read there");
    }

    #[test]
    fn who_has_no_name_or_secret_here_is_nobody() {
        let mut users = Users::default();
        assert!(users.without_secret().is_some());
        users.set(DEFAULT, &[b">s3cret", b"-@all", b"+get"]).unwrap();
        assert!(users.without_secret().is_none());
        assert!(users.authenticate(b"default", b"s3cret").is_some());
        assert!(users.authenticate(b"default", b"s3cre").is_none());
        assert!(users.authenticate(b"bob", b"s3cret").is_none());
        assert!(!users.remove(DEFAULT) && !users.remove("bob"));
    }

    #[test]
    fn a_change_that_is_refused_changes_nothing() {
        let mut users = Users::default();
        let before = users.clone();
        assert!(users.set("bob", &[b"on", b"+nosuchcommand"]).is_err());
        assert_eq!(users, before);
    }
}
