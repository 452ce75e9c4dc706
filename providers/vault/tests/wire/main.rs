//! What goes over the wire to Vault, and what becomes of each answer.

mod access;
mod cloud;
mod find;
mod login;
mod read;
mod rig;
mod standby;
