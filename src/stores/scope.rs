//! Which objects a store may refer to. There is no other way to make a [`CheckedRef`], and nothing reads a Secret, a
//! ConfigMap or a ServiceAccount's token for a store without one.

use std::fmt;

use crate::cluster::ObjectKey;

/// The side of the tenancy border that a store stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// A ClusterSecretStore, on behalf of an object in `consumer`; `None` while the store itself is checked.
    Cluster { consumer: Option<&'a str> },
    /// A SecretStore in this namespace.
    Namespace(&'a str),
}

/// What is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Referent {
    ConfigMap,
    Secret,
    ServiceAccount,
}

impl Referent {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// A reference that its store may make.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CheckedRef {
    kind: Referent,
    key: ObjectKey,
}

impl CheckedRef {
    pub(crate) fn kind(&self) -> Referent {
        self.kind
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl fmt::Display for CheckedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.key)
    }
}

/// Whether a ClusterSecretStore may leave the namespace open, to be filled with that of whoever uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    Allowed,
    Forbidden,
}

/// Why a reference cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RefError {
    /// A SecretStore names another namespace.
    Foreign { namespace: String },
    /// The field that holds the name is empty.
    Nameless,
    /// A ClusterSecretStore must say which namespace.
    NamespaceNeeded,
    /// It depends on who uses the store, and nobody does at the moment.
    NobodyAsks,
}

impl fmt::Display for RefError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { namespace } => write!(
                f,
                "names the namespace \"{namespace}\", but a SecretStore may only refer to its own; remove `namespace`, or \
                 use a ClusterSecretStore"
            ),
            Self::Nameless => f.write_str("has no `name`; set it"),
            Self::NamespaceNeeded => f.write_str("has no `namespace`, which a ClusterSecretStore must set; set it"),
            Self::NobodyAsks => f.write_str("is looked up in the namespace of each ExternalSecret"),
        }
    }
}

impl Scope<'_> {
    /// Checks a reference to `name` in `namespace`, as they stand in the store's manifest.
    pub(crate) fn check(
        self,
        kind: Referent,
        name: Option<&str>,
        namespace: Option<&str>,
        open: Open,
    ) -> Result<CheckedRef, RefError> {
        let name = name.filter(|name| !name.is_empty()).ok_or(RefError::Nameless)?;
        let named = namespace.filter(|namespace| !namespace.is_empty());
        let namespace = match (self, named) {
            (Self::Namespace(own), Some(named)) if named != own => {
                return Err(RefError::Foreign { namespace: named.to_owned() });
            }
            (Self::Namespace(own), _) => own,
            (Self::Cluster { .. }, Some(named)) => named,
            (Self::Cluster { .. }, None) if open == Open::Forbidden => return Err(RefError::NamespaceNeeded),
            (Self::Cluster { consumer: Some(consumer) }, None) => consumer,
            (Self::Cluster { consumer: None }, None) => return Err(RefError::NobodyAsks),
        };
        Ok(CheckedRef { kind, key: ObjectKey::new(namespace, name) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Open, RefError, Referent, Scope};

    /// Every scope, every way to name a namespace, every rule: where the reference leads.
    #[test]
    fn the_namespace_matrix() {
        let foreign = || Err(RefError::Foreign { namespace: "other".into() });
        let cases = [
            (Scope::Namespace("own"), None, Open::Allowed, Ok("own")),
            (Scope::Namespace("own"), None, Open::Forbidden, Ok("own")),
            (Scope::Namespace("own"), Some("own"), Open::Allowed, Ok("own")),
            (Scope::Namespace("own"), Some("other"), Open::Allowed, foreign()),
            (Scope::Namespace("own"), Some("other"), Open::Forbidden, foreign()),
            (Scope::Cluster { consumer: Some("app") }, None, Open::Allowed, Ok("app")),
            (Scope::Cluster { consumer: Some("app") }, None, Open::Forbidden, Err(RefError::NamespaceNeeded)),
            (Scope::Cluster { consumer: Some("app") }, Some("other"), Open::Allowed, Ok("other")),
            (Scope::Cluster { consumer: Some("app") }, Some("other"), Open::Forbidden, Ok("other")),
            (Scope::Cluster { consumer: None }, None, Open::Allowed, Err(RefError::NobodyAsks)),
            (Scope::Cluster { consumer: None }, None, Open::Forbidden, Err(RefError::NamespaceNeeded)),
            (Scope::Cluster { consumer: None }, Some("other"), Open::Allowed, Ok("other")),
        ];
        for kind in [Referent::ConfigMap, Referent::Secret, Referent::ServiceAccount] {
            for (scope, namespace, open, leads_to) in cases.clone() {
                let checked = scope.check(kind, Some("name"), namespace, open);
                let namespace_of = checked.map(|checked| checked.key().namespace.to_string());
                assert_eq!(namespace_of, leads_to.map(str::to_owned), "{scope:?} {namespace:?} {open:?}");
            }
        }
    }

    #[test]
    fn a_reference_needs_a_name() {
        for name in [None, Some("")] {
            let checked = Scope::Namespace("own").check(Referent::Secret, name, None, Open::Allowed);
            assert_eq!(checked, Err(RefError::Nameless));
        }
    }
}
