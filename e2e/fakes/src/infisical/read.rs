//! `GET /api/v3/secrets/raw` and `GET /api/v3/secrets/raw/{name}`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Place,
    folders::{Folder, HeldProject, HeldSecret, normal},
    reference::Expander,
    refusal::Refusal,
    world::{Absence, Caller, World},
};

/// What stands in the place of a value that may not be read.
const HIDDEN: &str = "<hidden-by-infisical>";
/// How deep imports of imports are followed.
const DEEPEST: usize = 10;

/// The query of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    workspace_slug: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    secret_path: String,
    #[serde(default)]
    recursive: Flag,
    #[serde(default, rename = "include_imports")]
    include_imports: Flag,
    #[serde(default)]
    expand_secret_references: Flag,
    #[serde(default = "shown")]
    view_secret_value: Flag,
}

/// The query of one secret.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GetQuery {
    #[serde(default)]
    workspace_slug: String,
    #[serde(default)]
    environment: String,
    #[serde(default)]
    secret_path: String,
    #[serde(default)]
    version: Option<usize>,
    #[serde(default, rename = "type")]
    kind: Kind,
    #[serde(default, rename = "include_imports")]
    include_imports: Flag,
    #[serde(default)]
    expand_secret_references: Flag,
    #[serde(default = "shown")]
    view_secret_value: Flag,
}

/// `true` or `false`, and nothing else that might mean it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Flag {
    #[default]
    False,
    True,
}

fn shown() -> Flag {
    Flag::True
}

/// Machine identities have no personal secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Personal,
    #[default]
    Shared,
}

impl Flag {
    fn is_on(self) -> bool {
        self == Self::True
    }
}

/// A project as one caller sees it.
struct View<'a> {
    project: &'a HeldProject,
    slug: &'a str,
    caller: &'a Caller,
    expand: bool,
    values: bool,
}

pub(super) fn list(world: &World, caller: &Caller, query: &ListQuery, absence: Absence) -> Result<Value, Refusal> {
    let project = project(world, caller, &query.workspace_slug, &query.environment)?;
    let values = query.view_secret_value.is_on();
    let expand = query.expand_secret_references.is_on() && values;
    let view = View { project, slug: &query.workspace_slug, caller, expand, values };
    if query.recursive.is_on() && !project.has(&query.environment) {
        let text = format!("Environment with slug '{}' in project with ID {} not found", query.environment, project.id);
        return Err(Refusal::not_found(text));
    }
    let folders = project.tree(&query.environment, &query.secret_path, query.recursive.is_on());
    if folders.is_empty() && absence == Absence::NotFound {
        return Err(Refusal::not_found(format!(
            "Folder with path '{}' in environment '{}' was not found. Please ensure the environment slug and secret path \
             is correct.",
            normal(&query.secret_path),
            query.environment
        )));
    }
    let (mut secrets, mut imports, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (path, folder) in folders {
        let place = view.place(&query.environment, path);
        secrets.extend(view.own(&place, folder, path == normal(&query.secret_path))?);
        if query.include_imports.is_on() {
            imports.extend(view.imports(folder, DEEPEST, &mut seen, &|place, name| view.shows_import(place, name))?);
        }
    }
    Ok(json!({"secrets": secrets, "imports": imports}))
}

pub(super) fn get(world: &World, caller: &Caller, name: &str, query: &GetQuery) -> Result<Value, Refusal> {
    let project = project(world, caller, &query.workspace_slug, &query.environment)?;
    let values = query.view_secret_value.is_on();
    let expand = query.expand_secret_references.is_on() && values;
    let view = View { project, slug: &query.workspace_slug, caller, expand, values };
    let place = view.place(&query.environment, &query.secret_path);
    let folder = project.folder(&place.environment, &place.path).ok_or_else(|| {
        let Place { environment, path, .. } = &place;
        Refusal::not_found(format!("Folder with path '{path}' in environment with slug '{environment}' not found"))
    })?;
    if !caller.identity.may_describe(&place, name) {
        return Err(Refusal::denied());
    }
    let own = folder.secrets.get(name).filter(|_| query.kind == Kind::Shared);
    let own = own.filter(|secret| secret.value(query.version).is_some());
    if let Some(secret) = own {
        view.must_show(&place, name)?;
        return Ok(json!({"secret": view.entry(&place, name, secret, query.version, true)?}));
    }
    if query.include_imports.is_on() {
        let imports = view
            .imports(folder, DEEPEST, &mut BTreeSet::new(), &|place, name| caller.identity.may_describe(place, name))?;
        let found = imports.iter().rev().find_map(|import| {
            let secret = import["secrets"].as_array()?.iter().find(|secret| secret["secretKey"] == name)?;
            Some((import, secret))
        });
        if let Some((import, secret)) = found {
            let text = |name: &str| import[name].as_str().unwrap_or_default();
            view.must_show(&view.place(text("environment"), text("secretPath")), name)?;
            let mut secret = secret.clone();
            secret["secretPath"] = import["secretPath"].clone();
            return Ok(json!({"secret": secret}));
        }
    }
    Err(Refusal::not_found(format!("Secret with name '{name}' not found")))
}

fn project<'a>(world: &'a World, caller: &Caller, slug: &str, environment: &str) -> Result<&'a HeldProject, Refusal> {
    if slug.is_empty() || environment.is_empty() {
        return Err(Refusal::bad_request("Missing project id or environment"));
    }
    world.project(slug, caller)
}

impl View<'_> {
    fn place(&self, environment: &str, path: &str) -> Place {
        Place::new(self.slug, environment, path)
    }

    /// A folder's own secrets. In the folder that was asked for itself a value that may not be read refuses everything;
    /// below it, it is left out.
    fn own(&self, place: &Place, folder: &Folder, asked_for: bool) -> Result<Vec<Value>, Refusal> {
        let identity = &self.caller.identity;
        let mut entries = Vec::new();
        for (name, secret) in &folder.secrets {
            if !identity.may_describe(place, name) {
                continue;
            }
            match self.must_show(place, name) {
                Ok(()) => entries.push(self.entry(place, name, secret, None, true)?),
                Err(refusal) if asked_for => return Err(refusal),
                Err(_) => {}
            }
        }
        Ok(entries)
    }

    fn must_show(&self, place: &Place, name: &str) -> Result<(), Refusal> {
        if !self.values || self.caller.identity.may_read(place, name) { Ok(()) } else { Err(Refusal::denied()) }
    }

    fn shows_import(&self, place: &Place, name: &str) -> bool {
        let identity = &self.caller.identity;
        if self.values { identity.may_read(place, name) } else { identity.may_describe(place, name) }
    }

    /// What a folder imports, one group for each imported folder; what that imports in turn is part of its group.
    fn imports(
        &self,
        folder: &Folder,
        depth: usize,
        seen: &mut BTreeSet<(String, String)>,
        shows: &dyn Fn(&Place, &str) -> bool,
    ) -> Result<Vec<Value>, Refusal> {
        let mut groups = Vec::new();
        for (environment, path) in &folder.imports {
            let Some(source) = self.project.folder(environment, path) else { continue };
            if depth == 0 || !seen.insert((environment.clone(), path.clone())) {
                continue;
            }
            let place = self.place(environment, path);
            let mut secrets = Vec::new();
            for (name, secret) in source.secrets.iter().filter(|(name, _)| shows(&place, name)) {
                secrets.push(self.entry(&place, name, secret, None, false)?);
            }
            for deeper in self.imports(source, depth - 1, seen, shows)? {
                secrets.extend(deeper["secrets"].as_array().cloned().unwrap_or_default());
            }
            groups.push(json!({"environment": environment, "secretPath": path, "secrets": secrets}));
        }
        Ok(groups)
    }

    /// A secret as it stands in an answer; imported ones (`own` is false) come without path and tags.
    fn entry(
        &self,
        place: &Place,
        name: &str,
        secret: &HeldSecret,
        version: Option<usize>,
        own: bool,
    ) -> Result<Value, Refusal> {
        let value = secret.value(version).unwrap_or_default();
        let value = match (self.values, self.expand) {
            (false, _) => HIDDEN.to_owned(),
            (true, false) => value.to_owned(),
            (true, true) => {
                let expander = Expander { project: self.project, slug: self.slug, caller: self.caller };
                expander.expand(value, place)?
            }
        };
        let metadata =
            secret.metadata.iter().map(|(key, value)| json!({"key": key, "value": value, "isEncrypted": false}));
        let id = format!("{}{}/{name}", place.environment, place.path);
        let mut entry = json!({
            "id": id,
            "_id": id,
            "workspace": self.project.id,
            "environment": place.environment,
            "version": version.unwrap_or(secret.versions.len()),
            "type": "shared",
            "secretKey": name,
            "secretValue": value,
            "secretValueHidden": !self.values,
            "secretComment": "",
            "secretMetadata": metadata.collect::<Value>(),
            "skipMultilineEncoding": false,
        });
        if own {
            let tags = secret.tags.iter().map(|slug| json!({"id": slug, "slug": slug, "name": slug, "color": ""}));
            entry["secretPath"] = json!(place.path);
            entry["tags"] = tags.collect();
        }
        Ok(entry)
    }
}
