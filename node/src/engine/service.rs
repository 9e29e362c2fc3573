//! The machine's service manager: it is told when the node serves, why it does not yet, and when it stops.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::info;

use super::gateway::Gateway;

/// How often it is looked at whether the node serves.
const LOOK: Duration = Duration::from_millis(100);

/// A node may have to wait for others before it serves, as long as that takes. A manager that would end it for that is asked again
/// and again for more time.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_FOR: Duration = Duration::from_secs(60);

/// Says why the node does not serve until it does, and then that.
pub(super) async fn tell_when_serving(gateway: Gateway) {
    let mut told = None;
    let mut asked: Option<tokio::time::Instant> = None;
    while let Some(reason) = gateway.unready() {
        if asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            asked = Some(tokio::time::Instant::now());
            let micros = u32::try_from(ASK_FOR.as_micros()).expect("it is a minute");
            tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
        }
        if told.as_ref() != Some(&reason) {
            tell(&[NotifyState::Status(&reason)]);
            told = Some(reason);
        }
        tokio::time::sleep(LOOK).await;
    }
    info!("the node serves");
    tell(&[NotifyState::Ready, NotifyState::Status("the node serves requests")]);
}

/// Says that the node stops.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Where there is no service manager nobody is told.
    drop(sd_notify::notify(states));
}
