//! An LDAP directory, with everything in memory.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::{SinkExt, StreamExt};
use ldap3_proto::{
    LdapCodec, LdapFilter, LdapMsg, LdapPartialAttribute, LdapResultCode, LdapSearchResultEntry, LdapSearchScope,
    SearchRequest, ServerOps, SimpleBindRequest,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::codec::Framed;

/// A running directory. It ends when dropped.
///
/// Who has bound may search, also without a name. It knows the filters that combine attributes and their exact values;
/// others find nothing.
pub(crate) struct Directory {
    url: String,
    task: JoinHandle<()>,
}

/// Somebody or something in the directory.
#[derive(Clone)]
pub(crate) struct Entry {
    dn: String,
    attributes: Vec<(String, String)>,
    password: Option<String>,
}

impl Directory {
    pub(crate) async fn start(entries: &[Entry]) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen")?;
        let url = format!("ldap://{}", listener.local_addr().context("failed to learn the port")?);
        let entries = Arc::<[Entry]>::from(entries);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&entries)));
            }
        });
        Ok(Self { url, task })
    }

    /// Its address, `ldap://…`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Entry {
    /// An entry such as `uid=ann,dc=example,dc=org`, which has the attribute that its name begins with.
    pub(crate) fn new(dn: &str) -> Self {
        let own = dn.split(',').next().and_then(|first| first.split_once('='));
        let attributes = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { dn: dn.to_owned(), attributes, password: None }
    }

    /// The same entry with one value more.
    pub(crate) fn with(mut self, attribute: &str, value: &str) -> Self {
        self.attributes.push((attribute.to_owned(), value.to_owned()));
        self
    }

    /// The same entry, for somebody who can log in.
    pub(crate) fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    fn is_within(&self, search: &SearchRequest) -> bool {
        let (dn, base) = (self.dn.to_lowercase(), search.base.to_lowercase());
        let below = dn.strip_suffix(&base).and_then(|rest| rest.strip_suffix(','));
        match search.scope {
            LdapSearchScope::Base => dn == base,
            LdapSearchScope::OneLevel => below.is_some_and(|rest| !rest.contains(',')),
            LdapSearchScope::Children => below.is_some(),
            LdapSearchScope::Subtree => dn == base || below.is_some(),
        }
    }

    fn matches(&self, filter: &LdapFilter) -> bool {
        let values = |name: &str| {
            let name = name.to_lowercase();
            self.attributes.iter().filter(move |(own, _)| own.to_lowercase() == name).map(|(_, value)| value)
        };
        match filter {
            LdapFilter::And(all) => all.iter().all(|filter| self.matches(filter)),
            LdapFilter::Equality(name, wanted) => values(name).any(|value| value.eq_ignore_ascii_case(wanted)),
            LdapFilter::Not(filter) => !self.matches(filter),
            LdapFilter::Or(any) => any.iter().any(|filter| self.matches(filter)),
            LdapFilter::Present(name) => values(name).next().is_some(),
            _ => false,
        }
    }

    /// What the search asks for: the named attributes, or all.
    fn answer(&self, search: &SearchRequest) -> LdapSearchResultEntry {
        let is_wanted =
            |name: &str| search.attrs.is_empty() || search.attrs.iter().any(|a| a.eq_ignore_ascii_case(name));
        let attributes = self.attributes.iter().filter(|(name, _)| is_wanted(name));
        let attributes = attributes
            .map(|(name, value)| LdapPartialAttribute { atype: name.clone(), vals: vec![value.clone().into_bytes()] });
        LdapSearchResultEntry { dn: self.dn.clone(), attributes: attributes.collect() }
    }
}

/// Answers until the client leaves, or asks for something that there is not.
async fn serve(client: TcpStream, entries: Arc<[Entry]>) {
    let mut messages = Framed::new(client, LdapCodec::default());
    let mut has_bound = false;
    while let Some(Ok(message)) = messages.next().await {
        let answers = match ServerOps::try_from(message) {
            Ok(ServerOps::SimpleBind(bind)) => {
                has_bound = admits(&entries, &bind);
                vec![if has_bound { bind.gen_success() } else { bind.gen_invalid_cred() }]
            }
            Ok(ServerOps::Search(search)) if has_bound => find(&entries, &search),
            Ok(ServerOps::Search(search)) => {
                vec![search.gen_error(LdapResultCode::InsufficentAccessRights, "bind first".to_owned())]
            }
            _ => return,
        };
        for answer in answers {
            if messages.send(answer).await.is_err() {
                return;
            }
        }
    }
}

/// A name without a password is nobody, and no name either is everybody.
fn admits(entries: &[Entry], bind: &SimpleBindRequest) -> bool {
    if bind.pw.is_empty() {
        return bind.dn.is_empty();
    }
    let mut named = entries.iter().filter(|entry| entry.dn.eq_ignore_ascii_case(&bind.dn));
    named.any(|entry| entry.password.as_ref() == Some(&bind.pw))
}

fn find(entries: &[Entry], search: &SearchRequest) -> Vec<LdapMsg> {
    let found = entries.iter().filter(|entry| entry.is_within(search) && entry.matches(&search.filter));
    found.map(|entry| search.gen_result_entry(entry.answer(search))).chain([search.gen_success()]).collect()
}
