//! The requests to the API, and what their answers mean.

use std::sync::Arc;

use keyferry_core::{CallObserver, Error, ErrorKind, Result};
use keyferry_rest::{Answer, BaseUrl, Request, Session, Url};

use crate::{
    PROVIDER,
    address::Address,
    auth::MachineIdentity,
    config::{InfisicalConfig, Scope},
    refusal::{self, Missing, place},
    wire::{Entry, Listing, One},
};

/// Reading one secret, in the words of the metrics.
pub(crate) const GET: &str = "GetSecretByKeyV3";
/// Listing secrets, in the words of the metrics.
pub(crate) const LIST: &str = "GetSecretsV3";

/// How many calls of one batch or search are under way at once. They are independent of each other, and a batch shall
/// not last as long as all of them one by one.
pub(crate) const PARALLEL: usize = 4;

/// The root folder, which every environment has.
const ROOT: &str = "/";
/// A name that is asked for only to learn whether its folder exists.
const PROBE: &str = "KEYFERRY_PROBE";

/// The API, seen through one store.
#[derive(Debug)]
pub(crate) struct Client {
    http: keyferry_rest::Client,
    base: BaseUrl,
    scope: Scope,
    session: Session<MachineIdentity>,
}

/// Whether an answer shall hold values. Without, the server need not even decrypt them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Hidden,
    Shown,
}

/// What a listing shall hold beside the folder's own secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) imports: bool,
    pub(crate) subfolders: bool,
    pub(crate) values: Values,
}

/// Why a secret was not read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) error: Error,
    /// Asking for other secrets of the same folder would end alike.
    pub(crate) folder_wide: bool,
}

/// What became of the search for a folder.
enum Place {
    Found,
    /// With the error that says so.
    NoEnvironment(Error),
    NoFolder,
}

impl Client {
    pub(crate) fn new(config: InfisicalConfig, observer: Arc<dyn CallObserver>) -> Result<Self> {
        let base = config.base()?;
        let http = keyferry_rest::Client::new(PROVIDER, &config.tls, Arc::clone(&observer))?;
        let scope = config.scope.checked()?;
        let organization = scope.organization_slug.clone();
        let identity =
            MachineIdentity::new((config.auth, config.ambient), organization, (http.clone(), base.clone()), observer)?;
        Ok(Self { http, base, scope, session: Session::new(identity) })
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// One secret by its name.
    pub(crate) async fn secret(
        &self,
        address: &Address,
        version: Option<u64>,
        values: Values,
    ) -> Result<Entry, Unread> {
        let answer = self.ask_for(address, version, values).await.map_err(|error| Unread::new(error, true))?;
        if answer.is_success() {
            let one: Result<One> = answer.json();
            return one.map(|one| one.secret).map_err(|error| Unread::new(error, false));
        }
        match refusal::missing(&answer) {
            Some(Missing::Folder) => Err(Unread::new(self.no_folder(&answer, &address.folder).await, true)),
            Some(Missing::Secret) => Err(Unread::new(refusal::error(&answer, &self.scope), false)),
            _ => {
                let error = refusal::error(&answer, &self.scope);
                let folder_wide = error.kind != ErrorKind::AccessDenied;
                Err(Unread::new(error, folder_wide))
            }
        }
    }

    /// The secrets of `folder`. A folder or an environment that does not exist is an empty listing, whether the server
    /// says so or keeps quiet about it, as older ones do: see [`Client::must_exist`].
    pub(crate) async fn listing(&self, folder: &str, extent: Extent) -> Result<Listing> {
        let url = self.url("v3/secrets/raw")?;
        let about = format!("the secrets of folder {folder} in {}", place(&self.scope));
        let flag = |on: bool| if on { "true" } else { "false" };
        let shown = extent.values == Values::Shown;
        let request = || {
            self.scoped(self.http.get(LIST, url.clone()), folder)
                .about(about.clone())
                .query("include_imports", flag(extent.imports))
                .query("recursive", flag(extent.subfolders))
                .query("expandSecretReferences", flag(shown && self.scope.expand_secret_references))
                .query("viewSecretValue", flag(shown))
        };
        let answer = self.authorized(request).await?;
        if answer.is_success() {
            return answer.json();
        }
        match refusal::missing(&answer) {
            Some(Missing::Folder) => Ok(Listing::default()),
            _ => Err(refusal::error(&answer, &self.scope)),
        }
    }

    /// Fails when `folder` or the environment does not exist. Empty listings do not tell.
    pub(crate) async fn must_exist(&self, folder: &str) -> Result<()> {
        match self.find(folder).await? {
            Place::Found => Ok(()),
            Place::NoEnvironment(error) => Err(error),
            Place::NoFolder => {
                let place = place(&self.scope);
                let named = if folder == self.scope.secrets_path { "secretsScope.secretsPath" } else { "find.path" };
                let text = format!("there is no folder {folder} in {place}; create it, or correct {named}");
                Err(self.http.invalid(GET, text))
            }
        }
    }

    /// Gives the present login back, if there is one.
    pub(crate) async fn leave(&self) {
        if let Some(grant) = self.session.leave() {
            self.session.login().revoke(&grant).await;
        }
    }

    /// What it means that the server knows no `folder`: the environment may be wrong as well.
    async fn no_folder(&self, answer: &Answer, folder: &str) -> Error {
        if folder == ROOT {
            return refusal::no_environment(answer, &self.scope);
        }
        match self.find(ROOT).await {
            Ok(Place::NoEnvironment(error)) | Err(error) => error,
            Ok(Place::Found | Place::NoFolder) => {
                answer.error(ErrorKind::NotFound, format!("there is no folder {folder} in {}", place(&self.scope)))
            }
        }
    }

    /// The server looks for the folder before it looks at permissions, so that any other refusal means that the
    /// folder is there.
    async fn find(&self, folder: &str) -> Result<Place> {
        let mut folder = folder;
        let mut found = Place::Found;
        loop {
            let probe = Address { folder: folder.to_owned(), name: PROBE.to_owned() };
            let answer = self.ask_for(&probe, None, Values::Hidden).await?;
            match (answer.status(), refusal::missing(&answer)) {
                (_, Some(Missing::Folder)) if folder == ROOT => {
                    return Ok(Place::NoEnvironment(refusal::no_environment(&answer, &self.scope)));
                }
                (_, Some(Missing::Folder)) => (folder, found) = (ROOT, Place::NoFolder),
                (200 | 403, _) | (_, Some(Missing::Secret)) => return Ok(found),
                _ => return Err(refusal::error(&answer, &self.scope)),
            }
        }
    }

    async fn ask_for(&self, address: &Address, version: Option<u64>, values: Values) -> Result<Answer> {
        let Address { folder, name } = address;
        let url = self.url(&format!("v3/secrets/raw/{name}"))?;
        let number = version.map(|number| number.to_string());
        let which = number.as_ref().map(|number| format!("version {number} of ")).unwrap_or_default();
        let about = format!("{which}the secret {name} in folder {folder} of {}", place(&self.scope));
        let shown = values == Values::Shown;
        let flag = |on: bool| if on { "true" } else { "false" };
        let request = || {
            let request = self
                .scoped(self.http.get(GET, url.clone()), folder)
                .about(about.clone())
                .query("type", "shared")
                // An imported secret has no versions here: the server would answer with its newest one.
                .query("include_imports", flag(version.is_none()))
                .query("expandSecretReferences", flag(shown && self.scope.expand_secret_references))
                .query("viewSecretValue", flag(shown));
            match &number {
                Some(number) => request.query("version", number),
                None => request,
            }
        };
        self.authorized(request).await
    }

    /// Sends `request` with the present login, and once more with a new one if the server does not accept that.
    async fn authorized<'a>(&self, request: impl Fn() -> Request<'a> + Sync) -> Result<Answer> {
        let request = &request;
        self.session
            .with(|token| async move {
                let answer = request().bearer(&token).send().await?;
                if refusal::wants_new_login(&answer) {
                    let remedy = self.session.login().remedy();
                    let text = format!("the access token is not accepted for {}; {remedy}", answer.about());
                    return Err(answer.error(ErrorKind::Unauthenticated, text));
                }
                Ok(answer)
            })
            .await
    }

    fn scoped<'a>(&self, request: Request<'a>, folder: &str) -> Request<'a> {
        request
            .query("workspaceSlug", &self.scope.project_slug)
            .query("environment", &self.scope.environment_slug)
            .query("secretPath", folder)
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.base.join(path).map_err(|error| self.http.invalid(GET, format!("the path {path} {error}")))
    }
}

impl Unread {
    fn new(error: Error, folder_wide: bool) -> Self {
        Self { error, folder_wide }
    }
}
