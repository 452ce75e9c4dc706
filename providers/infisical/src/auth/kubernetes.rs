//! A ServiceAccount token from a file of the operator's pod.

use std::path::PathBuf;

use keyferry_clouds::file::{self, Unreadable};
use keyferry_core::{Error, ErrorKind, Result, SecretBytes};

use super::{jwt, text::Text};
use crate::PROVIDER;

const FIELD: &str = "auth.kubernetesAuthCredentials.serviceAccountTokenPath";

#[derive(Debug)]
pub(super) struct Kubernetes {
    path: PathBuf,
    /// What messages call the file. A path that comes out of a Secret is not shown.
    called: String,
}

impl Kubernetes {
    pub(super) fn new(path: Option<SecretBytes>, own: PathBuf) -> Result<Self> {
        let path = path.filter(|path| !path.trimmed().is_empty());
        let path = path.map(|path| Text::parse(&path, "kubernetesAuthCredentials.serviceAccountTokenPath"));
        Ok(match path.transpose()? {
            Some(path) => Self { path: path.as_str().into(), called: format!("the file that {FIELD} names") },
            None => Self { called: format!("the file {} ({FIELD} names no other)", own.display()), path: own },
        })
    }

    /// The token as it is now: the kubelet replaces it before it expires.
    ///
    /// The file is sent to an address that the store's author chose, so whatever is not a token stays here.
    pub(super) async fn token(&self, operation: &'static str) -> Result<SecretBytes> {
        let error =
            |wrong: &str| Error::new(ErrorKind::InvalidConfig, PROVIDER, operation, format!("{} {wrong}", self.called));
        let token = file::read(&self.path).await.map_err(|why| error(unreadable(why)))?.trimmed();
        if jwt::is_token(token.expose()) {
            Ok(token)
        } else {
            Err(error("does not hold a ServiceAccount token (a JWT)"))
        }
    }
}

/// Why a file of the pod cannot be read, to follow what names it.
pub(super) fn unreadable(why: Unreadable) -> &'static str {
    match why {
        Unreadable::Absent => "does not exist in the operator's pod; mount it there",
        Unreadable::Denied => "may not be read by the operator; check the permissions of its volume",
        Unreadable::Failed => "cannot be read in the operator's pod",
        Unreadable::Irregular => "is no regular file of the operator's pod; name a file that is mounted there",
        Unreadable::TooLong => "is larger than 64 KiB, which no token or key is; name another one",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use keyferry_core::{ErrorKind, Result, SecretBytes};
    use tempfile::NamedTempFile;

    use super::Kubernetes;

    async fn read(content: &str) -> Result<SecretBytes> {
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(content.as_bytes()).expect("space");
        let path = file.path().to_str().expect("a path").to_owned();
        Kubernetes::new(Some(path.into()), "/nowhere".into())?.token("Login").await
    }

    #[tokio::test]
    async fn a_token_is_read_without_its_line_break() {
        assert_eq!(read("e30.e30.c2ln\n").await, Ok("e30.e30.c2ln".into()));
    }

    #[tokio::test]
    async fn whatever_is_no_token_is_not_sent() {
        let error = read("password: hunter2").await.expect_err("not a token");
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert_eq!(
            error.message,
            "the file that auth.kubernetesAuthCredentials.serviceAccountTokenPath names does not hold a ServiceAccount \
             token (a JWT)"
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_named_only_where_its_name_is_no_secret() {
        let missing = |path: Option<&str>| Kubernetes::new(path.map(SecretBytes::from), "/nowhere/token".into());
        let own = missing(Some(" ")).expect("the default").token("Login").await.expect_err("no file");
        assert!(own.message.starts_with("the file /nowhere/token (auth.kubernetesAuth"), "{own}");
        assert!(own.message.ends_with("does not exist in the operator's pod; mount it there"), "{own}");
        let named = missing(Some("/nowhere/hunter2")).expect("a path").token("Login").await.expect_err("no file");
        assert!(!named.message.contains("hunter2"), "{named}");
    }
}
