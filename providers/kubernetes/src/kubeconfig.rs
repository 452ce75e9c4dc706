//! Kubeconfig files, as far as they can be followed without files and programs of the machine where they were written.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyferry_core::SecretBytes;
use keyferry_rest::Identity;
use serde::{Deserialize, de::IgnoredAny};

/// Where the current context leads to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) server: String,
    pub(crate) roots: Option<Vec<u8>>,
    pub(crate) identity: Option<Identity>,
    pub(crate) token: Option<SecretBytes>,
}

/// Follows the current context of a kubeconfig. The text of an error says what in it cannot be used, and nothing of
/// what it holds except the names of its entries.
pub(crate) fn parse(text: &SecretBytes) -> Result<Target, String> {
    // The parser's own message may quote a token.
    let not_one = || "it is not a kubeconfig in YAML form".to_owned();
    let file: File = serde_saphyr::from_str(text.expose_str().ok_or_else(not_one)?).map_err(|_| not_one())?;
    let current = file.current_context.filter(|name| !name.is_empty());
    let current = current.ok_or("it has no current-context; set it with `kubectl config use-context`")?;
    let context = named("context", &current, file.contexts, |entry| (entry.name, entry.context))?;
    let cluster = named("cluster", &context.cluster, file.clusters, |entry| (entry.name, entry.cluster))?;
    let user = named("user", &context.user, file.users, |entry| (entry.name, entry.user))?;
    let place = format!("cluster {:?}", context.cluster);
    cluster.refuse(&place)?;
    let server =
        cluster.server.filter(|server| !server.trim().is_empty()).ok_or(format!("its {place} has no server"))?;
    let roots = decoded(&place, "certificate-authority-data", cluster.certificate_authority_data)?;
    if roots.as_ref().is_some_and(|roots| !roots.windows(PEM.len()).any(|part| part == PEM)) {
        return Err(format!("the certificate-authority-data of its {place} holds no certificate in PEM form"));
    }
    let place = format!("user {:?}", context.user);
    user.refuse(&place)?;
    let certificate = decoded(&place, "client-certificate-data", user.client_certificate_data)?;
    let key = decoded(&place, "client-key-data", user.client_key_data)?;
    let identity = match (certificate, key) {
        (Some(certificates), Some(key)) => {
            Some(Identity { certificates, key: SecretBytes::new(key), field: "its user" })
        }
        (None, None) => None,
        _ => {
            return Err(format!("its {place} has only one of client-certificate-data and client-key-data; give both"));
        }
    };
    let token = user.token.filter(|token| !token.is_empty()).map(|token| SecretBytes::from(token).trimmed());
    if identity.is_none() && token.is_none() {
        return Err(format!("its {place} has neither a token nor client-certificate-data; add one"));
    }
    Ok(Target { server, roots, identity, token })
}

/// What every certificate begins with.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    current_context: Option<String>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority_data: Option<String>,
    certificate_authority: Option<IgnoredAny>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    proxy_url: Option<IgnoredAny>,
    tls_server_name: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    client_certificate: Option<IgnoredAny>,
    client_key: Option<IgnoredAny>,
    exec: Option<IgnoredAny>,
    #[serde(rename = "tokenFile")]
    token_file: Option<IgnoredAny>,
    username: Option<IgnoredAny>,
}

/// Whatever is left out silently would make for another connection than the file describes.
fn refuse(place: &str, given: &[(bool, &str, &str)]) -> Result<(), String> {
    match given.iter().find(|(given, ..)| *given) {
        Some((_, field, remedy)) => Err(format!("its {place} has {field}, which cannot be used here; {remedy}")),
        None => Ok(()),
    }
}

const EMBED: &str = "put the content itself into the file, as `kubectl config view --raw --flatten` does";
const LOGIN: &str = "give it a token or a client certificate";

impl Cluster {
    fn refuse(&self, place: &str) -> Result<(), String> {
        let given = [
            (self.insecure_skip_tls_verify, "insecure-skip-tls-verify", "name the CA in certificate-authority-data"),
            (
                self.certificate_authority.is_some() && self.certificate_authority_data.is_none(),
                "certificate-authority, a file name",
                EMBED,
            ),
            (self.proxy_url.is_some(), "proxy-url", "set the proxy in the environment of Keyferry"),
            (self.tls_server_name.is_some(), "tls-server-name", "use an address that the server's certificate is for"),
        ];
        refuse(place, &given)
    }
}

impl User {
    fn refuse(&self, place: &str) -> Result<(), String> {
        let given = [
            (self.exec.is_some(), "exec, a program to run", LOGIN),
            (self.auth_provider.is_some(), "auth-provider, a plug-in", LOGIN),
            (self.username.is_some(), "username, which API servers no longer know", LOGIN),
            (self.impersonate.is_some(), "as, an impersonation", "log in as that user"),
            (self.token_file.is_some() && self.token.is_none(), "tokenFile, a file name", EMBED),
            (
                self.client_certificate.is_some() && self.client_certificate_data.is_none(),
                "client-certificate, a file name",
                EMBED,
            ),
            (self.client_key.is_some() && self.client_key_data.is_none(), "client-key, a file name", EMBED),
        ];
        refuse(place, &given)
    }
}

fn named<E, T>(what: &str, name: &str, entries: Vec<E>, split: impl Fn(E) -> (String, T)) -> Result<T, String> {
    let found = entries.into_iter().map(split).find(|(found, _)| found == name);
    found.map(|(_, entry)| entry).ok_or_else(|| format!("it has no {what} {name:?}, which its current-context names"))
}

fn decoded(place: &str, field: &str, text: Option<String>) -> Result<Option<Vec<u8>>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).map(Some).map_err(|_| format!("the {field} of its {place} is not base64"))
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::{PEM, Target, parse};

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: there\npreferences: {{}}\n\
             contexts:\n- name: there\n  context: {{cluster: c, user: u, namespace: x}}\n\
             clusters:\n- name: other\n  cluster: {{server: https://wrong}}\n- name: c\n  cluster: {cluster}\n\
             users:\n- name: u\n  user: {user}\n"
        )
    }

    const SERVER: &str =
        "{server: 'https://far:6443', certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t}";

    fn parsed(text: &str) -> Result<Target, String> {
        parse(&SecretBytes::from(text))
    }

    #[test]
    fn the_current_context_says_where_and_as_whom() {
        let target = parsed(&kubeconfig(SERVER, "{token: \"hunter2\\n\"}")).expect("a kubeconfig");
        assert_eq!((target.server.as_str(), target.roots.as_deref()), ("https://far:6443", Some(PEM)));
        assert_eq!(target.token, Some(SecretBytes::from("hunter2")));
        assert!(target.identity.is_none());
        let user = "{client-certificate-data: Y2VydA==, client-key-data: a2V5}";
        let identity = parsed(&kubeconfig(SERVER, user)).expect("a kubeconfig").identity.expect("a certificate");
        assert_eq!((identity.certificates.as_slice(), identity.key.expose()), (b"cert".as_slice(), b"key".as_slice()));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_name() {
        let token = "{token: hunter2}";
        for (cluster, user, words) in [
            (
                SERVER,
                "{exec: {command: aws}}",
                "user \"u\" has exec, a program to run, which cannot be used here; give",
            ),
            (SERVER, "{auth-provider: {name: gcp}}", "auth-provider, a plug-in"),
            (SERVER, "{username: a, password: hunter2}", "username"),
            (SERVER, "{token: hunter2, as: admin}", "as, an impersonation"),
            (SERVER, "{tokenFile: /hunter2}", "tokenFile, a file name, which cannot be used here; put the content"),
            (SERVER, "{client-certificate: /a, client-key: /b}", "client-certificate, a file name"),
            (SERVER, "{client-certificate-data: YQ==, client-key: /b}", "client-key, a file name"),
            (SERVER, "{client-certificate-data: YQ==}", "only one of client-certificate-data and client-key-data"),
            (
                SERVER,
                "{client-certificate-data: hunter2!, client-key-data: YQ==}",
                "client-certificate-data of its user",
            ),
            (SERVER, "{}", "neither a token nor client-certificate-data"),
            ("{}", token, "cluster \"c\" has no server"),
            ("{server: 'https://a', insecure-skip-tls-verify: true}", token, "insecure-skip-tls-verify"),
            ("{server: 'https://a', certificate-authority: /ca}", token, "certificate-authority, a file name"),
            (
                "{server: 'https://a', certificate-authority-data: '?'}",
                token,
                "certificate-authority-data of its cluster",
            ),
            (
                "{server: 'https://a', certificate-authority-data: aHVudGVyMg==}",
                token,
                "the certificate-authority-data of its cluster \"c\" holds no certificate in PEM form",
            ),
            ("{server: 'https://a', proxy-url: 'http://p'}", token, "proxy-url"),
            ("{server: 'https://a', tls-server-name: b}", token, "tls-server-name"),
        ] {
            let error = parsed(&kubeconfig(cluster, user)).expect_err(words);
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_file_that_leads_nowhere_is_refused() {
        for (text, words) in [
            ("hunter2: [", "it is not a kubeconfig"),
            ("hunter2", "it is not a kubeconfig"),
            ("apiVersion: v1", "it has no current-context"),
            ("current-context: a", "it has no context \"a\""),
            ("current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]", "it has no cluster \"b\""),
            (
                "current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\n\
                 clusters: [{name: b, cluster: {}}]",
                "it has no user \"c\"",
            ),
        ] {
            let error = parsed(text).expect_err(words);
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
        assert!(parse(&SecretBytes::new(vec![0xff])).is_err());
    }
}
