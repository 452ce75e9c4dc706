//! All that a server knows, behind one lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::StatusCode;

use super::{
    Import, Place, Project, Secret,
    folders::{Folder, HeldProject, Projects},
    identity::{Expiry, Identity, Method},
    refusal::Refusal,
};
use crate::tokens::{Found, Tokens};

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a listing says of a folder or an environment that does not exist.
    pub absence: Absence,
    /// How the end of a token is worded.
    pub expiry: Expiry,
    /// How long an access token holds; zero is for ever.
    pub token_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { absence: Absence::default(), expiry: Expiry::default(), token_ttl: Duration::from_hours(2) }
    }
}

/// How a listing words that there is nothing to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    /// As an empty folder: older servers.
    Empty,
    /// As what it is.
    #[default]
    NotFound,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) identities: BTreeMap<String, Identity>,
    pub(super) organizations: BTreeSet<String>,
    pub(super) projects: Projects,
    pub(super) tokens: Tokens<Bearer>,
    pub(super) revoked_tokens: BTreeSet<String>,
    serial: u64,
}

/// Which identity an access token was given to, and for which sub-organization.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) identity: String,
    pub(super) organization: Option<String>,
}

/// Who sends a request, and for which sub-organization.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    pub(super) organization: Option<String>,
}

impl World {
    /// Who bears `token`.
    pub(super) fn caller(&self, token: &str, expiry: Expiry) -> Result<Caller, Refusal> {
        if self.revoked_tokens.contains(token) {
            return Err(Refusal::unauthorized("No identity access token found"));
        }
        let bearer =
            |identity: &&Identity| matches!(&identity.method, Method::Token { access_token } if access_token == token);
        if let Some(identity) = self.identities.values().find(bearer) {
            return Ok(Caller { identity: identity.clone(), organization: None });
        }
        let Bearer { identity, organization } = match (self.tokens.find(token), expiry) {
            (Found::Holds(bearer), _) => bearer,
            (Found::Ended, Expiry::Forbidden) => return Err(Refusal::token("jwt expired")),
            (Found::Ended, Expiry::Unauthorized) => return Err(Refusal::of(StatusCode::UNAUTHORIZED)),
            (Found::Unknown, _) => return Err(Refusal::token("jwt malformed")),
        };
        let identity = self.identities.get(identity).ok_or_else(|| Refusal::unauthorized("Identity not found"))?;
        Ok(Caller { identity: identity.clone(), organization: organization.clone() })
    }

    /// Ends `token`, which must hold now.
    pub(super) fn revoke_token(&mut self, token: &str, expiry: Expiry) -> Result<(), Refusal> {
        self.caller(token, expiry)?;
        self.revoked_tokens.insert(token.to_owned());
        Ok(())
    }

    /// Lets an identity in, or changes how it proves itself and what it may read.
    pub(super) fn grant(&mut self, identity: Identity) {
        self.identities.insert(identity.id.clone(), identity);
    }

    /// The project that `slug` means to `caller`.
    pub(super) fn project(&self, slug: &str, caller: &Caller) -> Result<&HeldProject, Refusal> {
        let project = self.projects.get(slug).filter(|project| project.organization == caller.organization);
        let project = project.ok_or_else(|| {
            Refusal::not_found(format!("Project with slug '{slug}' in organization with ID 'o-1' not found"))
        })?;
        if caller.identity.is_member(slug) {
            Ok(project)
        } else {
            Err(Refusal::forbidden("You are not a member of this project"))
        }
    }

    /// Makes a project, or replaces it with an empty one.
    pub(super) fn make_project(&mut self, project: Project) {
        self.serial += 1;
        self.organizations.extend(project.organization.clone());
        let id = format!("00000000-0000-4000-8000-{:012x}", self.serial);
        self.projects.insert(project.slug.clone(), HeldProject::new(id, project));
    }

    /// The folder at `place`, made where it is missing; `None` where project or environment are.
    pub(super) fn make_folder(&mut self, place: &Place) -> Option<&mut Folder> {
        self.projects.get_mut(&place.project)?.make(&place.environment, &place.path)
    }

    /// Puts a secret in, or a new version of it, and says which; `None` where project or environment are missing.
    pub(super) fn put(&mut self, secret: Secret) -> Option<usize> {
        let Secret { place, name, value, tags, metadata } = secret;
        let held = self.make_folder(&place)?.secrets.entry(name).or_default();
        held.versions.push(value);
        (held.tags, held.metadata) = (tags, metadata);
        Some(held.versions.len())
    }

    /// Gives a secret this metadata and no other; whether it is there.
    pub(super) fn describe(&mut self, place: &Place, name: &str, metadata: BTreeMap<String, String>) -> bool {
        let held = self.make_folder(place).and_then(|folder| folder.secrets.get_mut(name));
        held.map(|held| held.metadata = metadata).is_some()
    }

    /// Takes a secret out; whether it was there.
    pub(super) fn remove(&mut self, place: &Place, name: &str) -> bool {
        self.make_folder(place).is_some_and(|folder| folder.secrets.remove(name).is_some())
    }

    /// Makes a folder import another one; whether project and environment are there.
    pub(super) fn import(&mut self, import: Import) -> bool {
        let Import { into, from_environment, from_path } = import;
        let folder = self.make_folder(&into);
        folder.map(|folder| folder.imports.push((from_environment, super::folders::normal(&from_path)))).is_some()
    }
}
