//! Who asks AWS.

use std::sync::Arc;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use keyferry_core::{CallObserver, CallReport, Result};

use super::failure::{Action, Purpose};

/// Who asks AWS, and who hears of it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The provider's name in metrics and messages.
    pub provider: &'static str,
    /// Hears of the requests.
    pub observer: Arc<dyn CallObserver>,
    /// The field or access type for which a proof is made, where that is not the store as a whole.
    pub proof: Option<&'static str>,
}

impl Caller {
    /// What a call is made for.
    pub fn purpose<'a>(&self, action: Action, about: &'a str) -> Purpose<'a> {
        Purpose { provider: self.provider, action, about }
    }

    /// Waits for the answer to a request, and tells the observer.
    pub async fn exchange<T, E: ProvideErrorMetadata>(
        &self,
        purpose: Purpose<'_>,
        sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T> {
        let report = CallReport::begin(&*self.observer, self.provider, purpose.action.name);
        let answer = sent.await.map_err(|failure| purpose.failed(&failure));
        report.end(answer.as_ref().map(drop).map_err(|error| error.kind));
        answer
    }

    /// As the sentence of an error names a role.
    pub(super) fn about_role(&self, arn: &str) -> String {
        match self.proof {
            None => format!("role {arn}"),
            Some(proof) => format!("role {arn} for {proof}"),
        }
    }
}
