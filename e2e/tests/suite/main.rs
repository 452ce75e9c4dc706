//! All end-to-end tests, in one binary so that they share one control plane.

mod harness;
