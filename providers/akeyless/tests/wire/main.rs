//! The provider against the fake gateway, which is as strict as the real one.

mod address;
mod cloud;
mod conformance;
mod doubts;
mod faults;
mod find;
mod login;
mod read;
mod store;
