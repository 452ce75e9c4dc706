//! `${NAME}` and `${environment.folder.NAME}` inside values.

use super::{Place, folders::HeldProject, refusal::Refusal, world::Caller};

/// How deep references in referred values are followed.
const DEEPEST: usize = 10;

/// Replaces references by what they refer to, as one caller may see it.
pub(super) struct Expander<'a> {
    pub(super) project: &'a HeldProject,
    pub(super) slug: &'a str,
    pub(super) caller: &'a Caller,
}

impl Expander<'_> {
    /// `value` of a secret at `place`. What refers to nothing stays as it is.
    pub(super) fn expand(&self, value: &str, place: &Place) -> Result<String, Refusal> {
        self.expand_to(value, place, DEEPEST)
    }

    fn expand_to(&self, value: &str, place: &Place, depth: usize) -> Result<String, Refusal> {
        let mut expanded = String::new();
        let mut rest = value;
        while let Some((before, (reference, after))) =
            rest.split_once("${").and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            expanded.push_str(before);
            match self.referred(reference, place, depth)? {
                Some(value) => expanded.push_str(&value),
                None => expanded.extend(["${", reference, "}"]),
            }
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn referred(&self, reference: &str, place: &Place, depth: usize) -> Result<Option<String>, Refusal> {
        let parts: Vec<_> = reference.split('.').collect();
        let (place, name) = match parts[..] {
            [name] => (place.clone(), name),
            [environment, ref folders @ .., name] => (Place::new(self.slug, environment, &folders.join("/")), name),
            [] => return Ok(None),
        };
        let folder = self.project.folder(&place.environment, &place.path);
        let Some(value) = folder.and_then(|folder| folder.secrets.get(name)).and_then(|secret| secret.value(None))
        else {
            return Ok(None);
        };
        if depth == 0 {
            return Ok(None);
        }
        if !self.caller.identity.may_read(&place, name) {
            let Place { environment, path, .. } = &place;
            return Err(Refusal::forbidden(format!(
                "You are attempting to reference secret named {name} from environment {environment} in path {path} \
                 which you do not have access to read value on."
            )));
        }
        self.expand_to(value, &place, depth - 1).map(Some)
    }
}
