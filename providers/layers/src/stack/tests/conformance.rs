//! Each layer, and all of them together, keep the contract of a provider.

use std::sync::Arc;

use keyferry_core::Unobserved;
use keyferry_testkit::{Memory, Outcome, conformance};

use crate::{
    CircuitKind, Layers, Settings, breaker::Breaker, coalesce::Coalesce, limit::Limit, observe::Observe, retry::Retry,
    stack::Layer, timeout::Timeout,
};

#[tokio::test(start_paused = true)]
async fn each_layer_keeps_the_contract() {
    let (settings, observer) = (Settings::default(), || Arc::new(Unobserved));
    let layers: [&dyn Layer; 8] = [
        &Timeout::attempt(settings.attempt_timeout),
        &Limit::new(&settings, observer()),
        &Retry::new(&settings, observer()),
        &Timeout::deadline(settings.deadline),
        &Breaker::new(CircuitKind::Reach, &settings, observer()),
        &Breaker::new(CircuitKind::Login, &settings, observer()),
        &Coalesce::new(&settings, observer()),
        &Observe::new(observer()),
    ];
    for layer in layers {
        let subject = Memory::new().batch(7).subject(|base| layer.wrap(base));
        conformance(&subject).await.assert_conforms();
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_stack_keeps_the_contract() {
    for batch in [1, 7, 100] {
        let layers = Layers::new(Settings::default(), Arc::new(Unobserved));
        let report = conformance(&Memory::new().batch(batch).subject(|base| layers.stack(base))).await;
        report.assert_conforms();
        assert!(report.cases.iter().all(|(_, outcome)| *outcome == Outcome::Passed), "{report}");
    }
}
