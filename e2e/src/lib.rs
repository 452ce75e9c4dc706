//! Black-box tests of the built operator on a real control plane.

pub mod harness;
