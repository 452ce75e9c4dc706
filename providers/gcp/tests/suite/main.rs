//! The backend against a faithful fake of Google Cloud.

mod cloud;
mod conformance;
mod faults;
mod listing;
mod logins;
mod reading;
mod refusals;
