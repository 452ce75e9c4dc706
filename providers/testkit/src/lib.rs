//! What backends and layers are tested with: the conformance suite that each of them passes, a backend in memory whose
//! behaviour the test writes, and a scripted HTTP server.

pub mod ask;

mod conformance;
mod memory;
mod report;
mod scripted;
mod subject;

pub use conformance::conformance;
pub use memory::{Called, Memory, MemorySubject, Step};
pub use report::{Outcome, Report};
pub use scripted::{Reply, Request, ScriptedServer};
pub use subject::{Able, Cannot, Fault, Stored, Subject};
