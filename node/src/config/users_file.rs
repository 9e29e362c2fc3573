//! The file of users, which may change while the node runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::{Users, UsersError};
use crate::watched::Watched;

/// The users of a file, as it was read last. All clones change together.
#[derive(Clone, Debug)]
pub struct UsersFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    users: Watched<Users>,
}

impl UsersFile {
    /// Reads a file of `[[user]]` tables.
    ///
    /// # Errors
    /// [`UsersError`]
    pub fn load(path: &Path) -> Result<UsersFile, UsersError> {
        let users = Watched::new(vec![path.to_owned()], || Users::load(path))?;
        Ok(UsersFile { shared: Arc::new(Shared { path: path.to_owned(), users }) })
    }

    /// All who may come in now.
    #[must_use]
    pub fn users(&self) -> Arc<Users> {
        self.shared.users.current()
    }

    /// Reads the file again if it has changed: who may come in from now on. `None` if it has not.
    ///
    /// # Errors
    /// [`UsersError`]: those who could come in before still can.
    #[must_use]
    pub fn reload_if_changed(&self) -> Option<Result<Arc<Users>, UsersError>> {
        let reloaded = self.shared.users.reload_if_changed(|| Users::load(&self.shared.path))?;
        Some(reloaded.map(|()| self.users()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::access::Token;
    use super::*;

    #[test]
    fn who_may_come_in_changes_with_the_file_and_not_with_one_that_does_not_work() {
        let (old, new) = (Token::draw().unwrap(), Token::draw().unwrap());
        let text = |token: &Token| {
            let hash = token.hash();
            format!(
                "[[user]]\nname = \"a\"\ntoken_sha256 = \"{hash}\"\nrights = [{{ verbs = [\"read\"] }}]\n"
            )
        };
        let comes_in = |file: &UsersFile, token: &Token| {
            file.users().by_token(token.secret().as_bytes()).is_some()
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text(&old)).unwrap();
        let users = UsersFile::load(file.path()).unwrap();
        assert!(users.reload_if_changed().is_none());
        assert!(comes_in(&users, &old) && !comes_in(&users, &new));
        fs::write(file.path(), "[[user]]\nname = \"a\"\n").unwrap();
        assert!(users.reload_if_changed().unwrap().is_err());
        assert!(comes_in(&users, &old), "who could come in still can");
        fs::write(file.path(), text(&new)).unwrap();
        users.reload_if_changed().unwrap().unwrap();
        assert!(!comes_in(&users, &old) && comes_in(&users, &new));
    }
}
