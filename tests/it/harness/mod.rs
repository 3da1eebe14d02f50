//! What the tests stand on: services once per test process, a topic prefix and a database per test.

mod billed;
#[path = "../../simulation/dice.rs"]
mod dice;
mod http;
mod issuer;
mod own;
mod prometheus;
mod proxy;
mod running;
mod services;
mod world;

pub use billed::BilledCluster;
pub use dice::Dice;
pub use http::{Answer, request, unchunk};
pub use issuer::{Issuer, SigningKey};
pub use own::Own;
pub use prometheus::{Prometheus, free_port, installed};
pub use proxy::{Moment, Proxy, Wire};
pub use running::{Running, processes_in, until};
pub use services::{Addresses, Installation, sql};
pub use world::{Upstream, World, worlds};

use std::process::{Command, Output};

/// Runs a command to its end and shows what it printed if it fails.
#[track_caller]
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the command can be started");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Runs a command that must fail, and returns all it printed.
#[track_caller]
pub fn fail(command: &mut Command) -> String {
    let output = command.output().expect("the command can be started");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{command:?} should have failed:\n{text}");
    text
}
