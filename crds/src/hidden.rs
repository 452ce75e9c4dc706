//! Manifest fields in which people write secrets.

use std::{borrow::Cow, fmt, ops::Deref};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A value that stands in a manifest as it is, but that no log or error may carry: its `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden<T>(pub T);

impl<T> Deref for Hidden<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl<T: JsonSchema> JsonSchema for Hidden<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::Hidden;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Hidden("hunter2".to_owned())), "[hidden]");
    }

    #[test]
    fn it_reads_and_writes_as_what_it_holds() {
        let hidden: Hidden<String> = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(*hidden, "hunter2");
        assert_eq!(serde_json::to_string(&hidden).unwrap(), "\"hunter2\"");
    }
}
