//! Logins that are more than a header.

use keyferry_core::SecretBytes;

/// How to log in, beside what the templates say.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Templates say it all.
    #[default]
    None,
    /// The challenge and response of Windows domains. A header `Authorization` is then left out.
    Ntlm {
        /// `DOMAIN\user`, `user@domain`, or the name of an account of the server itself.
        username: SecretBytes,
        /// Its password.
        password: SecretBytes,
    },
}
