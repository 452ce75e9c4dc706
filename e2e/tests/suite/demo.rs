//! `make demo` is the first that anybody sees of Keyferry.

use std::process::Command;

use anyhow::Result;

#[test]
fn it_tells_its_story_to_the_end() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_keyferry-e2e")).arg("demo").output()?;
    let (story, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{story}\n{errors}");
    for line in [
        "https://api.akeyless.io becomes http://127.0.0.1",
        "Secret/mail",
        "DATABASE_PASSWORD (32 bytes)",
        "password (27 bytes)",
        "nothing is left behind",
    ] {
        assert!(story.contains(line), "no {line:?} in\n{story}");
    }
    assert!(!story.contains("sample-password"), "a value is shown:\n{story}");
    Ok(())
}
