//! Tells systemd (`Type=notify`) how far the service is; says nothing where nobody listens.

use sd_notify::NotifyState;

/// The roles have begun.
pub fn ready() {
    say(NotifyState::Ready);
}

/// The service is about to end.
pub fn stopping() {
    say(NotifyState::Stopping);
}

fn say(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
