//! Every write to the cluster goes through here.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Client, Resource,
    api::{DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams, Preconditions},
    core::Request,
};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use super::{Meta, ObjectKey};
use crate::lease::Claim;

/// Writes to the cluster, as many at a time as was allowed, and only while we are the leader.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    claim: watch::Receiver<Claim>,
    permits: Arc<Semaphore>,
}

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The object is not in the state that the write was meant for: look again.
    #[error("the object was changed meanwhile")]
    Conflict,
    /// Nothing can be created in a namespace that is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// Another replica leads.
    #[error("another replica leads")]
    NotLeader,
    /// The API server refused, or could not be reached.
    #[error("{0}")]
    Refused(String),
}

impl WriteError {
    fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 | 409 => Self::Conflict,
                403 if status.message.contains("is being terminated") => Self::NamespaceTerminating,
                // The message names what is forbidden or invalid. It may quote the object that was sent, so for
                // everything else only the reason is told.
                403 => Self::Refused(status.message.clone()),
                code => Self::Refused(format!("{} ({code})", status.reason)),
            },
            other => Self::Refused(super::error_text(other)),
        }
    }
}

type Written = Result<Meta, WriteError>;

impl Writer {
    pub(crate) fn new(client: Client, claim: watch::Receiver<Claim>, at_a_time: usize) -> Self {
        Self { client, claim, permits: Arc::new(Semaphore::new(at_a_time.max(1))) }
    }

    /// Creates a Secret.
    pub(crate) async fn create(&self, secret: &Secret, manager: &str) -> Written {
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(secret).map_err(|_| unserializable())?;
        self.send(secrets(secret.metadata.namespace.as_deref()).create(&params, body)).await
    }

    /// Replaces a Secret in exactly the state that its `metadata.resourceVersion` names.
    pub(crate) async fn replace(&self, secret: &Secret, manager: &str) -> Written {
        let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(secret).map_err(|_| unserializable())?;
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        self.send(secrets(secret.metadata.namespace.as_deref()).replace(name, &params, body)).await
    }

    /// Merges `patch` into a Secret.
    pub(crate) async fn patch(&self, key: &ObjectKey, patch: &serde_json::Value, manager: &str) -> Written {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.send(secrets(Some(&key.namespace)).patch(&key.name, &params, &Patch::Merge(patch))).await
    }

    /// Deletes a Secret in exactly the state of `of`.
    pub(crate) async fn delete(&self, key: &ObjectKey, of: &Meta) -> Result<(), WriteError> {
        let preconditions =
            Preconditions { resource_version: Some(of.resource_version.to_string()), uid: Some(of.uid.to_string()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let request = secrets(Some(&key.namespace)).delete(&key.name, &params);
        self.send(request).await.map(drop)
    }

    /// Merges `status` into the status of an object.
    pub(crate) async fn patch_status<K>(&self, key: &ObjectKey, uid: &str, status: &impl Serialize) -> Written
    where
        K: Resource<DynamicType = ()>,
    {
        let namespace = Some(&*key.namespace).filter(|namespace| !namespace.is_empty());
        // The uid keeps the status of a deleted object from landing on its namesake.
        let patch = serde_json::json!({ "metadata": { "uid": uid }, "status": status });
        let params = PatchParams::apply("keyferry");
        let request = Request::new(K::url_path(&(), namespace));
        self.send(request.patch_subresource("status", &key.name, &params, &Patch::Merge(patch))).await
    }

    /// Removes a finalizer that another operator left on an object of ours to handle.
    pub(crate) async fn set_finalizers<K>(&self, key: &ObjectKey, of: &Meta, finalizers: &[String]) -> Written
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let metadata = serde_json::json!({
            "uid": of.uid, "resourceVersion": of.resource_version, "finalizers": finalizers,
        });
        let patch = serde_json::json!({ "metadata": metadata });
        let request = Request::new(K::url_path(&(), Some(&key.namespace)));
        self.send(request.patch(&key.name, &PatchParams::apply("keyferry"), &Patch::Merge(patch))).await
    }

    /// Sends a request and reads back metadata only: what we wrote we know, and values need not travel twice.
    async fn send(&self, request: Result<http::Request<Vec<u8>>, kube::core::request::Error>) -> Written {
        let mut request = request.map_err(|error| WriteError::Refused(error.to_string()))?;
        let metadata_only = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static(metadata_only));
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        if !self.claim.borrow().is_held(Instant::now()) {
            return Err(WriteError::NotLeader);
        }
        let answer = self.client.request::<PartialObjectMeta>(request).await;
        answer.map(|object| Meta::of(&object.metadata)).map_err(|error| WriteError::of(&error))
    }
}

fn secrets(namespace: Option<&str>) -> Request {
    Request::new(Secret::url_path(&(), namespace))
}

fn unserializable() -> WriteError {
    WriteError::Refused("the Secret cannot be written as JSON".to_owned())
}
