//! The layers together.

mod conformance;
mod order;
mod storm;
