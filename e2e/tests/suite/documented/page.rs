//! A page of the documentation, cut into the parts that can be tried.

use std::fs;

use anyhow::{Context, Result, ensure};
use keyferry_e2e::harness::repository;

/// Where the pages are.
pub(super) const PAGES: &str = "docs/backends";

/// The section that tells errors and remedies.
const ERRORS: &str = "When something is wrong";

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// For messages: `docs/backends/vault.md`.
    path: String,
    text: String,
    sections: Vec<Section>,
}

/// A heading, and what stands below it up to the next one.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) heading: String,
    blocks: Vec<Block>,
    /// The first cell of each row of its tables.
    cells: Vec<String>,
}

/// A fenced block.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
}

/// What a message says, with gaps for what differs from case to case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern<'a>(&'a str);

impl Page {
    /// Reads a page such as `vault.md`.
    pub(super) fn read(file: &str) -> Result<Self> {
        let path = format!("{PAGES}/{file}");
        let text = fs::read_to_string(repository().join(&path)).with_context(|| format!("failed to read {path}"))?;
        Self::parse(path, text)
    }

    fn parse(path: String, text: String) -> Result<Self> {
        let mut sections: Vec<Section> = Vec::new();
        let mut open: Option<Block> = None;
        for line in text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => {
                    let section = sections.last_mut().with_context(|| format!("{path} begins without a heading"))?;
                    section.blocks.extend(open.take());
                }
                (Some(block), None) => block.text.extend([line, "\n"]),
                (None, Some(language)) => {
                    open = Some(Block { language: language.trim().to_owned(), text: String::new() });
                }
                (None, None) => match (line.strip_prefix('#'), line.strip_prefix('|'), sections.last_mut()) {
                    (Some(heading), ..) => {
                        let heading = heading.trim_start_matches('#').trim().to_owned();
                        sections.push(Section { heading, blocks: Vec::new(), cells: Vec::new() });
                    }
                    (None, Some(row), Some(section)) => section.cells.extend(row.split('|').next().map(str::to_owned)),
                    _ => {}
                },
            }
        }
        ensure!(open.is_none(), "{path}: a block is not closed");
        for (index, section) in sections.iter().enumerate() {
            let twice = sections[..index].iter().any(|other| other.heading == section.heading);
            ensure!(!twice, "{path} has two sections \"{}\"", section.heading);
        }
        Ok(Self { path, text, sections })
    }

    /// Where it is, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it has a link to another page.
    pub(super) fn links_to(&self, file: &str) -> bool {
        self.text.contains(&format!("]({file})"))
    }

    /// The section with this heading.
    pub(super) fn section(&self, heading: &str) -> Result<&Section> {
        let found = self.sections.iter().find(|section| section.heading == heading);
        found.with_context(|| format!("{} has no section \"{heading}\"", self.path))
    }

    /// The headings of all sections that have a manifest.
    pub(super) fn with_manifests(&self) -> impl Iterator<Item = &str> {
        let sections = self.sections.iter().filter(|section| !section.texts("yaml").is_empty());
        sections.map(|section| section.heading.as_str())
    }

    /// The message of the table of errors that begins like this.
    pub(super) fn error(&self, beginning: &str) -> Result<Pattern<'_>> {
        let mut patterns = self.section(ERRORS)?.cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let found = patterns.find(|pattern| pattern.starts_with(beginning));
        found.map(Pattern).with_context(|| format!("{}: no error begins with \"{beginning}\"", self.path))
    }
}

impl Section {
    /// The blocks of a language.
    pub(super) fn texts(&self, language: &str) -> Vec<&str> {
        let blocks = self.blocks.iter().filter(|block| block.language == language);
        blocks.map(|block| block.text.as_str()).collect()
    }

    /// The only block of a language.
    pub(super) fn text(&self, language: &str) -> Result<&str> {
        match self.texts(language)[..] {
            [text] => Ok(text),
            ref texts => anyhow::bail!("the section \"{}\" has {} {language} blocks", self.heading, texts.len()),
        }
    }
}

impl Pattern<'_> {
    /// What a message must hold, in this order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('…').map(str::trim).filter(|part| !part.is_empty())
    }

    /// Whether a message says this.
    pub(super) fn matches(&self, message: &str) -> bool {
        let rest = self.parts().try_fold(message, |rest, part| rest.split_once(part).map(|(_, rest)| rest));
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Pattern};

    const PAGE: &str = "# Vault\n\nText | text.\n\n## A token\n\n```sh\n# vault\nx\n```\n\n```yaml\na: 1\n```\n\nMore.\n
```yaml\nb: 2\n```\n\n## When something is wrong\n\n| the condition says | do |\n|---|---|\n| `no … of …`, `or that` | `x` |\n";

    fn page(text: &str) -> anyhow::Result<Page> {
        Page::parse("page.md".to_owned(), text.to_owned())
    }

    #[test]
    fn blocks_belong_to_the_heading_above_them() {
        let page = page(PAGE).expect("a page");
        let token = page.section("A token").expect("a section");
        assert_eq!(token.texts("yaml"), ["a: 1\n", "b: 2\n"]);
        assert_eq!(token.text("sh").ok(), Some("# vault\nx\n"));
        assert!(token.text("yaml").is_err() && token.text("hcl").is_err());
        assert_eq!(page.with_manifests().collect::<Vec<_>>(), ["A token"]);
        assert!(page.section("vault").is_err());
    }

    #[test]
    fn errors_stand_in_the_first_column() {
        let page = page(PAGE).expect("a page");
        assert_eq!(page.error("no ").ok(), Some(Pattern("no … of …")));
        assert_eq!(page.error("or").ok(), Some(Pattern("or that")));
        assert!(page.error("x").is_err());
    }

    #[test]
    fn a_pattern_names_parts_in_their_order() {
        let pattern = Pattern("version … of … is gone");
        assert!(pattern.matches("RemoteNotFound: version 3 of a/b is gone; create it"));
        assert!(!pattern.matches("of a/b version 3 is gone"));
        assert!(!pattern.matches("version 3 of a/b"));
    }

    #[test]
    fn a_page_that_cannot_be_cut_is_refused() {
        for wrong in ["# a\n```yaml\n", "```yaml\n```\n", "# a\n## a\n"] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
    }
}
