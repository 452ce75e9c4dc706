//! Writes the CustomResourceDefinitions to `crds/generated`.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated");
    fs::create_dir_all(&folder)?;
    for (name, content) in keyferry_crds::generate::files()? {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}
