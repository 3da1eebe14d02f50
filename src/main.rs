//! Parses the command line and calls the command.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tributary::cli::{self, args::Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli) {
        Ok(code) => code,
        // Whoever reads has what they wanted: `tributary rules show | head`.
        Err(error)
            if error.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
