//! Files that operators may change while the node runs: certificates, keys, and who may come in.

use std::fmt::Display;
use std::time::Duration;

use tracing::{info, warn};

use super::inbox::Router;
use crate::certificates::Certificates;
use crate::config::{DoorCertificate, UsersFile};
use crate::resp::{self, People};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// What changes with its files.
#[derive(Debug)]
pub(super) struct Renewal {
    /// Between nodes.
    pub(super) certificates: Certificates,
    /// Of the door of Redis clients.
    pub(super) resp: Option<DoorCertificate>,
    /// Of the HTTP door.
    pub(super) http: Option<DoorCertificate>,
    /// The file of users.
    pub(super) users: Option<UsersFile>,
    /// Users, as the lanes' doors know them.
    pub(super) people: People,
    pub(super) router: Router,
}

impl Renewal {
    /// Looks again and again, until it is dropped.
    pub(super) async fn run(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            told("certificates and keys of nodes", self.certificates.reload_if_changed());
            for (what, door) in [("the RESP door", &self.resp), ("the HTTP door", &self.http)] {
                let changed = door.as_ref().and_then(DoorCertificate::reload_if_changed);
                told(&format!("the certificate of {what}"), changed);
            }
            let changed = self.users.as_ref().and_then(UsersFile::reload_if_changed);
            if let Some(users) = told("the file of users", changed) {
                resp::change_users(&self.router, self.people.replace(&users)).await;
            }
        }
    }
}

/// What was read again, if anything was and it works.
fn told<T>(what: &str, changed: Option<Result<T, impl Display>>) -> Option<T> {
    match changed? {
        Ok(read) => {
            info!("{what} has changed, and was read again");
            Some(read)
        }
        Err(error) => {
            warn!(%error, "{what} has changed, and cannot be used: what was there before is in use");
            None
        }
    }
}
