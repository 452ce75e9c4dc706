//! Secret Manager: what readers ask it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    filter::{self, Term},
    people::Role,
    refusal::Refusal,
    secrets::{Held, Place, State, parent},
    world::{Settings, World},
};

/// A question, as its path puts it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    about: About<'a>,
    location: Option<&'a str>,
    pub(super) project: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
enum About<'a> {
    Secret(&'a str),
    Secrets,
    Value { secret: &'a str, version: &'a str },
    Versions(&'a str),
}

impl<'a> Question<'a> {
    /// What `rest` of a path, below a project or location, asks for.
    pub(super) fn of(project: &'a str, location: Option<&'a str>, rest: &[&'a str]) -> Option<Self> {
        let about = match *rest {
            ["secrets"] => About::Secrets,
            ["secrets", secret] => About::Secret(secret),
            ["secrets", secret, "versions"] => About::Versions(secret),
            ["secrets", secret, "versions", call] => About::Value { secret, version: call.strip_suffix(":access")? },
            _ => return None,
        };
        Some(Self { about, location, project })
    }

    pub(super) fn operation(&self) -> &'static str {
        match self.about {
            About::Secret(_) => "GetSecret",
            About::Secrets => "ListSecrets",
            About::Value { .. } => "AccessSecretVersion",
            About::Versions(_) => "ListSecretVersions",
        }
    }

    /// Whether all names in it are of the form that such names have.
    fn is_well_formed(&self) -> bool {
        let is_name = |name: &str, longest: usize| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=longest).contains(&name.len()) && name.bytes().all(known)
        };
        let is_secret = |secret: &str| is_name(secret, 255);
        self.location.is_none_or(|location| is_name(location, 63))
            && match self.about {
                About::Secrets => true,
                About::Secret(secret) | About::Versions(secret) => is_secret(secret),
                // A number, an alias, or `latest`.
                About::Value { secret, version } => is_secret(secret) && is_name(version, 63),
            }
    }

    fn place(&self, name: &str) -> Place {
        let Self { location, project, .. } = self;
        Place { location: location.map(str::to_owned), name: name.to_owned(), project: (*project).to_owned() }
    }
}

/// What `member` is answered.
pub(super) fn answer(
    world: &World,
    settings: &Settings,
    member: &str,
    question: &Question<'_>,
    query: &[(String, String)],
) -> Result<Value, Refusal> {
    if !question.is_well_formed() {
        return Err(Refusal::invalid("Invalid resource field value in the request."));
    }
    if !world.people.has_project(question.project) {
        let message = format!("Permission denied on resource project {}.", question.project);
        return Err(Refusal::forbidden("CONSUMER_INVALID", message));
    }
    let caller = Caller { member, question, world };
    match question.about {
        About::Secret(name) => {
            Parameters::parse(query, false, settings)?;
            let place = question.place(name);
            let held = caller.find(Role::Viewer, "secretmanager.secrets.get", &place, "")?;
            Ok(held.to_json(&place))
        }
        About::Secrets => {
            let parameters = Parameters::parse(query, true, settings)?;
            if parameters.terms.iter().any(|term| matches!(term, Term::State(_))) {
                return Err(Refusal::invalid("Invalid filter."));
            }
            let at = parent(question.project, question.location, false);
            if !world.people.may(member, Role::Viewer, question.project) {
                return Err(Refusal::denied("secretmanager.secrets.list", &at));
            }
            let found = world.secrets.of(question.project, question.location);
            let found = found.filter(|(place, held)| filter::finds(&parameters.terms, &place.name, &held.labels));
            let found = found.map(|(place, held)| (place.name.clone(), held.to_json(place)));
            parameters.page(&at, "secrets", found.collect())
        }
        About::Value { secret, version } => {
            Parameters::parse(query, false, settings)?;
            caller.value(&question.place(secret), version)
        }
        About::Versions(secret) => {
            let parameters = Parameters::parse(query, true, settings)?;
            let place = question.place(secret);
            let held = caller.find(Role::Viewer, "secretmanager.versions.list", &place, "")?;
            let only_enabled = match parameters.terms[..] {
                [] => false,
                [Term::State(ref state)] if state == "ENABLED" => true,
                _ => return Err(Refusal::invalid("Invalid filter.")),
            };
            let found = held.versions().filter(|version| !only_enabled || version.state == State::Enabled);
            let found = found.map(|version| {
                // Newest first: pages go on where the number is smaller.
                (format!("{:010}", u32::MAX - version.number), version.to_json(&place, parameters.numbers))
            });
            parameters.page(&place.path(), "versions", found.collect())
        }
    }
}

struct Caller<'a> {
    member: &'a str,
    question: &'a Question<'a>,
    world: &'a World,
}

impl Caller<'_> {
    /// The secret, if the caller may do this with it; that it is not there is told only to who may see the project.
    fn find(&self, role: Role, permission: &str, place: &Place, version: &str) -> Result<&Held, Refusal> {
        if !self.world.people.may_use(self.member, role, place) {
            let at = parent(self.question.project, self.question.location, false);
            return Err(Refusal::denied(permission, &format!("{at}/secrets/{}{version}", place.name)));
        }
        let held = self.world.secrets.get(place);
        held.ok_or_else(|| Refusal::not_found(format!("Secret [{}] not found or has no versions.", place.path())))
    }

    fn value(&self, place: &Place, called: &str) -> Result<Value, Refusal> {
        let held = self.find(Role::Accessor, "secretmanager.versions.access", place, &format!("/versions/{called}"))?;
        let version = held.version(called).ok_or_else(|| {
            Refusal::not_found(format!("Secret Version [{}/versions/{called}] not found.", place.path()))
        })?;
        let name = format!("{}/versions/{}", place.path(), version.number);
        let state = match version.state {
            State::Destroyed => "DESTROYED",
            State::Disabled => "DISABLED",
            State::Enabled => {
                let sum = crc32c::crc32c(&version.value).to_string();
                return Ok(json!({
                    "name": name,
                    "payload": {"data": STANDARD.encode(&version.value), "dataCrc32c": sum},
                }));
            }
        };
        Err(Refusal::precondition(format!("Secret Version [{name}] is in {state} state.")))
    }
}

/// The parameters that the API knows.
#[derive(Debug)]
struct Parameters {
    filter: String,
    /// Enumerations are wanted as numbers.
    numbers: bool,
    size: usize,
    terms: Vec<Term>,
    token: String,
}

impl Parameters {
    fn parse(query: &[(String, String)], is_listing: bool, settings: &Settings) -> Result<Self, Refusal> {
        let mut parameters = Self {
            filter: String::new(),
            numbers: false,
            size: settings.page,
            terms: Vec::new(),
            token: String::new(),
        };
        for (name, value) in query {
            match (name.as_str(), is_listing) {
                ("$alt" | "alt", _) if value == "json" || value.starts_with("json;") => {
                    parameters.numbers = value.contains("enum-encoding=int");
                }
                ("filter", true) => {
                    parameters.terms = filter::parse(value).ok_or_else(|| Refusal::invalid("Invalid filter."))?;
                    parameters.filter.clone_from(value);
                }
                ("pageSize", true) => {
                    let size: usize = value.parse().map_err(|_| Refusal::invalid("Invalid value at 'page_size'."))?;
                    parameters.size = if size == 0 { settings.page } else { size.min(settings.page) };
                }
                ("pageToken", true) => parameters.token.clone_from(value),
                _ => {
                    let message =
                        format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter.");
                    return Err(Refusal::invalid(message));
                }
            }
        }
        Ok(parameters)
    }

    /// One page of `found`, which is sorted by its keys.
    fn page(&self, parent: &str, member: &str, found: Vec<(String, Value)>) -> Result<Value, Refusal> {
        let question = format!("{parent}\n{}\n", self.filter);
        let after = match self.token.as_str() {
            "" => String::new(),
            token => URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|token| String::from_utf8(token).ok())
                .and_then(|token| token.strip_prefix(&question).map(str::to_owned))
                .ok_or_else(|| Refusal::invalid("The provided page token is not valid for this request."))?,
        };
        let total = found.len();
        let mut rest: Vec<_> = found.into_iter().filter(|(key, _)| *key > after).collect();
        let later = rest.split_off(self.size.min(rest.len()));
        let next = rest.last().filter(|_| !later.is_empty()).map(|(last, _)| URL_SAFE_NO_PAD.encode(question + last));
        let mut answer = json!({});
        // Empty members are left out.
        if !rest.is_empty() {
            answer[member] = rest.into_iter().map(|(_, resource)| resource).collect();
        }
        if self.filter.is_empty() && total > 0 {
            answer["totalSize"] = json!(total);
        }
        if let Some(next) = next {
            answer["nextPageToken"] = json!(next);
        }
        Ok(answer)
    }
}
