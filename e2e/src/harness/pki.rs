//! Keys and certificates of a control plane, fresh for each.

use std::path::PathBuf;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RsaKeySize,
};

use super::run_dir::RunDir;

/// Names under which clients reach the API server.
const SERVER_NAMES: [&str; 5] =
    ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// A certificate and its private key.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// The files of one control plane; all PEM.
#[derive(Debug)]
pub(super) struct Pki {
    pub(super) ca: PathBuf,
    pub(super) ca_pem: String,
    pub(super) server: Identity,
    pub(super) admin: Identity,
    pub(super) controller_manager: Identity,
    /// Signs the tokens of ServiceAccounts: RS256, as clusters do.
    pub(super) token_signer: PathBuf,
    pub(super) token_verifier: PathBuf,
    pub(super) token_verifier_pem: String,
}

impl Pki {
    pub(super) fn generate(dir: &RunDir) -> Result<Self> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "keyferry-e2e");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_key = KeyPair::generate()?;
        let ca_pem = ca.self_signed(&ca_key).context("failed to sign the CA")?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let token_key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let token_verifier_pem = token_key.public_key_pem();

        Ok(Self {
            ca: dir.write("ca.crt", &ca_pem)?,
            ca_pem,
            server: issue(dir, &issuer, "kube-apiserver", Purpose::Server)?,
            admin: issue(dir, &issuer, "keyferry-e2e-admin", Purpose::Administration)?,
            controller_manager: issue(dir, &issuer, "system:kube-controller-manager", Purpose::Administration)?,
            token_signer: dir.write("service-accounts.key", &token_key.serialize_pem())?,
            token_verifier: dir.write("service-accounts.pub", &token_verifier_pem)?,
            token_verifier_pem,
        })
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    /// A client that may do everything.
    Administration,
    Server,
}

fn issue(dir: &RunDir, issuer: &Issuer<'_, KeyPair>, name: &str, purpose: Purpose) -> Result<Identity> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    match purpose {
        Purpose::Administration => {
            params.distinguished_name.push(DnType::OrganizationName, "system:masters");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        Purpose::Server => {
            let names: Vec<_> = SERVER_NAMES.map(str::to_owned).into();
            params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
    }
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer).with_context(|| format!("failed to sign {name}"))?;
    let file = name.replace(':', "-");
    Ok(Identity {
        certificate: dir.write(&format!("{file}.crt"), &certificate.pem())?,
        key: dir.write(&format!("{file}.key"), &key.serialize_pem())?,
    })
}
