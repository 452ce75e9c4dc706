//! Many secrets at a time.

use std::{collections::BTreeSet, sync::Arc};

use aws_sdk_secretsmanager::types::{ApiErrorType, SecretValueEntry};
use keyferry_clouds::aws::failure::Refusal;
use keyferry_core::{ErrorKind, Fetched, Result};

use super::{Answers, BATCH, BATCH_GET, SecretsManager, leaves_items_open, value, wanted::Wanted};
use crate::{client::Clients, names::is_arn};

/// Secrets and refusals of one batch.
#[derive(Debug, Default)]
struct Answered {
    values: Vec<SecretValueEntry>,
    refusals: Vec<ApiErrorType>,
}

impl SecretsManager {
    /// Answers what batch calls can answer. What is left out is to be asked for singly.
    pub(super) async fn in_batches(&self, wanted: &BTreeSet<Wanted>) -> Answers {
        let current = wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Current(id) if is_plain(id) => Some(id.as_str()),
            _ => None,
        });
        let ids: Vec<_> = current.collect();
        let mut answers = Answers::new();
        // One secret alone needs no batch, and with that no permission for it.
        for ids in ids.chunks(BATCH).filter(|ids| ids.len() > 1) {
            if self.denials.has(BATCH_GET.name) {
                break;
            }
            answers.extend(self.batch(ids).await);
        }
        answers
    }

    async fn batch(&self, ids: &[&str]) -> Answers {
        let key = |id: &str| Wanted::Current(id.to_owned());
        match self.pages(ids).await {
            Ok(answered) => {
                ids.iter().filter_map(|id| Some((key(id), self.part(&answered, id)?.map(Arc::new)))).collect()
            }
            Err(error) if leaves_items_open(&error) => {
                if matches!(error.kind, ErrorKind::AccessDenied | ErrorKind::Unsupported) {
                    self.denials.note(BATCH_GET.name);
                }
                Answers::new()
            }
            Err(error) => ids.iter().map(|id| (key(id), Err(error.clone()))).collect(),
        }
    }

    /// An answer that is long comes in parts.
    async fn pages(&self, ids: &[&str]) -> Result<Answered> {
        let about = format!("{} secrets", ids.len());
        let mut answered = Answered::default();
        let mut after = None;
        // No honest answer has more parts than secrets.
        for _ in ids {
            let send = |clients: &Clients| {
                let ids = ids.iter().map(|id| (*id).to_owned()).collect();
                let request = clients.secrets_manager.batch_get_secret_value();
                request.set_secret_id_list(Some(ids)).set_next_token(after.clone()).send()
            };
            let page = self.client.call(BATCH_GET, &about, send).await?;
            answered.values.extend(page.secret_values.unwrap_or_default());
            answered.refusals.extend(page.errors.unwrap_or_default());
            after = page.next_token.filter(|token| !token.is_empty());
            if after.is_none() {
                break;
            }
        }
        Ok(answered)
    }

    /// What the batch says about `id`; `None` where it says nothing, or nothing that is certain.
    fn part(&self, answered: &Answered, id: &str) -> Option<Result<Fetched>> {
        let mut values = answered.values.iter().filter(|entry| means(id, entry.name(), entry.arn()));
        if let Some(entry) = values.next() {
            let SecretValueEntry { secret_string, secret_binary, version_id, .. } = entry.clone();
            return match values.next() {
                None => value(secret_string, secret_binary, version_id).map(Ok),
                Some(_) => None,
            };
        }
        let refusal = answered.refusals.iter().find(|refusal| means(id, refusal.secret_id(), refusal.secret_id()))?;
        let code = refusal.error_code()?;
        let about = Wanted::Current(id.to_owned()).about();
        // The refusal is of reading the secret, which is another permission than that for the batch.
        let purpose = self.client.purpose(super::GET, &about);
        let error = purpose.refused(Refusal { code: Some(code), message: refusal.message(), status: None });
        // Secrets of other accounts have ARNs. AWS promises that single reads reach them, and says nothing of batches.
        let may_be_elsewhere = is_arn(id)
            && matches!(error.kind, ErrorKind::AccessDenied | ErrorKind::InvalidConfig | ErrorKind::NotFound);
        (!may_be_elsewhere).then_some(Err(error))
    }
}

/// Whether `id`, which is a name, an ARN, or an ARN without the six letters that AWS adds, means this secret.
fn means(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    let partly = || {
        let rest = arn?.strip_prefix(id)?.strip_prefix('-')?;
        (is_arn(id) && rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(())
    };
    name == Some(id) || arn == Some(id) || partly().is_some()
}

/// AWS refuses a whole batch for one name that cannot be; such a name is asked for alone.
fn is_plain(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&byte);
    (1..=2048).contains(&id.len()) && id.bytes().all(allowed) && (is_arn(id) || !id.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::{is_plain, means};

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/db-AbCdEf";

    #[test]
    fn a_secret_is_meant_by_its_name_its_arn_and_its_arn_without_the_suffix() {
        let meant = |id| means(id, Some("team/db"), Some(ARN));
        assert!(meant("team/db") && meant(ARN) && meant(ARN.strip_suffix("-AbCdEf").expect("a suffix")));
        for other in ["team", "db", "team/db-AbCdEf", ARN.strip_suffix("b-AbCdEf").expect("a suffix"), "arn:aws"] {
            assert!(!meant(other), "{other}");
        }
    }

    #[test]
    fn an_arn_without_suffix_does_not_mean_a_secret_whose_name_is_longer() {
        let longer = "arn:aws:secretsmanager:eu-west-1:1:secret:team/db-replica-AbCdEf";
        assert!(!means("arn:aws:secretsmanager:eu-west-1:1:secret:team/db", Some("team/db-replica"), Some(longer)));
        let alike = "arn:aws:secretsmanager:eu-west-1:1:secret:team/db-backup-AbCdEf";
        assert!(!means("arn:aws:secretsmanager:eu-west-1:1:secret:team/db", Some("team/db-backup"), Some(alike)));
    }

    #[test]
    fn names_that_cannot_be_are_not_put_into_a_batch() {
        assert!(is_plain("team/db_1+=.@-x") && is_plain(ARN));
        for wrong in ["", "a b", "ü", "a:b", "a\n", &"x".repeat(2049)] {
            assert!(!is_plain(wrong), "{wrong}");
        }
    }
}
