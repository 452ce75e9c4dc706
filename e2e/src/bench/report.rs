//! The table and the JSON line.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::floor::Floor;
use super::isolation::{self, Isolation, Refresh};
use super::meter::Measure;

/// All that was measured.
pub(super) struct Report {
    pub(super) objects: usize,
    /// Seconds from the operator's start until its first store was Ready.
    pub(super) start: f64,
    pub(super) phases: [Measure; 4],
    pub(super) isolation: Isolation,
}

impl Report {
    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "{} objects; start to first store Ready {:.2} s; floors of cold and burst: a plain client before and after\n\n",
            self.objects, self.start
        );
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:9} {:>8} {:>19} {:>6} {:>7} {:>7} {:>6} {:>7} {:>22}  Kubernetes requests",
            "phase", "seconds", "floor", "ratio", "reads", "logins", "CPU s", "s/1000", "RSS MiB rest/peak/end"
        );
        for phase in &self.phases {
            let floor = phase.floor.map_or_else(|| "-".to_owned(), floor);
            let ratio = ratio(phase).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let before = phase.rss_before.map_or_else(|| "-".to_owned(), mebibytes);
            let memory = format!("{before}/{}/{}", mebibytes(phase.rss_peak), mebibytes(phase.rss_after));
            let _ = writeln!(
                table,
                "{:9} {:8.2} {floor:>19} {ratio:>6} {:7} {:7} {:6.2} {:7.2} {memory:>22}  {}",
                phase.phase,
                phase.seconds,
                phase.reads,
                phase.logins,
                phase.cpu.as_secs_f64(),
                per_thousand(phase.cpu, phase.reads),
                requests(phase)
            );
        }
        table + "\n" + &isolation_table(&self.isolation)
    }

    /// For machines, in one line.
    pub(super) fn json(&self) -> String {
        let phases: serde_json::Map<_, _> =
            self.phases.iter().map(|phase| (phase.phase.to_owned(), phase_json(phase))).collect();
        json!({
            "objects": self.objects,
            "startToFirstStoreReadySeconds": self.start,
            "phases": phases,
            "isolation": isolation_json(&self.isolation),
        })
        .to_string()
    }
}

fn isolation_table(isolation: &Isolation) -> String {
    let refresh = |refresh: Refresh| format!("{:.3} s p99, {:.3} s median", refresh.p99, refresh.median);
    format!(
        "isolation: {} ExternalSecrets of a store whose backend takes {:.1} s for a read\n\
         {:46}{:.3} s (goal 1)\n{:46}{}\n{:46}{}; ratio {:.2} (goal 1.2)\n",
        isolation::OBJECTS,
        isolation::ANSWER.as_secs_f64(),
        "  created, until all are synced",
        isolation.synced,
        "  refreshed all at once",
        refresh(isolation.alone),
        "  the same beside a store that never answers",
        refresh(isolation.beside_black_hole),
        isolation.ratio(),
    )
}

fn isolation_json(isolation: &Isolation) -> Value {
    let refresh = |refresh: Refresh| json!({ "medianSeconds": refresh.median, "p99Seconds": refresh.p99 });
    json!({
        "objects": isolation::OBJECTS,
        "backendSecondsPerRead": isolation::ANSWER.as_secs_f64(),
        "syncedSeconds": isolation.synced,
        "refreshAlone": refresh(isolation.alone),
        "refreshBesideBlackHole": refresh(isolation.beside_black_hole),
        "ratio": isolation.ratio(),
    })
}

fn phase_json(phase: &Measure) -> Value {
    let floor = |floor| match floor {
        Floor::Interval(interval) => json!({ "intervalSeconds": interval.as_secs_f64() }),
        Floor::PlainClient { before, after, concurrency } => {
            json!({ "beforeSeconds": before, "afterSeconds": after, "concurrency": concurrency })
        }
    };
    json!({
        "seconds": phase.seconds,
        "floor": phase.floor.map(floor),
        "ratio": ratio(phase),
        "backendReads": phase.reads,
        "backendLogins": phase.logins,
        "backendSessionCalls": phase.session_calls,
        "kubernetesRequests": phase.requests,
        "cpuSeconds": phase.cpu.as_secs_f64(),
        "cpuSecondsPerThousandReads": per_thousand(phase.cpu, phase.reads),
        "rssBytes": { "rest": phase.rss_before, "peak": phase.rss_peak, "after": phase.rss_after },
    })
}

/// What the operator asked of the API server; its watches and their beginnings summed up.
fn requests(phase: &Measure) -> String {
    let mut counts = BTreeMap::new();
    for (request, count) in &phase.requests {
        let verb = request.split(' ').next().unwrap_or_default();
        let shown = if ["list", "watch"].contains(&verb) { verb } else { request };
        *counts.entry(shown).or_insert(0) += count;
    }
    let counts: Vec<_> = counts.iter().map(|(request, count)| format!("{count} {request}")).collect();
    counts.join(", ")
}

fn floor(floor: Floor) -> String {
    match floor {
        Floor::Interval(interval) => format!("{:.2}", interval.as_secs_f64()),
        Floor::PlainClient { before, after, .. } => format!("{:.2} ({before:.2}/{after:.2})", floor.seconds()),
    }
}

fn ratio(phase: &Measure) -> Option<f64> {
    phase.floor.map(|floor| phase.seconds / floor.seconds())
}

/// Processor seconds for a thousand syncs; none without a sync.
#[expect(clippy::cast_precision_loss, reason = "nobody syncs 2^52 objects")]
fn per_thousand(cpu: Duration, syncs: usize) -> f64 {
    if syncs == 0 { 0.0 } else { cpu.as_secs_f64() * 1000.0 / syncs as f64 }
}

fn mebibytes(bytes: u64) -> String {
    (bytes / 1024 / 1024).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Floor, Isolation, Measure, Refresh, Report};

    fn report() -> Report {
        let phase = |phase, floor| Measure {
            phase,
            seconds: 2.0,
            floor,
            reads: 500,
            logins: 1,
            session_calls: 0,
            requests: [("create secrets", 500), ("list secrets", 1), ("list namespaces", 1)]
                .map(|(request, count)| (request.to_owned(), count))
                .into(),
            cpu: Duration::from_millis(250),
            rss_before: None,
            rss_peak: 30 << 20,
            rss_after: 20 << 20,
        };
        let floor = Floor::PlainClient { before: 1.5, after: 1.7, concurrency: 8 };
        Report {
            objects: 500,
            start: 0.2,
            phases: [
                phase("cold", Some(floor)),
                phase("burst", Some(floor)),
                phase("steady", None),
                phase("rotation", None),
            ],
            isolation: Isolation {
                synced: 0.5,
                alone: Refresh { median: 0.25, p99: 0.5 },
                beside_black_hole: Refresh { median: 0.25, p99: 0.625 },
            },
        }
    }

    #[test]
    fn times_are_shown_as_ratios_to_their_floors() {
        let table = report().table();
        let cold = table.lines().find(|line| line.starts_with("cold")).unwrap();
        assert!(cold.contains("1.60 (1.50/1.70)   1.25") && cold.contains("-/30/20"), "{cold}");
        assert!(cold.ends_with("500 create secrets, 2 list"), "{cold}");
        assert!(table.contains("0.625 s p99, 0.250 s median; ratio 1.25"), "{table}");
    }

    #[test]
    fn the_json_is_one_line() {
        let text = report().json();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(json["phases"]["cold"]["ratio"], 1.25);
        assert_eq!(json["phases"]["cold"]["floor"]["concurrency"], 8);
        assert_eq!(json["phases"]["cold"]["cpuSecondsPerThousandReads"], 0.5);
        assert!(json["phases"]["steady"]["ratio"].is_null());
        assert_eq!(json["isolation"]["ratio"], 1.25);
    }
}
