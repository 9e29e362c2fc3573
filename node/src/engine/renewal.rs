//! Files that operators may change while the node runs: certificates, keys, and who may come in.

use std::fmt::Display;
use std::time::Duration;

use tracing::{info, warn};

use super::inbox::Router;
use crate::certificates::Certificates;
use crate::config::{Door, DoorCertificate, Settings, UsersFile};
use crate::resp::{self, People};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// What changes with its files.
#[derive(Clone, Debug)]
pub(super) struct Renewal {
    /// Between nodes.
    pub(super) certificates: Certificates,
    /// Of the door of Redis clients.
    pub(super) resp: Option<DoorCertificate>,
    /// Of the HTTP door.
    pub(super) http: Option<DoorCertificate>,
    /// Who may come in by both.
    pub(super) users: Option<UsersFile>,
}

impl Renewal {
    /// Reads all for the first time: what keeps a node from starting does not end one that runs.
    ///
    /// # Errors
    /// Which file does not work, and why.
    pub(super) fn load(settings: &Settings) -> anyhow::Result<Renewal> {
        let certificate = |door: &Door| door.tls.clone().map(DoorCertificate::load).transpose();
        Ok(Renewal {
            certificates: Certificates::load(&settings.certificates)?,
            resp: certificate(&settings.resp)?,
            http: certificate(&settings.http)?,
            users: settings.users.clone(),
        })
    }

    /// Looks again and again, until it is dropped. Lanes are told of other users.
    pub(super) async fn run(self, people: People, router: Router) {
        loop {
            tokio::time::sleep(EVERY).await;
            told("certificates and keys of nodes", self.certificates.reload_if_changed());
            for (what, door) in [("the RESP door", &self.resp), ("the HTTP door", &self.http)] {
                let changed = door.as_ref().and_then(DoorCertificate::reload_if_changed);
                told(&format!("the certificate of {what}"), changed);
            }
            let changed = self.users.as_ref().and_then(UsersFile::reload_if_changed);
            if let Some(users) = told("the file of users", changed) {
                resp::change_users(&router, people.replace(&users)).await;
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
