//! The file of a history, written while it happens: a storm that is killed leaves what was seen until a second before.

use std::{
    fs::File,
    io::{BufWriter, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::line::Line;

/// A storm of thousands of requests a second writes megabytes a second: by the page, not by the line.
const BUFFER_BYTES: usize = 256 * 1024;
/// What a storm that is killed may lose, with time to spare.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Where the lines of a history go; nowhere, if nobody wants them. Clones write to the same file.
#[derive(Clone, Default)]
pub struct Journal(Option<Arc<Mutex<Open>>>);

struct Open {
    file: BufWriter<File>,
    /// The first of its errors: what comes after it is not written.
    failed: Option<std::io::Error>,
}

impl Journal {
    /// To this file, from its beginning.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(Some(Arc::new(Mutex::new(Open {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            failed: None,
        }))))
    }

    pub(in crate::storm) fn write<'a>(&self, line: impl FnOnce() -> Line<'a>) {
        if self.0.is_some() {
            let mut text = line().to_json();
            text.push('\n');
            self.with(|file| file.write_all(text.as_bytes()));
        }
    }

    /// Brings to the file what was written, again and again until `token` is cancelled.
    pub(in crate::storm) async fn keep_flushed(self, token: CancellationToken) {
        let mut next = tokio::time::interval(FLUSH_EVERY);
        while token.run_until_cancelled(next.tick()).await.is_some() {
            self.with(BufWriter::flush);
        }
    }

    /// Brings all of it to the file.
    ///
    /// # Errors
    /// When anything could not be written.
    pub(in crate::storm) fn finish(&self) -> std::io::Result<()> {
        self.with(BufWriter::flush);
        let open = self.0.as_ref().map(|open| open.lock());
        match open.and_then(|open| open.expect("nothing under it can panic").failed.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn with(&self, act: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) {
        let Some(open) = &self.0 else {
            return;
        };
        let mut open = open.lock().expect("nothing under it can panic");
        if open.failed.is_none() {
            open.failed = act(&mut open.file).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_line_is_in_the_file_within_a_second() {
        let path = std::env::temp_dir().join(format!("journal-{}", uuid::Uuid::new_v4()));
        let journal = Journal::new(File::create(&path).unwrap());
        let flushing = CancellationToken::new();
        let _flushing = flushing.clone().drop_guard();
        tokio::spawn(journal.clone().keep_flushed(flushing));
        // The first look at the file comes at once: what is written after it has to wait for the next.
        tokio::time::sleep(Duration::from_millis(100)).await;
        journal.write(|| Line::End { seconds: 1.0 });
        let written = Instant::now();
        while std::fs::read_to_string(&path).unwrap().is_empty() {
            assert!(written.elapsed() < Duration::from_secs(1), "it is not");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_could_not_be_written_is_told_in_the_end() {
        let journal = Journal::new(File::create("/dev/full").unwrap());
        journal.write(|| Line::End { seconds: 1.0 });
        assert!(journal.finish().is_err());
        assert!(Journal::default().finish().is_ok());
    }
}
