//! A key of a service account.

use std::sync::LazyLock;

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

static RSA: LazyLock<String> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key").serialize_pem());

pub(crate) fn key_file() -> Value {
    let email = "reader@p-1.iam.gserviceaccount.com";
    json!({"type": "service_account", "private_key_id": "0a1b2c", "private_key": *RSA, "client_email": email})
}
