//! What is asked of a server, and what is made of each answer.

mod conformance;
mod ntlm;
mod read;
mod request;
mod rig;
mod store;
