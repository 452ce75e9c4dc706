//! The backend on the wire: against the faithful fake, and against scripted answers where the vendor's server would not
//! give the answer that is asked about.

mod batch;
mod conformance;
mod find;
mod fixtures;
mod login;
mod read;
mod refusal;
mod renewal;
