//! Walking through the folders of a mount, page by page.

use crate::path::Place;

/// Folders that are still to be looked into. Between two pages they are the text of [`keyferry_core::Page::next`].
pub(crate) struct Folders {
    root: Place,
    pending: Vec<String>,
}

impl Folders {
    /// Begins at `root`, or goes on `after` a page.
    pub(crate) fn pending(root: Place, after: Option<&str>) -> Result<Self, &'static str> {
        let pending = match after {
            None => vec![root.inner().to_owned()],
            Some(after) => serde_json::from_str(after).map_err(|_| "the page to go on after is not one of ours")?,
        };
        Ok(Self { root, pending })
    }

    /// The next folders, at most `count`.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Place> {
        let count = count.min(self.pending.len());
        self.pending.drain(..count).map(|inner| self.root.with_inner(inner)).collect()
    }

    pub(crate) fn add(&mut self, folder: &Place) {
        self.pending.push(folder.inner().to_owned());
    }

    pub(crate) fn next_page(&self) -> Option<String> {
        if self.pending.is_empty() { None } else { serde_json::to_string(&self.pending).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::Folders;
    use crate::{config::KvVersion, path::Paths};

    #[test]
    fn what_is_left_is_looked_into_on_the_next_page() {
        let root = Paths::new(Some("kv"), KvVersion::V2).folder(Some("a")).expect("a folder");
        let mut folders = Folders::pending(root.clone(), None).expect("a beginning");
        assert_eq!(folders.take(2).as_slice(), std::slice::from_ref(&root));
        assert_eq!(folders.next_page(), None);
        for name in ["x/", "y\"\n/", "z/"] {
            folders.add(&root.entry(name));
        }
        assert_eq!(folders.take(1), [root.entry("x")]);
        let next = folders.next_page().expect("more");
        let mut folders = Folders::pending(root.clone(), Some(&next)).expect("a page");
        assert_eq!(folders.take(9), [root.entry("y\"\n"), root.entry("z")]);
        assert!(Folders::pending(root, Some("nonsense")).is_err());
    }
}
