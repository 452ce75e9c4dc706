//! What the server holds: projects, their environments, folders, and secrets with their versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A project with its environments.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its slug.
    pub slug: String,
    /// The slugs of its environments.
    pub environments: Vec<String>,
    /// The sub-organization that it belongs to; without one it is the root organization's.
    #[serde(default)]
    pub organization: Option<String>,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Slug of the project.
    pub project: String,
    /// Slug of the environment.
    pub environment: String,
    /// Absolute path; one slash is the root.
    #[serde(default = "root")]
    pub path: String,
}

/// A secret that is put into the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// Its folder, which is made where it is missing.
    #[serde(flatten)]
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The slugs of its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// A folder whose secrets appear in another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// The folder that imports.
    #[serde(flatten)]
    pub into: Place,
    /// Environment of the imported folder.
    pub from_environment: String,
    /// Path of the imported folder.
    pub from_path: String,
}

fn root() -> String {
    "/".to_owned()
}

impl Project {
    /// A project of the root organization.
    pub fn new(slug: &str, environments: &[&str]) -> Self {
        let environments = environments.iter().map(|&environment| environment.to_owned()).collect();
        Self { slug: slug.to_owned(), environments, organization: None }
    }
}

impl Place {
    /// The folder `path` of an environment.
    pub fn new(project: &str, environment: &str, path: &str) -> Self {
        Self { project: project.to_owned(), environment: environment.to_owned(), path: normal(path) }
    }
}

impl Secret {
    /// A secret without tags and metadata.
    pub fn new(place: &Place, name: &str, value: &str) -> Self {
        let (place, name, value) = (place.clone(), name.to_owned(), value.to_owned());
        Self { place, name, value, tags: Vec::new(), metadata: BTreeMap::new() }
    }

    /// The same secret with these tags.
    #[must_use]
    pub fn tagged(self, tags: &[&str]) -> Self {
        Self { tags: tags.iter().map(|&tag| tag.to_owned()).collect(), ..self }
    }

    /// The same secret with this metadata.
    #[must_use]
    pub fn described(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A path as the server keeps it: no slash at the end, one at the front.
pub(super) fn normal(path: &str) -> String {
    let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
    format!("/{}", names.join("/"))
}

/// All projects by slug.
pub(super) type Projects = BTreeMap<String, HeldProject>;

#[derive(Debug)]
pub(super) struct HeldProject {
    pub(super) id: String,
    pub(super) organization: Option<String>,
    /// Folders by environment and path.
    environments: BTreeMap<String, BTreeMap<String, Folder>>,
}

#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) secrets: BTreeMap<String, HeldSecret>,
    /// Environment and path, in the order in which they were made.
    pub(super) imports: Vec<(String, String)>,
}

#[derive(Debug, Default)]
pub(super) struct HeldSecret {
    pub(super) versions: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl HeldProject {
    pub(super) fn new(id: String, project: Project) -> Self {
        let root = || BTreeMap::from([(root(), Folder::default())]);
        let environments = project.environments.into_iter().map(|environment| (environment, root())).collect();
        Self { id, organization: project.organization, environments }
    }

    pub(super) fn has(&self, environment: &str) -> bool {
        self.environments.contains_key(environment)
    }

    pub(super) fn folder(&self, environment: &str, path: &str) -> Option<&Folder> {
        self.environments.get(environment)?.get(&normal(path))
    }

    /// `path` and, if wanted, all folders below it.
    pub(super) fn tree(&self, environment: &str, path: &str, recursive: bool) -> Vec<(&str, &Folder)> {
        let path = normal(path);
        let below = format!("{}/", path.trim_end_matches('/'));
        let folders = self.environments.get(environment).into_iter().flatten();
        let wanted = folders.filter(|(name, _)| **name == path || (recursive && name.starts_with(&below)));
        wanted.map(|(name, folder)| (name.as_str(), folder)).collect()
    }

    /// The folder at `path`, made with its parents where it is missing; `None` where the environment is.
    pub(super) fn make(&mut self, environment: &str, path: &str) -> Option<&mut Folder> {
        let folders = self.environments.get_mut(environment)?;
        let path = normal(path);
        for (end, _) in path.match_indices('/').skip(1) {
            folders.entry(path[..end].to_owned()).or_default();
        }
        Some(folders.entry(path).or_default())
    }
}

impl HeldSecret {
    /// The newest value, or a version's.
    pub(super) fn value(&self, version: Option<usize>) -> Option<&str> {
        match version {
            None => self.versions.last(),
            Some(number) => self.versions.get(number.checked_sub(1)?),
        }
        .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{HeldProject, Project};

    #[test]
    fn folders_are_made_with_their_parents() {
        let mut project = HeldProject::new("id".into(), Project::new("p", &["dev"]));
        assert!(project.make("prod", "/").is_none());
        assert!(project.make("dev", "a/b/c/").is_some());
        let paths = |recursive| -> Vec<_> {
            project.tree("dev", "/a", recursive).into_iter().map(|(path, _)| path.to_owned()).collect()
        };
        assert_eq!((paths(false), paths(true)), (vec!["/a".into()], vec!["/a".into(), "/a/b".into(), "/a/b/c".into()]));
        assert_eq!(project.tree("dev", "/", true).len(), 4);
        assert!(project.folder("dev", "/a/b").is_some() && project.folder("dev", "/b").is_none());
    }
}
