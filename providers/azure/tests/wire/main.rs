//! The backend on the wire: against the faithful fake, and against scripted answers where the vendor's servers would not
//! give the answer that is asked about.

mod astray;
mod certificate;
mod conformance;
mod find;
mod fixtures;
mod login;
mod read;
mod refusal;
mod settings;
