//! What is asked of an API server, and what is made of each answer.

mod check;
mod cluster;
mod conformance;
mod list;
mod login;
mod read;
mod rig;
