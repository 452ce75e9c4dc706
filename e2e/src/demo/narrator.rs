//! What the demo says, in chapters and lines.

use std::io::{Stdout, Write, stdout};
use std::time::Instant;

use anyhow::Result;

/// Columns that the subject of a line takes.
const SUBJECT: usize = 30;
/// Columns that what is said of it takes, before the time.
const TEXT: usize = 66;

/// Tells the story on standard output.
#[derive(Debug)]
pub(super) struct Narrator {
    chapter: u32,
    out: Stdout,
}

impl Narrator {
    pub(super) fn new() -> Self {
        Self { chapter: 0, out: stdout() }
    }

    /// Begins a chapter.
    pub(super) fn chapter(&mut self, title: &str) -> Result<()> {
        self.chapter += 1;
        writeln!(&self.out, "\n{}. {title}", self.chapter)?;
        Ok(())
    }

    /// Something that is so.
    pub(super) fn fact(&self, subject: &str, text: &str) -> Result<()> {
        writeln!(&self.out, "   {subject:SUBJECT$} {text}")?;
        Ok(())
    }

    /// Something that has happened, and how long it took.
    pub(super) fn event(&self, subject: &str, text: &str, since: Instant) -> Result<()> {
        writeln!(&self.out, "   {subject:SUBJECT$} {text:TEXT$} {:7.2} s", since.elapsed().as_secs_f64())?;
        Ok(())
    }

    /// Lines as they are, apart from the rest.
    pub(super) fn aside(&self, text: &str) -> Result<()> {
        writeln!(&self.out, "\n{text}")?;
        Ok(())
    }
}
