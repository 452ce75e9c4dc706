//! What is sent to AWS, and what is made of its answers; the conformance suite against a server of our own, and
//! against moto.

mod ambient;
mod conformance;
mod failures;
mod fixtures;
mod login;
mod moto;
mod parameter_store;
mod pretend;
mod secrets_manager;
mod signature;
