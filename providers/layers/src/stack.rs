//! The order of the layers.

use std::sync::Arc;

use keyferry_core::Provider;

use crate::{
    CircuitKind, LayerObserver, Settings, breaker::Breaker, coalesce::Coalesce, limit::Limit, observe::Observe,
    retry::Retry, timeout::Timeout,
};

/// Something that stands between callers and a provider. State that must outlive the provider belongs to the layer;
/// what it wraps around is a view.
pub(crate) trait Layer: Send + Sync {
    /// Puts the layer around `inner`.
    fn wrap(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider>;
}

/// What the layers of one store share, however often its credentials change: its limits, and whether its backend
/// answers.
#[derive(Clone, Debug)]
pub struct Layers {
    settings: Settings,
    observer: Arc<dyn LayerObserver>,
    limit: Limit,
    reach: Breaker,
}

impl Layers {
    /// For a store that nothing is known about yet.
    pub fn new(settings: Settings, observer: Arc<dyn LayerObserver>) -> Self {
        let limit = Limit::new(&settings, Arc::clone(&observer));
        let reach = Breaker::new(CircuitKind::Reach, &settings, Arc::clone(&observer));
        Self { settings, observer, limit, reach }
    }

    /// Puts all layers around `base`, which stands for one login. Answers, and what is known of the login, are shared
    /// among those who call the returned provider, and with nobody else.
    pub fn stack(&self, base: Arc<dyn Provider>) -> Arc<dyn Provider> {
        let Self { settings, observer, limit, reach } = self;
        let observer = || Arc::clone(observer);
        // From the inside out. `tests/order.rs` shows what would go wrong the other way round.
        let layers: [&dyn Layer; 8] = [
            &Timeout::attempt(settings.attempt_timeout),
            limit,
            &Retry::new(settings, observer()),
            &Timeout::deadline(settings.deadline),
            reach,
            &Breaker::new(CircuitKind::Login, settings, observer()),
            &Coalesce::new(settings, observer()),
            &Observe::new(observer()),
        ];
        layers.into_iter().fold(base, |inner, layer| layer.wrap(inner))
    }
}

#[cfg(test)]
mod tests;
