//! What is wrong with a configuration, and what in it has no effect.

use std::fmt;
use std::path::Path;

/// The path of a fault of the text as a whole.
pub(super) const WHOLE_FILE: &str = "(file)";

/// One mistake: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `tenants.acme.plugin_settings.metrics.url`, an environment variable, or a file's name.
    pub path: String,
    /// Counted from 1; `None` for what is not in the file.
    pub line: Option<usize>,
    /// What is wrong, with the value; a secret is `***`.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

/// All mistakes of a configuration, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// Something that is accepted and does not do what one may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// As in [`Fault::path`].
    pub path: String,
    pub line: Option<usize>,
    /// Why it has no effect, and what replaces it.
    pub message: String,
}

impl Faults {
    /// Puts them in the order of the file; `None` if there are none.
    pub(super) fn of(mut faults: Vec<Fault>) -> Option<Self> {
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        if faults.is_empty() { None } else { Some(Self(faults)) }
    }

    /// The same with the file's name where the whole file is meant.
    pub(super) fn of_file(mut self, file: &Path) -> Self {
        for fault in self.0.iter_mut().filter(|fault| fault.path == WHOLE_FILE) {
            fault.path = file.display().to_string();
        }
        self
    }

    /// The mistakes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks: Vec<_> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&blocks.join("\n"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Position { path: &self.path, line: self.line };
        write!(f, "error: {at}: {}; {}", self.problem, self.remedy)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "warning: {}: {}", Position { path: &self.path, line: self.line }, self.message)
    }
}

struct Position<'a> {
    path: &'a str,
    line: Option<usize>,
}

impl fmt::Display for Position<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line})", self.path),
            None => f.write_str(self.path),
        }
    }
}
