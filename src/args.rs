//! The command line. Flags are those of External Secrets Operator, so that charts and habits keep working; what means
//! nothing here is accepted and said to.

use std::{env, time::Duration};

use clap::{ArgAction, Args, Parser};
use keyferry_crds::GoDuration;

use crate::{
    lease::Election,
    log::{Format, Level},
};

/// Ferries secrets from external backends into Kubernetes Secrets.
#[derive(Debug, Parser)]
#[command(name = "keyferry", version)]
pub(crate) enum Arguments {
    /// Run the operator in the cluster that KUBECONFIG or the Pod's ServiceAccount names.
    Run(RunArgs),
}

/// Flags of `keyferry run`.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// Where /metrics is served; "0" serves none.
    #[arg(long, default_value = ":8080")]
    pub(crate) metrics_addr: String,
    /// Where /healthz and /readyz are served; "0" serves none.
    #[arg(long, default_value = ":8082")]
    pub(crate) live_addr: String,
    /// Stores whose spec.controller names another class are left alone.
    #[arg(long, default_value = "default")]
    pub(crate) controller_class: String,
    /// Care for one namespace only; empty: for all.
    #[arg(long, default_value = "")]
    pub(crate) namespace: String,
    /// How many writes to the cluster may be under way at the same time. More only helps where the API server is far
    /// away; beyond what it can do at once, it slows others down.
    #[arg(long, default_value_t = 8)]
    pub(crate) concurrent: usize,
    /// Time between two checks of a store that names no refreshInterval.
    #[arg(long, default_value = "5m", value_parser = go_duration)]
    pub(crate) store_requeue_interval: Duration,
    /// Sync nothing from a store whose own check fails.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) enable_flood_gate: bool,
    /// Care for SecretStores.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) enable_secret_store_reconciler: bool,
    /// Care for ClusterSecretStores.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) enable_cluster_store_reconciler: bool,
    /// Work only while holding a Lease, so that several replicas may run.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enable_leader_election: bool,
    /// Name of the Lease, in the Pod's namespace.
    #[arg(long, default_value = "external-secrets-controller")]
    leader_election_id: String,
    /// How long a Lease that is not renewed counts.
    #[arg(long, default_value = "15s", value_parser = go_duration)]
    leader_election_lease_duration: Duration,
    /// How long a leader that cannot renew goes on; must be shorter than the Lease.
    #[arg(long, default_value = "10s", value_parser = go_duration)]
    leader_election_renew_deadline: Duration,
    /// Time between two looks at the Lease.
    #[arg(long, default_value = "2s", value_parser = go_duration)]
    leader_election_retry_period: Duration,
    /// The least urgent log lines to write.
    #[arg(long, default_value = "info")]
    pub(crate) loglevel: Level,
    /// Form of log lines; without it text on a terminal and JSON elsewhere.
    #[arg(long)]
    pub(crate) log_format: Option<Format>,
    #[command(flatten)]
    without_effect: WithoutEffect,
}

impl RunArgs {
    /// How to become the leader; `None`: there is no need to.
    pub(crate) fn election(&self) -> Option<Election> {
        self.enable_leader_election.then(|| Election {
            lease: self.leader_election_id.clone(),
            identity: identity(),
            lease_duration: self.leader_election_lease_duration,
            renew_deadline: self.leader_election_renew_deadline.min(self.leader_election_lease_duration.mul_f64(0.9)),
            retry_period: self.leader_election_retry_period,
        })
    }

    /// Flags that were given and do nothing here, for the log.
    pub(crate) fn ignored(&self) -> Vec<&'static str> {
        self.without_effect.given()
    }
}

/// Declares flags that are taken and do nothing.
macro_rules! without_effect {
    ($($field:ident: $flag:literal),+ $(,)?) => {
        /// Flags of External Secrets Operator that have no meaning here.
        #[derive(Args, Clone, Debug, Default)]
        #[command(next_help_heading = "Accepted from External Secrets Operator, without effect")]
        struct WithoutEffect {
            $(#[arg(long = $flag, hide = true, num_args = 0..=1, default_missing_value = "true")] $field: Option<String>,)+
        }

        impl WithoutEffect {
            fn given(&self) -> Vec<&'static str> {
                [$((self.$field.is_some(), concat!("--", $flag)),)+]
                    .into_iter()
                    .filter_map(|(given, flag)| given.then_some(flag))
                    .collect()
            }
        }
    };
}

without_effect! {
    client_burst: "client-burst",
    client_qps: "client-qps",
    configmaps_caching: "enable-configmaps-caching",
    http2: "enable-http2",
    managed_secrets_caching: "enable-managed-secrets-caching",
    read_on_cache_mismatch: "enable-secret-api-read-on-cache-mismatch",
    secrets_caching: "enable-secrets-caching",
    time_encoding: "zap-time-encoding",
    token_cache: "enable-vault-token-cache",
    token_cache_size: "vault-token-cache-size",
    token_cache_experimental: "experimental-enable-vault-token-cache",
    token_cache_size_experimental: "experimental-vault-token-cache-size",
}

fn go_duration(text: &str) -> Result<Duration, String> {
    GoDuration::from(text.to_owned()).duration().map_err(|error| error.to_string())
}

/// The Pod's name where there is one; no two replicas may have the same.
fn identity() -> String {
    let host = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_else(|_| "keyferry".to_owned());
    format!("{host}_{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::{Arguments, RunArgs};

    fn parse(flags: &[&str]) -> Result<RunArgs, clap::Error> {
        let Arguments::Run(args) = Arguments::try_parse_from([&["keyferry", "run"], flags].concat())?;
        Ok(args)
    }

    #[test]
    fn switches_are_written_as_the_go_operator_takes_them() {
        assert!(parse(&[]).unwrap().enable_flood_gate);
        assert!(!parse(&["--enable-flood-gate=false"]).unwrap().enable_flood_gate);
        assert!(parse(&["--enable-flood-gate", "--concurrent=5"]).unwrap().enable_flood_gate);
        assert!(parse(&["--enable-leader-election"]).unwrap().election().is_some());
        assert!(parse(&[]).unwrap().election().is_none());
    }

    #[test]
    fn durations_are_those_of_go() {
        let args = parse(&["--store-requeue-interval=1m30s"]).unwrap();
        assert_eq!(args.store_requeue_interval, Duration::from_secs(90));
        let refused = parse(&["--store-requeue-interval=1d"]).unwrap_err().to_string();
        assert!(refused.contains("--store-requeue-interval"), "{refused}");
    }

    #[test]
    fn a_leader_gives_up_before_its_lease_ends() {
        let args = parse(&["--enable-leader-election", "--leader-election-renew-deadline=1h"]).unwrap();
        let election = args.election().unwrap();
        assert!(election.renew_deadline < election.lease_duration);
    }

    #[test]
    fn what_means_nothing_here_is_taken_and_named() {
        let args = parse(&["--client-qps=50", "--enable-secrets-caching", "--zap-time-encoding=epoch"]).unwrap();
        assert_eq!(args.ignored(), ["--client-qps", "--enable-secrets-caching", "--zap-time-encoding"]);
    }
}
