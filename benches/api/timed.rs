//! How long answers take.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::server::Server;

/// Milliseconds, sorted.
pub struct Times(pub Vec<f64>);

impl Times {
    pub fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// So many of a hundred took at most that, in milliseconds.
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        self.0.get((last * share).round() as usize).copied().unwrap_or_default()
    }

    pub fn told(&self) -> Value {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| (self.at(share) * 10.0).round() / 10.0);
        json!({ "p50_ms": p50, "p99_ms": p99, "max_ms": most, "answers": self.0.len() })
    }

    pub fn print(&self, name: &str) {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| self.at(share));
        println!("{name:<44} {:>6} answers  p50 {p50:>8.1} ms  p99 {p99:>8.1} ms  most {most:>8.1} ms", self.0.len());
    }
}

/// Asks one after the other, each question over again, after a few that do not count.
pub async fn measure(
    server: &Server,
    name: &str,
    times: u32,
    question: impl Fn(u32) -> (u32, String),
) -> Result<Times> {
    const WARM_UP: u32 = 8;
    let mut taken = Vec::new();
    for n in 0..WARM_UP + times {
        let (of, question) = question(n);
        let began = Instant::now();
        let answer = server.text(0, of, &question).await?;
        if n >= WARM_UP {
            taken.push(began.elapsed().as_secs_f64() * 1e3);
        }
        anyhow::ensure!(answer.contains("amount"), "no rows in {answer}");
    }
    let times = Times::of(taken);
    times.print(name);
    Ok(times)
}
