//! Reading what a process exposes for Prometheus.

/// One scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }

    /// All of it, as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The sum of all series of this name that carry all `labels`; `None` if there is none. Histograms have the names
    /// `<name>_count` and `<name>_sum`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.text.lines().filter_map(|line| value(line, name, labels)).reduce(|sum, value| sum + value)
    }
}

/// The value of a line `name{label="value",…} number` if it is the right one.
fn value(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (series, number) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let series = format!(",{series},");
    let carries = |(label, value): &(&str, &str)| series.contains(&format!(",{label}=\"{value}\","));
    labels.iter().all(carries).then(|| number.split(' ').next()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let text = "# TYPE calls counter\ncalls{store=\"a\",call=\"read\"} 2\ncalls{store=\"b\",call=\"read\"} 3\n\
                    calls_seconds_sum 0.5\nup 1 1700000000\n";
        Metrics::new(text.to_owned())
    }

    #[test]
    fn series_are_summed() {
        assert_eq!(metrics().sum("calls", &[("call", "read")]), Some(5.0));
    }

    #[test]
    fn labels_select() {
        assert_eq!(metrics().sum("calls", &[("store", "b"), ("call", "read")]), Some(3.0));
        assert_eq!(metrics().sum("calls", &[("store", "c")]), None);
    }

    #[test]
    fn a_name_is_matched_as_a_whole() {
        assert_eq!(metrics().sum("calls_seconds", &[]), None);
        assert_eq!(metrics().sum("calls_seconds_sum", &[]), Some(0.5));
    }

    #[test]
    fn a_timestamp_is_no_value() {
        assert_eq!(metrics().sum("up", &[]), Some(1.0));
    }
}
