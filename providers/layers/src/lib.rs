//! Timeouts, limits, retries, breakers and coalescing around any provider.
//!
//! A backend only translates; how long to wait for it, how often to ask it again and who may share an answer is
//! decided here, once for all of them. [`Layers`] holds what belongs to one store for as long as the store exists;
//! [`Layers::stack`] puts the layers around a provider, and is the only place that knows their order.
//!
//! | layer, from the inside out | does | why here |
//! |---|---|---|
//! | attempt | bounds one try | the wait for a turn must not eat it |
//! | limit | tries in flight, tries a second, pauses that the backend asked for | every try costs quota, retries too |
//! | retry | tries again what may pass | the only retry in the process |
//! | deadline | bounds the whole call | retries and waits must not hold up a caller for ever |
//! | breaker | leaves a backend alone that does not answer, or refuses the login | counts calls, not tries |
//! | coalesce | one call for equal questions, one batch for different ones | a thousand waiters share one retry run |
//! | observe | duration and outcome | sees what callers see |

mod backoff;
mod breaker;
mod bucket;
mod circuit;
mod coalesce;
#[cfg(test)]
mod fixtures;
mod limit;
mod observe;
mod observer;
mod retry;
mod settings;
mod stack;
mod timeout;

pub use observer::{CircuitKind, CircuitState, Finished, LayerObserver, Operation};
pub use settings::Settings;
pub use stack::Layers;
