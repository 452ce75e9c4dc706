//! The bodies of requests: which fields a command knows, and of which type.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Flag,
    Number,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    Text,
    Texts,
}

use Type::{Flag, Number, OneOf, Text, Texts};

const ACCESSIBILITY: Type = OneOf(&["personal", "regular"]);
const SWITCH: Type = OneOf(&["disabled", "enabled"]);
const TRUTH: Type = OneOf(&["false", "true"]);

/// A field by name.
pub(super) type Field = (&'static str, Type);

pub(super) const AUTH: &[Field] = &[
    ("access-id", Text),
    ("access-key", Text),
    ("access-type", Text),
    ("account-id", Text),
    ("admin-email", Text),
    ("admin-password", Text),
    ("cert-challenge", Text),
    ("cert-data", Text),
    ("cloud-id", Text),
    ("debug", Flag),
    ("disable-pafxfast", Text),
    ("gateway-spn", Text),
    ("gateway-url", Text),
    ("gcp-audience", Text),
    ("json", Flag),
    ("jwt", Text),
    ("k8s-auth-config-name", Text),
    ("k8s-service-account-token", Text),
    ("kerberos-token", Text),
    ("kerberos-username", Text),
    ("key-data", Text),
    ("keytab-data", Text),
    ("krb5-conf-data", Text),
    ("ldap_password", Text),
    ("oci-auth-type", Text),
    ("oci-group-ocid", Texts),
    ("otp", Text),
    ("signed-cert-challenge", Text),
    ("uid_token", Text),
    ("use-remote-browser", Flag),
    ("username", Text),
];

pub(super) const DESCRIBE_ITEM: &[Field] = &[
    ("accessibility", ACCESSIBILITY),
    ("bastion-details", Flag),
    ("der-certificate-format", Flag),
    ("display-id", Text),
    ("gateway-details", Flag),
    ("item-custom-fields-details", Flag),
    ("item-id", Number),
    ("json", Flag),
    ("name", Text),
    ("services-details", Flag),
    ("show-versions", Flag),
    ("token", Text),
    ("uid-token", Text),
];

pub(super) const GET_CERTIFICATE_VALUE: &[Field] = &[
    ("cert-issuer-name", Text),
    ("display-id", Text),
    ("ignore-cache", TRUTH),
    ("issuance-token", Text),
    ("json", Flag),
    ("name", Text),
    ("token", Text),
    ("uid-token", Text),
    ("version", Number),
];

pub(super) const GET_DYNAMIC_SECRET_VALUE: &[Field] = &[
    ("args", Texts),
    ("dbname", Text),
    ("host", Text),
    ("json", Flag),
    ("name", Text),
    ("target", Text),
    ("timeout", Number),
    ("token", Text),
    ("uid-token", Text),
];

pub(super) const GET_ROTATED_SECRET_VALUE: &[Field] = &[
    ("host", Text),
    ("ignore-cache", TRUTH),
    ("json", Flag),
    // The plural is the vendor's; it takes one name.
    ("names", Text),
    ("token", Text),
    ("uid-token", Text),
    ("version", Number),
];

pub(super) const GET_SECRET_VALUE: &[Field] = &[
    ("accessibility", ACCESSIBILITY),
    ("ignore-cache", TRUTH),
    ("json", Flag),
    ("names", Texts),
    ("pretty-print", Flag),
    ("token", Text),
    ("uid-token", Text),
    ("version", Number),
];

pub(super) const LIST_ITEMS: &[Field] = &[
    ("accessibility", ACCESSIBILITY),
    ("advanced-filter", Text),
    ("auto-pagination", SWITCH),
    ("current-folder", Flag),
    ("filter", Text),
    ("json", Flag),
    ("minimal-view", Flag),
    ("modified-after", Number),
    ("pagination-token", Text),
    ("path", Text),
    ("sra-only", Flag),
    ("sub-types", Texts),
    ("tag", Text),
    ("token", Text),
    ("type", Texts),
    ("uid-token", Text),
];

pub(super) const VALIDATE_TOKEN: &[Field] = &[("json", Flag), ("token", Text)];

/// A body whose fields are all known and of the right type.
#[derive(Debug)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) fn parse(bytes: &[u8], fields: &[Field]) -> Result<Self, Refusal> {
        let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
            return Err(Refusal::bad_request("the body must be a JSON object"));
        };
        for (name, value) in &body {
            let known = fields.iter().find(|(field, _)| field == name);
            let Some((_, kind)) = known else {
                return Err(Refusal::bad_request(format!("unknown field {name:?}")));
            };
            if !value.is_null() && !kind.takes(value) {
                return Err(Refusal::bad_request(format!("cannot unmarshal field {name:?}: wrong type")));
            }
        }
        Ok(Self(body))
    }

    /// A text; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        match self.text(name) {
            "" => Err(Refusal::bad_request(format!("Missing required parameter - {name}"))),
            text => Ok(text),
        }
    }

    /// A list of texts; empty where it is absent.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Which version is asked for; `None` is the newest.
    pub(super) fn version(&self) -> Result<Option<usize>, Refusal> {
        match self.0.get("version").and_then(Value::as_i64) {
            None | Some(0) => Ok(None),
            Some(number) => match i32::try_from(number).ok().and_then(|number| usize::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(Refusal::bad_request("version is out of range")),
            },
        }
    }
}

impl Type {
    fn takes(self, value: &Value) -> bool {
        match self {
            Flag => value.is_boolean(),
            Number => value.is_i64(),
            OneOf(known) => value.as_str().is_some_and(|text| known.contains(&text)),
            Text => value.is_string(),
            Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, DESCRIBE_ITEM, GET_SECRET_VALUE};

    fn wrong(text: &str) -> String {
        format!("{:?}", Body::parse(text.as_bytes(), GET_SECRET_VALUE).expect_err(text))
    }

    #[test]
    fn bodies_of_another_shape_are_refused() {
        assert!(wrong("[]").contains("JSON object"));
        assert!(wrong("").contains("JSON object"));
        assert!(wrong(r#"{"name": "a"}"#).contains("unknown field"));
        assert!(wrong(r#"{"names": "a"}"#).contains("wrong type"));
        assert!(wrong(r#"{"names": ["a", 1]}"#).contains("wrong type"));
        assert!(wrong(r#"{"version": 1.5}"#).contains("wrong type"));
        assert!(wrong(r#"{"ignore-cache": "yes"}"#).contains("wrong type"));
    }

    #[test]
    fn versions_count_from_one_and_zero_is_the_newest() {
        let version = |text: &str| Body::parse(text.as_bytes(), GET_SECRET_VALUE).unwrap().version();
        assert_eq!(version("{}").unwrap(), None);
        assert_eq!(version(r#"{"version": 0}"#).unwrap(), None);
        assert_eq!(version(r#"{"version": 7}"#).unwrap(), Some(7));
        assert!(version(r#"{"version": -1}"#).is_err());
        assert!(version(r#"{"version": 3000000000}"#).is_err());
    }

    #[test]
    fn what_is_required_must_not_be_empty() {
        let body = Body::parse(br#"{"name": ""}"#, DESCRIBE_ITEM).unwrap();
        assert!(format!("{:?}", body.required("name").unwrap_err()).contains("Missing required parameter - name"));
    }
}
