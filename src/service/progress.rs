//! What a person sees while something takes long; nothing where nobody watches.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One line on the terminal that says what is going on. In a pipe it goes to the log instead.
#[derive(Debug, Clone)]
pub struct Say {
    bar: Option<ProgressBar>,
}

impl Say {
    /// Shows itself if standard error is a terminal.
    pub fn new() -> Self {
        Self { bar: std::io::stderr().is_terminal().then(spinner) }
    }

    /// Replaces the line.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => tracing::info!("{text}"),
        }
    }

    /// Replaces the line where it is seen; numbers that change often do not belong in a log.
    pub fn count(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Takes the line away.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Say {
    fn default() -> Self {
        Self::new()
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
