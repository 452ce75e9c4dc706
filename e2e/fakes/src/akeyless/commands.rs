//! The commands that read.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{
    access::Access,
    body::Body,
    items::{Held, ItemType, full_name},
    refusal::Refusal,
    world::{Settings, World},
};

pub(super) fn describe_item(world: &World, body: &Body) -> Result<Value, Refusal> {
    let caller = world.caller(body)?;
    let name = full_name(body.required("name")?);
    if !caller.may_read(&name) {
        return Err(Refusal::forbidden(format!("no list permission for {name}")));
    }
    let held = world.items.get(&name).ok_or_else(|| Refusal::not_found("item does not exist"))?;
    Ok(description(&name, held, true))
}

pub(super) fn get_secret_value(world: &mut World, settings: &Settings, body: &Body) -> Result<Value, Refusal> {
    let caller = world.caller(body)?;
    let names = body.texts("names");
    if names.is_empty() {
        return Err(Refusal::bad_request("Missing required parameter - names"));
    }
    let version = body.version()?;
    let mut answer = Map::new();
    for name in &names {
        match world.read(&caller, name, ItemType::Static, version, uses_cache(settings, body)) {
            Ok(value) => {
                answer.insert((*name).to_owned(), value);
            }
            Err(_) if settings.partial_batches && names.len() > 1 => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(Value::Object(answer))
}

pub(super) fn get_rotated_secret_value(world: &mut World, settings: &Settings, body: &Body) -> Result<Value, Refusal> {
    let caller = world.caller(body)?;
    let name = body.required("names")?;
    let cached = uses_cache(settings, body);
    let value = world.read(&caller, name, ItemType::Rotated, body.version()?, cached)?;
    Ok(json!({"value": value}))
}

pub(super) fn get_dynamic_secret_value(world: &mut World, body: &Body) -> Result<Value, Refusal> {
    let caller = world.caller(body)?;
    let answer = world.read(&caller, body.required("name")?, ItemType::Dynamic, None, false)?;
    let serial = world.next_serial().to_string();
    let text = answer.to_string().replace("{serial}", &serial);
    // A serial number cannot break JSON.
    serde_json::from_str(&text).map_err(|error| Refusal::bad_request(error.to_string()))
}

pub(super) fn get_certificate_value(world: &mut World, settings: &Settings, body: &Body) -> Result<Value, Refusal> {
    let caller = world.caller(body)?;
    let cached = uses_cache(settings, body);
    world.read(&caller, body.required("name")?, ItemType::Certificate, body.version()?, cached)
}

pub(super) fn list_items(world: &World, settings: &Settings, body: &Body) -> Result<Value, Refusal> {
    let caller = world.caller(body)?;
    let filter = Filter::of(body, &caller)?;
    let after = match body.text("pagination-token") {
        "" => None,
        token => Some(page_name(token).ok_or_else(|| Refusal::bad_request("invalid pagination token"))?),
    };
    let mut found: Vec<(&str, &Held)> = world
        .items
        .iter()
        .filter(|(name, held)| after.as_deref().is_none_or(|after| *name > after) && filter.admits(name, held))
        .collect();
    let limit = if body.text("auto-pagination") == "disabled" { settings.page } else { usize::MAX };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(name, _)| URL_SAFE_NO_PAD.encode(name)).unwrap_or_default();
    let items: Vec<_> = found.iter().map(|(name, held)| description(name, held, !body.flag("minimal-view"))).collect();
    Ok(json!({"folders": [], "has_next": more, "items": items, "next_page": next}))
}

pub(super) fn validate_token(world: &World, body: &Body) -> Result<Value, Refusal> {
    Ok(json!({"is_valid": world.owner(body.required("token")?).is_ok()}))
}

fn page_name(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

struct Filter<'a> {
    caller: &'a Access,
    folder: String,
    only_this_folder: bool,
    part: &'a str,
    tag: &'a str,
    types: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    fn of(body: &'a Body, caller: &'a Access) -> Result<Self, Refusal> {
        const TYPES: [ItemType; 5] =
            [ItemType::Certificate, ItemType::Dynamic, ItemType::Key, ItemType::Rotated, ItemType::Static];
        let types = body.texts("type");
        if let Some(unknown) = types.iter().find(|name| !TYPES.iter().any(|kind| kind.listed() == **name)) {
            return Err(Refusal::bad_request(format!("unknown item type {unknown:?}")));
        }
        let folder = match full_name(body.text("path")).as_str() {
            "/" => "/".to_owned(),
            path => format!("{path}/"),
        };
        Ok(Self {
            caller,
            folder,
            only_this_folder: body.flag("current-folder"),
            part: body.text("filter"),
            tag: body.text("tag"),
            types,
        })
    }

    fn admits(&self, name: &str, held: &Held) -> bool {
        let Some(rest) = name.strip_prefix(&self.folder) else { return false };
        self.caller.may_read(name)
            && !(self.only_this_folder && rest.contains('/'))
            && name.contains(self.part)
            && (self.tag.is_empty() || held.tags.iter().any(|tag| tag == self.tag))
            && (self.types.is_empty() || self.types.contains(&held.kind.listed()))
    }
}

fn description(name: &str, held: &Held, full: bool) -> Value {
    let mut item = json!({
        "display_id": format!("fake-{}", held.id),
        "is_enabled": true,
        "item_id": held.id,
        "item_name": name,
        "item_type": held.kind.described(),
    });
    if full {
        item["item_tags"] = json!(held.tags);
        item["last_version"] = json!(held.last_version());
    }
    item
}

fn uses_cache(settings: &Settings, body: &Body) -> bool {
    settings.cache && body.text("ignore-cache") != "true"
}
