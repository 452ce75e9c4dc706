//! HTTP for backends: TLS roots, safe errors, sessions that renew themselves.
