//! The managed identity that a store names.

use keyferry_clouds::azure::{ManagedIdentity, Which};
use keyferry_core::{Result, SecretBytes};
use keyferry_rest::{BaseUrl, Client};

use super::text::Text;
use crate::config::invalid;

const MANAGEMENT_API: &str = "https://management.azure.com/";

/// The identity for which the service at `metadata` gives tokens, with a choice appended to `resource`.
pub(super) fn identity(http: Client, metadata: &str, resource: Option<SecretBytes>) -> Result<ManagedIdentity> {
    let metadata = BaseUrl::parse(metadata)
        .map_err(|error| invalid(format!("the address of Azure's metadata service {error}")))?;
    let resource = match resource.filter(|resource| !resource.trimmed().is_empty()) {
        Some(resource) => Text::parse(&resource, "azureAuthCredentials.resource")?.as_str().to_owned(),
        None => MANAGEMENT_API.to_owned(),
    };
    let (resource, which) = match resource.split_once("&client_id=") {
        Some((resource, id)) => (resource.to_owned(), Some(Which::ClientId(id.to_owned()))),
        None => (resource, None),
    };
    ManagedIdentity::new(http, &metadata, resource, which, "auth.azureAuthCredentials")
}
