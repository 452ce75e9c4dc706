//! From a manifest to a [`ValidSync`]: everything that can be wrong with it is found here. Pure.
//!
//! What the manifest asks for and this version does not do yet is `Unsupported`, never silence.

use std::sync::Arc;

use keyferry_core::{Locator, Query, RemoteName, Version, Want};
use keyferry_crds::{
    ConversionStrategy, CreationPolicy, Data, DataFrom, DecodingStrategy, DeletionPolicy, ExternalSecret, GoDuration,
    MetadataPolicy, NullBytePolicy, RefreshPolicy, RemoteRef, SecretStoreRef, StoreRefKind, admission,
};

use super::{
    memory::version_of,
    sync::{Creation, Deletion, Find, Read, Reference, Refresh, Source, Target, ValidSync},
};
use crate::{
    cluster::{ObjectKey, StoreKey},
    render::{Conversion, Decoding, NullBytes},
    trouble::Trouble,
};

/// Where no interval is named.
const DEFAULT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(3600);

/// Checks `object`.
pub(super) fn validate(key: &ObjectKey, object: &ExternalSecret) -> Result<ValidSync, Trouble> {
    let spec = &object.spec;
    // The API server checks the same, but not in objects that were stored before it had our rules.
    let violations: Vec<_> = admission::external_secret_violations(spec).iter().map(ToString::to_string).collect();
    if !violations.is_empty() {
        return Err(Trouble::lasting("InvalidConfiguration", violations.join("; ")));
    }
    if spec.sync_windows.is_some() {
        return Err(unsupported("spec.syncWindows"));
    }
    let data = spec.data.iter().flatten().enumerate().map(|(index, data)| from_data(key, object, index, data));
    let maps = spec.data_from.iter().flatten().enumerate();
    let maps = maps.map(|(index, from)| from_data_from(key, object, index, from));
    // Later ones win: single keys over whole maps.
    let sources = maps.chain(data).collect::<Result<Vec<_>, _>>()?;
    Ok(ValidSync {
        key: key.clone(),
        uid: object.metadata.uid.as_deref().unwrap_or_default().into(),
        version: version_of(object),
        refresh: refresh(object)?,
        target: target(object)?,
        sources,
    })
}

/// Each store that a manifest names, once, whether or not the rest of it is right.
pub(super) fn stores(object: &ExternalSecret) -> Vec<StoreKey> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let of_data = object.spec.data.iter().flatten().filter_map(|data| data.source_ref.as_ref()?.store_ref.as_ref());
    let of_maps = object.spec.data_from.iter().flatten();
    let of_maps = of_maps.filter_map(|from| from.source_ref.as_ref()?.store_ref.as_ref());
    let mut stores: Vec<StoreKey> = Vec::new();
    for reference in object.spec.secret_store_ref.iter().chain(of_data).chain(of_maps) {
        if let Some(store) = store_key(namespace, reference)
            && !stores.contains(&store)
        {
            stores.push(store);
        }
    }
    stores
}

/// The name of the Secret that a manifest asks for.
pub(super) fn target_name(object: &ExternalSecret) -> Arc<str> {
    let named = object.spec.target.as_ref().and_then(|target| target.name.as_deref());
    named.filter(|name| !name.is_empty()).or(object.metadata.name.as_deref()).unwrap_or_default().into()
}

fn refresh(object: &ExternalSecret) -> Result<Refresh, Trouble> {
    let interval = match object.spec.refresh_interval.as_ref().map(GoDuration::duration) {
        None => DEFAULT_INTERVAL,
        Some(Ok(interval)) => interval,
        Some(Err(error)) => return Err(invalid("spec.refreshInterval", &error.to_string())),
    };
    Ok(match object.spec.refresh_policy {
        Some(RefreshPolicy::CreatedOnce) => Refresh::CreatedOnce,
        Some(RefreshPolicy::OnChange) => Refresh::OnChange,
        Some(RefreshPolicy::Periodic) | None => Refresh::Periodic(interval),
    })
}

fn target(object: &ExternalSecret) -> Result<Target, Trouble> {
    let target = object.spec.target.clone().unwrap_or_default();
    if target.template.is_some() {
        return Err(unsupported("spec.target.template"));
    }
    if target.manifest.is_some() {
        return Err(unsupported("spec.target.manifest"));
    }
    let creation = match target.creation_policy.unwrap_or_default() {
        CreationPolicy::Owner => Creation::Owner,
        CreationPolicy::Orphan => Creation::Orphan,
        CreationPolicy::CreateOrMerge | CreationPolicy::Merge | CreationPolicy::None => {
            return Err(unsupported("this value of spec.target.creationPolicy"));
        }
    };
    let deletion = match target.deletion_policy.unwrap_or_default() {
        DeletionPolicy::Delete => Deletion::Delete,
        DeletionPolicy::Retain => Deletion::Retain,
        DeletionPolicy::Merge => return Err(unsupported("spec.target.deletionPolicy: Merge")),
    };
    Ok(Target {
        name: target_name(object),
        creation,
        deletion,
        immutable: target.immutable.unwrap_or_default(),
        labels: object.metadata.labels.clone().unwrap_or_default(),
        annotations: object.metadata.annotations.clone().unwrap_or_default(),
    })
}

fn from_data(key: &ObjectKey, object: &ExternalSecret, index: usize, data: &Data) -> Result<Source, Trouble> {
    let field = format!("spec.data[{index}]");
    if data.source_ref.as_ref().is_some_and(|source| source.generator_ref.is_some()) {
        return Err(invalid(&field, "sourceRef.generatorRef works only below dataFrom; move it there"));
    }
    let named = data.source_ref.as_ref().and_then(|source| source.store_ref.as_ref());
    let store = store(key, object, &field, named)?;
    let reference = reference(&field, &data.remote_ref)?;
    let (encoding, null_bytes) = (data.remote_ref.decoding_strategy, data.remote_ref.null_byte_policy);
    let read = Read::Key(reference, data.secret_key.clone());
    Ok(Source { field, store, read, decoding: decoding(encoding), null_bytes: null_byte_policy(null_bytes) })
}

fn from_data_from(key: &ObjectKey, object: &ExternalSecret, index: usize, from: &DataFrom) -> Result<Source, Trouble> {
    let field = format!("spec.dataFrom[{index}]");
    if from.rewrite.as_ref().is_some_and(|rewrite| !rewrite.is_empty()) {
        return Err(unsupported(&format!("{field}.rewrite")));
    }
    if from.source_ref.as_ref().is_some_and(|source| source.generator_ref.is_some()) {
        return Err(unsupported(&format!("{field}.sourceRef.generatorRef")));
    }
    let named = from.source_ref.as_ref().and_then(|source| source.store_ref.as_ref());
    let store = store(key, object, &field, named)?;
    let (field, read, encoding, null_bytes) = match (&from.extract, &from.find) {
        (Some(extract), None) => {
            let field = format!("{field}.extract");
            let read = Read::Keys(reference(&field, extract)?, conversion(extract.conversion_strategy));
            (field, read, extract.decoding_strategy, extract.null_byte_policy)
        }
        (None, Some(find)) => {
            let field = format!("{field}.find");
            let read = Read::Found(wanted(&field, find)?, conversion(find.conversion_strategy));
            (field, read, find.decoding_strategy, find.null_byte_policy)
        }
        (None, None) => return Err(invalid(&field, "has neither `extract` nor `find`; add one")),
        (Some(_), Some(_)) => return Err(invalid(&field, "has both `extract` and `find`; make two entries of it")),
    };
    Ok(Source { field, store, read, decoding: decoding(encoding), null_bytes: null_byte_policy(null_bytes) })
}

fn reference(field: &str, from: &RemoteRef) -> Result<Reference, Trouble> {
    let name = RemoteName::new(from.key.as_str())
        .map_err(|error| invalid(&format!("{field}: key"), &format!("{error}; name a secret")))?;
    let version = from.version.as_deref().filter(|version| !version.is_empty());
    let locator = Locator {
        name,
        version: version.and_then(|version| Version::new(version).ok()),
        want: match from.metadata_policy.unwrap_or_default() {
            MetadataPolicy::Fetch => Want::Metadata,
            MetadataPolicy::None => Want::Value,
        },
        property: None,
    };
    Ok(Reference { locator, property: from.property.clone().filter(|property| !property.is_empty()) })
}

fn wanted(field: &str, find: &keyferry_crds::Find) -> Result<Find, Trouble> {
    let pattern = find.name.as_ref().and_then(|name| name.regexp.as_deref()).filter(|pattern| !pattern.is_empty());
    let name = pattern.map(regex::Regex::new).transpose();
    let name =
        name.map_err(|_| invalid(field, ": name.regexp is not a regular expression of RE2 syntax; correct it"))?;
    let query = Query {
        path: find.path.clone().filter(|path| !path.is_empty()),
        tags: find.tags.clone().unwrap_or_default(),
        after: None,
    };
    Ok(Find { query, name })
}

fn conversion(strategy: Option<ConversionStrategy>) -> Conversion {
    match strategy.unwrap_or_default() {
        ConversionStrategy::Default => Conversion::Default,
        ConversionStrategy::Unicode => Conversion::Unicode,
    }
}

fn decoding(strategy: Option<DecodingStrategy>) -> Decoding {
    match strategy.unwrap_or_default() {
        DecodingStrategy::Auto => Decoding::Auto,
        DecodingStrategy::Base64 => Decoding::Base64,
        DecodingStrategy::Base64Url => Decoding::Base64Url,
        DecodingStrategy::None => Decoding::None,
    }
}

fn null_byte_policy(policy: Option<NullBytePolicy>) -> NullBytes {
    match policy.unwrap_or_default() {
        NullBytePolicy::Fail => NullBytes::Fail,
        NullBytePolicy::Ignore => NullBytes::Ignore,
    }
}

fn store(
    key: &ObjectKey,
    object: &ExternalSecret,
    field: &str,
    named: Option<&SecretStoreRef>,
) -> Result<StoreKey, Trouble> {
    let reference = named.or(object.spec.secret_store_ref.as_ref());
    reference.and_then(|reference| store_key(&key.namespace, reference)).ok_or_else(|| {
        invalid(field, "names no store; set spec.secretStoreRef.name, or sourceRef.storeRef.name of this entry")
    })
}

fn store_key(namespace: &str, reference: &SecretStoreRef) -> Option<StoreKey> {
    let name = reference.name.as_deref().filter(|name| !name.is_empty())?;
    Some(match reference.kind.unwrap_or_default() {
        StoreRefKind::ClusterSecretStore => StoreKey::cluster(name),
        StoreRefKind::SecretStore => StoreKey::namespaced(namespace, name),
    })
}

fn invalid(field: &str, problem: &str) -> Trouble {
    Trouble::lasting("InvalidConfiguration", format!("{field} {problem}"))
}

fn unsupported(what: &str) -> Trouble {
    Trouble::lasting("Unsupported", format!("{what} is not supported by this version; remove it or upgrade"))
}
