//! The schemas have every field that users of these kinds know, as `fields.txt` lists them.

use keyferry_crds::generate;
use serde_json::{Value, json};

const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const KEY: &str = "^[-._a-zA-Z0-9]+$";

/// Fields that a selector stands for, in the notation of the file.
const SELECTORS: [(&str, &[&str]); 3] = [
    (
        "CaProvider",
        &["type! string Secret|ConfigMap", "name! string name", "key string key", "namespace string namespace"],
    ),
    ("SecretKeySelector", &["name string name", "key string key", "namespace string namespace"]),
    ("ServiceAccountSelector", &["name! string name", "namespace string namespace", "audiences array<string>"]),
];

#[test]
fn every_known_field_is_there() {
    let definitions = serde_json::to_value(generate::definitions().unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for definition in definitions.as_array().unwrap() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        for version in definition["spec"]["versions"].as_array().unwrap() {
            let schema = &version["schema"]["openAPIV3Schema"];
            for line in lines(kind.trim_start_matches("Cluster")) {
                checked += 1;
                if let Err(why) = check(schema, line) {
                    wrong.push(format!("{kind} {}: {line}: {why}", version["name"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 1_200, "only {checked}");
}

/// The lines below the name of `kind`.
fn lines(kind: &str) -> impl Iterator<Item = &'static str> {
    let lines = include_str!("fields.txt").lines().skip_while(move |line| *line != kind).skip(1);
    lines.take_while(|line| !line.is_empty())
}

fn check(schema: &Value, line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let (path, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, required) = path.strip_suffix('!').map_or((path, false), |path| (path, true));
    let (parent, leaf) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = find(schema, parent)?;
    let field = find(parent, leaf)?;
    let listed = parent["required"].as_array().is_some_and(|names| names.contains(&leaf.into()));
    if required && !listed {
        return Err("is not required".to_owned());
    }
    if !required && listed {
        return Err("is required".to_owned());
    }
    if let Some((_, fields)) = SELECTORS.iter().find(|(name, _)| *name == kind) {
        return fields.iter().try_for_each(|line| check(field, line).map_err(|why| format!("{line}: {why}")));
    }
    is_of(field, kind)?;
    words.try_for_each(|word| has(field, word))
}

fn find<'a>(schema: &'a Value, path: &str) -> Result<&'a Value, String> {
    let names = path.split('.').filter(|name| !name.is_empty());
    names.into_iter().try_fold(schema, |schema, name| {
        let (name, item) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
        let field = &schema["properties"][name];
        let field = if item { &field["items"] } else { field };
        if field.is_null() { Err(format!("{name} is missing")) } else { Ok(field) }
    })
}

fn is_of(field: &Value, kind: &str) -> Result<(), String> {
    let given = &field["type"];
    let right = match kind {
        "int-or-string" => field["x-kubernetes-int-or-string"] == true,
        "map<string>" => given == "object" && field["additionalProperties"]["type"] == "string",
        "array<object>" => given == "array" && field["items"]["type"] == "object",
        "array<string>" => given == "array" && field["items"]["type"] == "string",
        kind => given == kind,
    };
    if right { Ok(()) } else { Err(format!("is of type {given}")) }
}

fn has(field: &Value, word: &str) -> Result<(), String> {
    let shape = |pattern: &str, longest: u64| {
        (json!([field["pattern"], field["minLength"], field["maxLength"]]), json!([pattern, 1, longest]))
    };
    let (given, expected): (Value, Value) = match word.split_at(1) {
        ("=", default) => (field["default"].clone(), serde_json::from_str(default).map_err(|error| error.to_string())?),
        ("~", pattern) => (field["pattern"].clone(), pattern.replace("\\x20", " ").into()),
        (">", least) => (field["minLength"].clone(), least.trim_start_matches('=').parse::<u64>().ok().into()),
        ("<", most) => (field["maxLength"].clone(), most.trim_start_matches('=').parse::<u64>().ok().into()),
        _ => match word {
            "byte" | "date-time" => (field["format"].clone(), word.into()),
            "key" => shape(KEY, 253),
            "name" => shape(SUBDOMAIN, 253),
            "namespace" => shape(LABEL, 63),
            words => (sorted(&field["enum"]), sorted(&words.split('|').collect())),
        },
    };
    if given == expected { Ok(()) } else { Err(format!("has {given} instead of {expected}")) }
}

fn sorted(words: &Value) -> Value {
    let mut words: Vec<_> = words.as_array().into_iter().flatten().map(ToString::to_string).collect();
    words.sort();
    words.into()
}
