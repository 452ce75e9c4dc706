//! The README's support table is made of what the conformance suite saw of each backend, recorded in
//! `docs/backends/seen/`. `make support` writes both anew.

use std::{env, fs, path::Path};

use serde_json::Value;

/// File in `docs/backends/seen/`, name in the table, page in `docs/backends/`.
const BACKENDS: [(&str, &str, &str); 11] = [
    ("akeyless", "Akeyless", "akeyless"),
    ("aws-parameter-store", "AWS Parameter Store", "aws"),
    ("aws-secrets-manager", "AWS Secrets Manager", "aws"),
    ("azure", "Azure Key Vault", "azure"),
    ("fake", "Fake", "fake"),
    ("gcp", "GCP Secret Manager", "gcp"),
    ("infisical", "Infisical", "infisical"),
    ("kubernetes", "Kubernetes", "kubernetes"),
    ("vault-kv1", "Vault, KV version 1", "vault"),
    ("vault-kv2", "Vault, KV version 2", "vault"),
    ("webhook", "Webhook", "webhook"),
];

/// Case of the suite, head of its column.
const COLUMNS: [(&str, &str); 7] = [
    ("get", "`data`, `extract`"),
    ("version", "`version`"),
    ("metadata", "`metadataPolicy`"),
    ("list", "`find` by name"),
    ("find by path", "by path"),
    ("find by tags", "by tags"),
    ("binary", "binary values"),
];

const BEGIN: &str = "<!-- support table: written by `make support` -->\n";
const END: &str = "<!-- end of support table -->\n";

#[test]
fn the_readme_says_what_was_seen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).expect("there is a README");
    let (before, rest) = readme.split_once(BEGIN).expect("the table has a beginning");
    let (table, after) = rest.split_once(END).expect("the table has an end");
    let seen = support_table(&root.join("docs/backends/seen"));
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{seen}{END}{after}")).expect("the README can be written");
    } else {
        assert_eq!(table, seen, "the README's support table is out of date; run `make support`");
    }
}

fn support_table(seen: &Path) -> String {
    let heads: Vec<_> = COLUMNS.iter().map(|(_, head)| *head).collect();
    let mut lines = vec![
        String::new(),
        format!("| Backend | {} | keys per call |", heads.join(" | ")),
        format!("|---|{}---|", "---|".repeat(COLUMNS.len())),
    ];
    for (file, name, page) in BACKENDS {
        let path = seen.join(format!("{file}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("there is a record {}", path.display()));
        let record: Value = serde_json::from_str(&text).expect("a record is JSON");
        let cells: Vec<_> = COLUMNS.iter().map(|(case, _)| cell(&record["cases"][case])).collect();
        lines.push(format!("| [{name}](docs/backends/{page}.md) | {} | {} |", cells.join(" | "), record["batch"]));
    }
    lines.join("\n") + "\n\n"
}

fn cell(outcome: &Value) -> &'static str {
    if outcome == "passed" { "yes" } else { "–" }
}
