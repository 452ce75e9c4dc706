//! Logins that are more than a header.

use keyferry_core::{Error, ErrorKind, Result};

use crate::{PROVIDER, client::REQUEST};

/// How to log in, beside what the templates say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Templates say it all.
    #[default]
    None,
    /// The challenge and response of Windows domains. There is no maintained implementation to build on.
    Ntlm,
}

impl Auth {
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Ntlm => Err(Error::new(
                ErrorKind::Unsupported,
                PROVIDER,
                REQUEST,
                "auth.ntlm is not supported; let the server accept a token or Basic authentication, send it in `headers`, \
                 and remove `auth`",
            )),
        }
    }
}
