//! One reading of a file: the environment it sees, and what it finds wrong.

use std::cell::RefCell;
use std::path::Path;

use super::fault::{Fault, WHOLE_FILE, Warning};
use super::section::Section;
use super::yaml::{Content, Node};

/// What all sections of one reading share.
pub(super) struct Reader<'a> {
    /// Looks variables up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// What paths of files to be read count from.
    pub folder: &'a Path,
    /// No file is read; the sections only say what they would read.
    pub describing: bool,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Warning>>,
}

impl<'a> Reader<'a> {
    /// A reader that knows these faults of the text already.
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>, folder: &'a Path, faults: Vec<Fault>) -> Self {
        Self { env, folder, describing: false, faults: RefCell::new(faults), warnings: RefCell::default() }
    }

    /// A reader of nothing.
    pub fn describing() -> Self {
        Self { describing: true, ..Self::new(&|_| None, Path::new(""), vec![]) }
    }

    /// Reads the whole file as one section.
    pub fn root<R>(&'a self, node: Option<&'a Node>, read: impl FnOnce(&mut Section<'_>) -> R) -> R {
        let entries = match node.map(|node| (&node.content, node.line)) {
            None => None,
            Some((Content::Map(entries), _)) => Some(entries.as_slice()),
            Some((_, line)) => {
                let problem = "the file is not a section of keys and values".into();
                let remedy = "write `tenants:` and the like at its left border".into();
                self.fault(Fault { path: WHOLE_FILE.into(), line, problem, remedy });
                None
            }
        };
        let mut section = Section::new(self, String::new(), None, entries);
        let out = read(&mut section);
        section.finish();
        out
    }

    /// Faults and warnings found.
    pub fn finish(self) -> (Vec<Fault>, Vec<Warning>) {
        (self.faults.into_inner(), self.warnings.into_inner())
    }

    /// Is there a fault at this path or inside?
    pub fn faulty(&self, path: &str) -> bool {
        self.faults.borrow().iter().any(|fault| within(&fault.path, path))
    }

    /// Records a fault.
    pub fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    /// Records a warning.
    pub fn warn(&self, warning: Warning) {
        self.warnings.borrow_mut().push(warning);
    }
}

fn within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
