//! Users of Redis clients: one copy for the node, handed to every lane's door when it changes.

use std::sync::{Arc, Mutex, PoisonError};

use coterie_resp::users::{ModifyError, Secret, User, Users, Verb};
use tracing::warn;

use crate::config;

/// Who may come in by Redis' protocol.
#[derive(Clone, Debug)]
pub struct People {
    users: Arc<Mutex<Arc<Users>>>,
}

impl People {
    /// Those of the configuration; one who may do everything where it names nobody.
    #[must_use]
    pub fn new(configured: Option<&config::UsersFile>) -> People {
        let users = configured.map_or_else(Users::default, |file| {
            Users::new(file.users().iter().filter_map(converted))
        });
        People { users: Arc::new(Mutex::new(Arc::new(users))) }
    }

    /// The configuration has changed: those of it, and nobody else, as after Redis' `ACL LOAD`.
    #[must_use]
    pub fn replace(&self, configured: &config::Users) -> Arc<Users> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Users::new(configured.iter().filter_map(converted));
        *users = Arc::new(fresh.after(&users));
        Arc::clone(&users)
    }

    /// All, as they are now.
    #[must_use]
    pub fn users(&self) -> Arc<Users> {
        Arc::clone(&self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes one, or makes it.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing is changed.
    pub fn set(&self, name: &str, rules: &[&[u8]]) -> Result<Arc<Users>, ModifyError> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Users::clone(&users);
        changed.set(name, rules)?;
        *users = Arc::new(changed);
        Ok(Arc::clone(&users))
    }

    /// Removes some: all that are left, and how many were there.
    #[must_use]
    pub fn remove(&self, names: &[String]) -> (Arc<Users>, u64) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Users::clone(&users);
        let removed = names.iter().filter(|name| changed.remove(name)).count();
        *users = Arc::new(changed);
        (Arc::clone(&users), removed as u64)
    }
}

/// A user as Redis' protocol knows it: by its token. A password that is kept slow to try is for HTTP only, where it is
/// checked off the lanes.
fn converted(user: &config::User) -> Option<User> {
    let Some(digest) = user.token_digest() else {
        warn!(user = user.name(), "the user has no token, and so cannot come in by RESP");
        return None;
    };
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = Secret::parse(digits.as_bytes()).expect("a digest has 32 bytes");
    let mut rights: Vec<(Verb, Option<&str>, &[u8])> = Vec::new();
    for right in user.rights() {
        for verb in &right.verbs {
            let verb = match verb {
                config::Verb::Read => Verb::Read,
                config::Verb::Update => Verb::Update,
                config::Verb::Admin => Verb::Admin,
            };
            rights.push((verb, right.bucket.as_deref(), right.prefix.as_bytes()));
        }
    }
    Some(User::configured(user.name(), vec![secret], &rights))
}
