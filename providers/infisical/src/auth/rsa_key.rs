//! RSA private keys in every PEM form that clouds hand out, encrypted ones included.

use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use aws_lc_rs::rsa::KeyPair;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use keyferry_core::SecretBytes;
use md5::{Digest, Md5};
use pem::Pem;
use pkcs8::{
    EncryptedPrivateKeyInfoRef,
    pkcs5::{self, EncryptionScheme, pbes2::Kdf},
};
use zeroize::Zeroizing;

/// What is wrong with a key, as the end of a sentence that begins with what holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidKey {
    /// It is encrypted in a way that is outdated, or absurdly costly.
    Cipher,
    /// It is encrypted, and there is no passphrase.
    Locked,
    /// Not an RSA key, or shorter than 2048 bits.
    NotRsa,
    /// Not PEM at all.
    NotPem,
    /// The passphrase does not fit.
    Passphrase,
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cipher => "is encrypted in an unusual way; encrypt it with AES (openssl pkcs8 -topk8 -v2 aes256)",
            Self::Locked => "is encrypted; give its passphrase",
            Self::NotRsa => "is not an RSA private key of 2048 to 8192 bits",
            Self::NotPem => "is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)",
            Self::Passphrase => "cannot be decrypted with the given passphrase",
        })
    }
}

/// Reads the first private key in `text`.
pub(super) fn parse(text: &SecretBytes, passphrase: Option<&SecretBytes>) -> Result<KeyPair, InvalidKey> {
    let blocks = pem::parse_many(text.expose()).map_err(|_| InvalidKey::NotPem)?;
    let block = blocks.iter().find(|block| block.tag().ends_with("PRIVATE KEY")).ok_or(InvalidKey::NotPem)?;
    let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
    match block.tag() {
        "ENCRYPTED PRIVATE KEY" => {
            let passphrase = passphrase.ok_or(InvalidKey::Locked)?;
            let key = EncryptedPrivateKeyInfoRef::try_from(block.contents()).map_err(|_| InvalidKey::NotPem)?;
            if !is_affordable(&key.encryption_algorithm) {
                return Err(InvalidKey::Cipher);
            }
            let key = key.decrypt(passphrase.expose()).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. }) => InvalidKey::Cipher,
                _ => InvalidKey::Passphrase,
            })?;
            KeyPair::from_pkcs8(key.as_bytes()).map_err(|_| InvalidKey::NotRsa)
        }
        "RSA PRIVATE KEY" => {
            let key = match block.headers().get("DEK-Info") {
                Some(how) => decrypt(block, how, passphrase.ok_or(InvalidKey::Locked)?)?,
                None => Zeroizing::new(block.contents().to_vec()),
            };
            // A wrong passphrase may leave padding that looks right.
            let wrong =
                if block.headers().get("DEK-Info").is_some() { InvalidKey::Passphrase } else { InvalidKey::NotRsa };
            KeyPair::from_der(&key).map_err(|_| wrong)
        }
        "PRIVATE KEY" => KeyPair::from_pkcs8(block.contents()).map_err(|_| InvalidKey::NotRsa),
        _ => Err(InvalidKey::NotRsa),
    }
}

/// Whether deriving the key takes no more time and memory than usual: the key comes from whoever wrote the store, and
/// must not keep the others waiting.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    const ITERATIONS: u32 = 2_000_000;
    const BLOCKS: u64 = 1 << 18;
    match scheme {
        EncryptionScheme::Pbes2(parameters) => match &parameters.kdf {
            Kdf::Pbkdf2(how) => how.iteration_count <= ITERATIONS,
            Kdf::Scrypt(how) => {
                let blocks = how.cost_parameter.saturating_mul(how.block_size.into());
                blocks.saturating_mul(how.parallelization.into()) <= BLOCKS
            }
            _ => false,
        },
        _ => false,
    }
}

/// Decrypts what `openssl genrsa -aes…` has written before PKCS#8 was usual; `how` is `cipher,initial vector`.
fn decrypt(block: &Pem, how: &str, passphrase: &SecretBytes) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    let (cipher, vector) = how.split_once(',').ok_or(InvalidKey::Cipher)?;
    let vector = hex(vector.trim()).ok_or(InvalidKey::NotPem)?;
    let key = |length| derive(passphrase.expose(), &vector[..8], length);
    let plain = match cipher {
        "AES-128-CBC" => cbc::Decryptor::<Aes128>::new_from_slices(&key(16), &vector)
            .ok()
            .and_then(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(block.contents()).ok()),
        "AES-192-CBC" => cbc::Decryptor::<Aes192>::new_from_slices(&key(24), &vector)
            .ok()
            .and_then(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(block.contents()).ok()),
        "AES-256-CBC" => cbc::Decryptor::<Aes256>::new_from_slices(&key(32), &vector)
            .ok()
            .and_then(|cipher| cipher.decrypt_padded_vec::<Pkcs7>(block.contents()).ok()),
        _ => return Err(InvalidKey::Cipher),
    };
    plain.map(Zeroizing::new).ok_or(InvalidKey::Passphrase)
}

/// OpenSSL's derivation of a key for such files: MD5 over and over.
fn derive(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    let mut round = Vec::new();
    while key.len() < length {
        round = Md5::new().chain_update(&round).chain_update(passphrase).chain_update(salt).finalize().to_vec();
        key.extend_from_slice(&round);
    }
    key.truncate(length);
    key
}

/// Sixteen bytes.
fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 16)
}

#[cfg(test)]
mod tests {
    use aes::Aes128;
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::{KeyPair, KeySize},
    };
    use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
    use keyferry_core::SecretBytes;
    use pem::{EncodeConfig, LineEnding, Pem};
    use pkcs8::{
        PrivateKeyInfoRef,
        der::{Encode, asn1::OctetStringRef},
        pkcs5::pbes2,
    };

    use super::{InvalidKey, decrypt, derive, hex, parse};

    const VECTOR: &str = "101112131415161718191A1B1C1D1E1F";

    /// A new key as PKCS#8.
    fn key() -> Vec<u8> {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        AsDer::<Pkcs8V1Der<'_>>::as_der(&key).expect("DER").as_ref().to_vec()
    }

    fn text(tag: &str, content: &[u8]) -> SecretBytes {
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        SecretBytes::from(pem::encode_config(&Pem::new(tag, content), config))
    }

    fn read(text: &SecretBytes, passphrase: Option<&str>) -> Option<InvalidKey> {
        parse(text, passphrase.map(SecretBytes::from).as_ref()).err()
    }

    #[test]
    fn keys_are_read_with_and_without_a_passphrase() {
        let key = key();
        let info = PrivateKeyInfoRef::try_from(key.as_slice()).expect("PKCS#8");
        let inner = info.private_key.as_bytes();
        assert_eq!(read(&text("PRIVATE KEY", &key), None), None);
        assert_eq!(read(&text("RSA PRIVATE KEY", inner), Some("not needed")), None);
        let how = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(1000, b"salt", *b"0123456789abcdef")
            .expect("parameters");
        let encrypted = info.encrypt_with_params(how, b"open sesame").expect("encrypted");
        let encrypted = text("ENCRYPTED PRIVATE KEY", encrypted.as_bytes());
        assert_eq!(read(&encrypted, Some("open sesame")), None);
        assert_eq!(read(&encrypted, Some("hunter2")), Some(InvalidKey::Passphrase));
        assert_eq!(read(&encrypted, None), Some(InvalidKey::Locked));
    }

    #[test]
    fn a_key_that_takes_minutes_to_decrypt_is_refused() {
        let key = key();
        let how = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(2_000_001, b"salt", [0; 16]).expect("parameters");
        let costly = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: how.into(),
            encrypted_data: OctetStringRef::new(&key).expect("short"),
        };
        let costly = text("ENCRYPTED PRIVATE KEY", &costly.to_der().expect("DER"));
        assert_eq!(read(&costly, Some("open sesame")), Some(InvalidKey::Cipher));
    }

    #[test]
    fn keys_that_openssl_encrypted_in_its_old_form_are_read() {
        let key = key();
        let inner = PrivateKeyInfoRef::try_from(key.as_slice()).expect("PKCS#8").private_key.as_bytes().to_vec();
        let vector = hex(VECTOR).expect("hex");
        let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&derive(b"open sesame", &vector[..8], 16), &vector);
        let mut block = Pem::new("RSA PRIVATE KEY", cipher.expect("a key").encrypt_padded_vec::<Pkcs7>(&inner));
        block.headers_mut().add("Proc-Type", "4,ENCRYPTED").expect("a header");
        block.headers_mut().add("DEK-Info", &format!("AES-128-CBC,{VECTOR}")).expect("a header");
        let encrypted = SecretBytes::from(pem::encode(&block));
        assert_eq!(read(&encrypted, Some("open sesame")), None);
        assert_eq!(read(&encrypted, Some("hunter2")), Some(InvalidKey::Passphrase));
        assert_eq!(read(&encrypted, Some("")), Some(InvalidKey::Locked));
    }

    /// Made with `openssl enc` and OpenSSL's rule for such keys.
    #[test]
    fn openssls_ciphers_are_understood() {
        for (cipher, encrypted) in [
            ("AES-128-CBC", "43d62aff98e1f69756593550f516c616fcad78ab39841f2ceb7d40251ca8bc57"),
            ("AES-192-CBC", "6d63d5f37fe79bc5b49a1387d51c0e756a13e6dbd756393ce19ee0de550913c3"),
            ("AES-256-CBC", "9343404ca5ad9b898ac0287aa2dd87678dae9639a98aaccb2c11e30aae58446d"),
        ] {
            let (first, second) = encrypted.split_at(32);
            let block = Pem::new("RSA PRIVATE KEY", [hex(first), hex(second)].map(Option::unwrap).concat());
            let plain = decrypt(&block, &format!("{cipher},{VECTOR}"), &"open sesame".into());
            assert_eq!(plain.as_deref().map(Vec::as_slice), Ok(&b"the plain text of a test vector"[..]), "{cipher}");
        }
        let block = Pem::new("RSA PRIVATE KEY", *b"x");
        let old = decrypt(&block, &format!("DES-EDE3-CBC,{VECTOR}"), &"open sesame".into());
        assert_eq!(old.err(), Some(InvalidKey::Cipher));
    }

    #[test]
    fn what_is_no_rsa_key_is_told_apart() {
        assert_eq!(read(&"hunter2".into(), None), Some(InvalidKey::NotPem));
        assert_eq!(read(&text("CERTIFICATE", b"x"), None), Some(InvalidKey::NotPem));
        assert_eq!(read(&text("PRIVATE KEY", b"x"), None), Some(InvalidKey::NotRsa));
        assert_eq!(read(&text("EC PRIVATE KEY", b"x"), None), Some(InvalidKey::NotRsa));
        assert_eq!(read(&text("ENCRYPTED PRIVATE KEY", b"x"), Some("y")), Some(InvalidKey::NotPem));
    }
}
