use std::collections::BTreeMap;

use keyferry_core::SecretBytes;

use super::{Data, Template};

fn data() -> Data {
    let auth = BTreeMap::from([
        ("user".to_owned(), SecretBytes::from("ann")),
        ("password".to_owned(), SecretBytes::from("hunter2")),
        ("binary".to_owned(), SecretBytes::new(vec![0xff])),
    ]);
    let data = Data::new(&BTreeMap::from([("auth".to_owned(), auth)]));
    data.with("remoteRef", [("key", "a/b"), ("version", ""), ("property", "p"), ("namespace", "team")])
}

fn rendered(source: &str) -> Result<String, String> {
    Template::parse(source, &data())?.render(&data()).map(|text| text.to_string())
}

#[test]
fn requests_are_written_as_go_does() {
    for (source, expected) in [
        ("https://h/{{ .remoteRef.key }}?v={{.remoteRef.version}}", "https://h/a/b?v="),
        ("Basic {{ print .auth.user \":\" .auth.password | b64enc }}", "Basic YW5uOmh1bnRlcjI="),
        ("{{ printf \"%s:%5s|%q\" .auth.user \"x\" \"y\\\"\" }}", "ann:    x|\"y\\\"\""),
        (r#"{"k":{{ .remoteRef.key | quote }}}"#, r#"{"k":"a/b"}"#),
        ("{{ toJson .remoteRef }}", r#"{"key":"a/b","namespace":"team","property":"p","version":""}"#),
        ("{{ if .remoteRef.version }}v{{ else }}none{{ end }}", "none"),
        ("{{ .remoteRef.version | default \"latest\" }}", "latest"),
        ("{{ .remoteRef.key | replace \"/\" \"-\" | upper | lower }}", "a-b"),
        ("{{ .remoteRef.key | trimPrefix \"a\" | trimSuffix \"b\" }}{{ trim \" x\\n\" }}", "/x"),
        ("{{ urlquery .remoteRef.key \" &\" }}", "a%2Fb+%26"),
        ("{{ html \"<\" }}{{ js \"'\" }}{{ print 1 2 \"a\" 3 }}{{ println 1 \"b\" }}", "&lt;\\'1 2a31 b\n"),
        ("{{ b64dec \"YQ==\" }}{{ slice \"hello\" 1 3 }}", "ael"),
        ("{{ range $i, $x := .remoteRef }}{{ $i }}={{ $x }};{{ end }}", "key=a/b;namespace=team;property=p;version=;"),
        ("{{- /* note */ -}} plain", "plain"),
        ("", ""),
    ] {
        assert_eq!(rendered(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_is_wrong_is_said_without_what_was_filled_in() {
    for (source, words) in [
        ("{{ .auth.pasword }}", "names \"pasword\", which is not there, or is not text"),
        ("{{ .auth.binary }}", "names \"binary\""),
        ("{{ .other.key }}", "names \"other\""),
        ("a\n {{ .auth.password", "is not a Go template: something is wrong at line 2"),
        ("{{ if }}", "is not a Go template"),
        ("{{ env \"HOME\" }}", "calls the function \"env\", which there is not; beside those of Go there are b64dec"),
        ("{{ $x }}", "$x"),
        ("{{ template \"other\" . }}", "calls the template \"other\""),
        ("{{ define \"a\" }}{{ end }}", "defines a template of its own"),
        ("{{ lower }}", "calls the function \"lower\" with the wrong number of arguments"),
        ("{{ b64dec .auth.password }}", "decodes with b64dec what is not base64"),
        ("{{ index .auth.password 99 }}", "a function does not fit what it is given"),
        (&"x".repeat(20_000), "is longer than 16 KiB"),
    ] {
        let error = rendered(source).expect_err(source);
        assert!(error.contains(words) && !error.contains("hunter2"), "{source}: {error}");
    }
}

#[test]
fn a_template_cannot_fill_the_memory_or_run_for_ever() {
    let doubling = format!("{{{{ $x := \"aaaaaaaa\" }}}}{}", "{{ $x = print $x $x }}".repeat(60));
    let quoting = format!("{{{{ $x := \"\\\"\" }}}}{}", "{{ $x = printf \"%q%[1]q\" $x }}".repeat(60));
    let replacing = format!("{{{{ $x := \"aa\" }}}}{}", "{{ $x = replace \"a\" $x $x }}".repeat(60));
    let slicing = format!("{{{{ $x := printf \"%60000s\" \"\" }}}}{}", "{{ $y := slice $x 1 }}".repeat(200));
    for (source, words) in [
        (doubling.as_str(), "more than 4 MiB of text on the way"),
        (&quoting, "more than 4 MiB of text on the way"),
        (&replacing, "more than 4 MiB of text on the way"),
        (&slicing, "more than 4 MiB of text on the way"),
        (&format!("{{{{ printf {:?} \"\" }}}}", "%60000s".repeat(2000)), "more than 4 MiB of text on the way"),
        ("{{ range 100000 }}x{{ end }}", "loops more than 1000 times"),
        ("{{ range 900 }}{{ range 900 }}{{ end }}{{ end }}", "loops more than 1000 times"),
        (&format!("{{{{ range 900 }}}}{}{{{{ end }}}}", "x".repeat(2000)), "makes more than 1 MiB of text"),
    ] {
        let error = rendered(source).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_depends_on_the_reference_is_judged_only_with_it() {
    let template = Template::parse("{{ index .remoteRef.key 5 }}", &data()).expect("well-formed");
    assert!(template.render(&data()).is_err());
    let longer = data().with("remoteRef", [("key", "abcdef")]);
    assert_eq!(template.render(&longer).map(|text| text.to_string()).as_deref(), Ok("102"));
}

#[test]
fn debug_shows_neither_template_nor_data() {
    let template = Template::parse("hunter2", &data()).expect("well-formed");
    assert_eq!(format!("{template:?} {:?}", data()), r#"Template(…) {"auth", "remoteRef"}"#);
}
