//! A file that is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file under a name of its own beside the one it becomes. Dropped unfinished, it goes.
#[derive(Debug)]
pub struct Unfinished {
    /// `None` once it is finished.
    out: Option<BufWriter<File>>,
    here: PathBuf,
    becomes: PathBuf,
}

impl Unfinished {
    /// Begins it, with the folders on the way. What a crash left under the same name is overwritten.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn begin(becomes: PathBuf) -> io::Result<Self> {
        let told =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", becomes.display()));
        let (Some(folder), Some(name)) = (becomes.parent(), becomes.file_name()) else {
            return Err(told(io::ErrorKind::InvalidInput.into()));
        };
        fs::create_dir_all(folder).map_err(told)?;
        let here = folder.join(format!(".{}.unfinished", name.to_string_lossy()));
        let out = Some(BufWriter::with_capacity(1 << 18, File::create(&here).map_err(told)?));
        Ok(Self { out, here, becomes })
    }

    /// Makes it durable, then lets it take the place of the one before. Blocks.
    ///
    /// # Errors
    /// What the system says, with the path; the file before is as it was.
    pub fn finish(mut self) -> io::Result<()> {
        let finished = self.out.take().map_or(Ok(()), |out| {
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(&self.here, &self.becomes)?;
            // The name, too, is to be there after a power cut.
            File::open(self.becomes.parent().unwrap_or(Path::new(".")))?.sync_all()
        });
        finished.map_err(|error| {
            let _ = fs::remove_file(&self.here);
            io::Error::new(error.kind(), format!("cannot write {}: {error}", self.becomes.display()))
        })
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = fs::remove_file(&self.here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect()
    }

    #[test]
    fn readers_see_the_old_file_or_the_whole_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/x.csv");
        let write = |text: &str| {
            let mut file = Unfinished::begin(path.clone()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        };
        write("one").finish().unwrap();
        let second = write("two");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        drop(second);
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(path.parent().unwrap())),
            ("one", vec!["x.csv".into()])
        );
        write("three").finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
    }

    #[test]
    fn an_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("taken"), "").unwrap();
        let error = Unfinished::begin(dir.path().join("taken/x.csv")).unwrap_err().to_string();
        assert!(error.contains("taken/x.csv"), "{error}");
    }
}
