//! `conversionStrategy`: names that a Secret can have.

use std::{collections::BTreeMap, fmt::Write};

use keyferry_core::SecretBytes;

use super::RenderError;

/// How a character that no Secret key can have is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// By `_`.
    Default,
    /// By `_U` and its number in hexadecimal and `_`, which can be turned back.
    Unicode,
}

/// What the API server takes.
const LONGEST: usize = 253;

/// The same map under names that a Secret can have. An empty name is dropped: it names nothing.
pub(crate) fn target_keys(
    map: BTreeMap<String, SecretBytes>,
    conversion: Conversion,
) -> Result<BTreeMap<String, SecretBytes>, RenderError> {
    let mut converted = BTreeMap::new();
    for (key, value) in map.into_iter().filter(|(key, _)| !key.is_empty()) {
        let key = convert(&key, conversion);
        if key.len() > LONGEST {
            return Err(RenderError::KeyTooLong(key));
        }
        if converted.insert(key.clone(), value).is_some() {
            return Err(RenderError::KeyCollision(key));
        }
    }
    Ok(converted)
}

fn convert(key: &str, conversion: Conversion) -> String {
    let mut converted = String::with_capacity(key.len());
    for character in key.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_') {
            converted.push(character);
            continue;
        }
        match conversion {
            Conversion::Default => converted.push('_'),
            Conversion::Unicode => {
                // Writing to a String cannot fail.
                let _ = write!(converted, "_U{:04x}_", u32::from(character));
            }
        }
    }
    converted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyferry_core::SecretBytes;

    use super::{Conversion, RenderError, target_keys};

    fn keys(names: &[&str], conversion: Conversion) -> Result<Vec<String>, RenderError> {
        let map: BTreeMap<_, _> = names.iter().map(|name| ((*name).to_owned(), SecretBytes::default())).collect();
        target_keys(map, conversion).map(|map| map.into_keys().collect())
    }

    #[test]
    fn what_no_secret_can_have_is_replaced() {
        assert_eq!(keys(&["a/b c"], Conversion::Default).unwrap(), ["a_b_c"]);
        assert_eq!(keys(&["a/b c"], Conversion::Unicode).unwrap(), ["a_U002f_b_U0020_c"]);
        assert_eq!(keys(&["é", "😀"], Conversion::Unicode).unwrap(), ["_U00e9_", "_U1f600_"]);
        assert_eq!(keys(&["a-b.c_D9"], Conversion::Default).unwrap(), ["a-b.c_D9"]);
    }

    #[test]
    fn two_names_never_become_one_silently() {
        assert_eq!(keys(&["a/b", "a b"], Conversion::Default), Err(RenderError::KeyCollision("a_b".into())));
        assert!(keys(&["a/b", "a b"], Conversion::Unicode).is_ok());
    }

    #[test]
    fn an_empty_name_is_dropped_and_a_long_one_refused() {
        assert_eq!(keys(&["", "a"], Conversion::Default).unwrap(), ["a"]);
        let long = "x".repeat(254);
        assert_eq!(keys(&[&long], Conversion::Default), Err(RenderError::KeyTooLong(long.clone())));
    }
}
