//! `ACL SETUSER`: rules that change a user.

use thiserror::Error;

use super::commands::{CATEGORIES, Named};
use super::{Permitted, Right, Secret, User};
use crate::table;

/// Why a rule is not taken. The texts are Redis's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModifyError {
    /// It is none.
    #[error("Syntax error")]
    Syntax,
    /// It names a command or category that there is not.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// A secret is to be removed that the user does not have.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchSecret,
    /// A digest is none.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    Digest,
}

impl User {
    /// Takes one rule: `on`, `>secret`, `~keys`, `+command`, `-@category` and their like, and, which Redis does not
    /// have, `bucket=pattern` before the keys that lie in such buckets only.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed.
    pub fn modify(&mut self, rule: &[u8]) -> Result<(), ModifyError> {
        let word = rule.to_ascii_lowercase();
        match &word[..] {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"nopass" => {
                self.any_secret = true;
                self.secrets.clear();
            }
            b"resetpass" => {
                self.any_secret = false;
                self.secrets.clear();
            }
            b"allkeys" => self.grant(b"*", true, true)?,
            b"resetkeys" => self.rights.clear(),
            b"allcommands" => self.commands = Permitted::all(),
            b"nocommands" => self.commands = Permitted::none(),
            // There are no channels yet, and nothing else to be sanitized.
            b"allchannels"
            | b"resetchannels"
            | b"sanitize-payload"
            | b"skip-sanitize-payload"
            | b"clearselectors" => {}
            b"reset" => *self = User::new(&self.name),
            _ => return self.modify_by_sign(rule),
        }
        Ok(())
    }

    fn modify_by_sign(&mut self, rule: &[u8]) -> Result<(), ModifyError> {
        match rule {
            [b'>', secret @ ..] => self.add(Secret::of(secret)),
            [b'#', digits @ ..] => self.add(Secret::parse(digits).map_err(|_none| DIGEST)?),
            [b'<', secret @ ..] => self.withdraw(&Secret::of(secret))?,
            [b'!', digits @ ..] => {
                self.withdraw(&Secret::parse(digits).map_err(|_none| DIGEST)?)?
            }
            [b'~', keys @ ..] => self.grant(keys, true, true)?,
            [b'&', ..] => {}
            [b'%', rest @ ..] => {
                let at = rest.iter().position(|byte| *byte == b'~').ok_or(ModifyError::Syntax)?;
                let verbs = rest[..at].to_ascii_uppercase();
                let (read, update) = (verbs.contains(&b'R'), verbs.contains(&b'W'));
                if verbs.is_empty() || verbs.iter().any(|verb| !matches!(verb, b'R' | b'W')) {
                    return Err(ModifyError::Syntax);
                }
                self.grant(&rest[at + 1..], read, update)?;
            }
            [b'+', name @ ..] => self.commands.set(named(name)?, true),
            [b'-', name @ ..] => self.commands.set(named(name)?, false),
            _ => match rule.strip_prefix(b"bucket=") {
                // Confines what was granted last.
                Some(bucket) if !bucket.is_empty() => {
                    let last = self.rights.last_mut().ok_or(ModifyError::Syntax)?;
                    last.bucket = bucket.to_vec();
                }
                Some(_) | None => return Err(ModifyError::Syntax),
            },
        }
        Ok(())
    }

    fn add(&mut self, secret: Secret) {
        self.any_secret = false;
        if !self.secrets.contains(&secret) {
            self.secrets.push(secret);
        }
    }

    fn withdraw(&mut self, secret: &Secret) -> Result<(), ModifyError> {
        let at = self.secrets.iter().position(|known| known == secret);
        self.secrets.remove(at.ok_or(ModifyError::NoSuchSecret)?);
        Ok(())
    }

    fn grant(&mut self, keys: &[u8], read: bool, update: bool) -> Result<(), ModifyError> {
        if keys.is_empty() {
            return Err(ModifyError::Syntax);
        }
        let right = Right { read, update, bucket: b"*".to_vec(), keys: keys.to_vec() };
        if !self.rights.contains(&right) {
            self.rights.push(right);
        }
        Ok(())
    }
}

const DIGEST: ModifyError = ModifyError::Digest;

/// What `+` or `-` is about.
fn named(name: &[u8]) -> Result<Named, ModifyError> {
    if let [b'@', category @ ..] = name {
        let category = category.to_ascii_lowercase();
        if category == b"all" {
            return Ok(Named::All);
        }
        let known = CATEGORIES.into_iter().find(|known| known.as_bytes() == category);
        return known.map(Named::Category).ok_or(ModifyError::Unknown);
    }
    let (command, place, child) = table::named(name).ok_or(ModifyError::Unknown)?;
    Ok(match child {
        None => Named::Command(place, command),
        Some(child) => Named::Subcommand(place, child),
    })
}

/// The rules of one right, in the words of `ACL SETUSER`.
#[must_use]
pub fn right_rules(right: &Right) -> String {
    let keys = String::from_utf8_lossy(&right.keys);
    let keys = match (right.read, right.update) {
        (true, true) => format!("~{keys}"),
        (true, false) => format!("%R~{keys}"),
        (false, _) => format!("%W~{keys}"),
    };
    if right.bucket == b"*" {
        keys
    } else {
        format!("{keys} bucket={}", String::from_utf8_lossy(&right.bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::Verb;

    fn user(rules: &[&str]) -> Result<User, ModifyError> {
        let mut user = User::new("u");
        for rule in rules {
            user.modify(rule.as_bytes())?;
        }
        Ok(user)
    }

    fn may(user: &User, name: &str) -> bool {
        user.commands.permits(table::lookup(name.as_bytes()).unwrap().1)
    }

    #[test]
    fn rules_say_what_a_user_may() {
        let u = user(&["on", ">a", "~cart:*", "%R~x*", "bucket=db3", "+@read", "-get"]).unwrap();
        assert!(u.enabled && u.proves(b"a") && !u.proves(b"b"));
        assert!(!may(&u, "get") && !may(&u, "set"));
        assert!(u.may(Verb::Update, b"db0", b"cart:1") && !u.may(Verb::Read, b"db0", b"x"));
        assert!(u.may(Verb::Read, b"db3", b"x") && !u.may(Verb::Update, b"db3", b"x"));
        assert_eq!(u.commands.rules(), "-@all +@read -get");
        assert_eq!(right_rules(&u.rights[1]), "%R~x* bucket=db3");
        let u = user(&["allcommands", "-set", "nopass", "on"]).unwrap();
        assert!(may(&u, "get") && !may(&u, "set") && u.proves(b"whatever"));
        assert!(!may(&user(&["+@all", "reset"]).unwrap(), "get"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for rule in ["", "onn", "%X~a", "%~a", "%R", "bucket=x", "~"] {
            assert_eq!(user(&[rule]), Err(ModifyError::Syntax), "{rule}");
        }
        for rule in ["+nosuch", "-@nosuch", "+get|x"] {
            assert_eq!(user(&[rule]), Err(ModifyError::Unknown), "{rule}");
        }
        assert_eq!(user(&["<a"]), Err(ModifyError::NoSuchSecret));
        assert_eq!(user(&["#abc"]), Err(ModifyError::Digest));
    }
}
