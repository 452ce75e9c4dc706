//! Queries and forms.

use percent_encoding::percent_decode_str;

/// The pairs of a query or form; `None` if it is none, or names something twice.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| Some(percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned());
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        if pairs.iter().any(|(known, _)| *known == name) {
            return None;
        }
        pairs.push((name, decode(value)?));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn pairs_are_decoded_and_come_once() {
        assert_eq!(pairs("a=b+c%2F&d="), Some(vec![("a".into(), "b c/".into()), ("d".into(), String::new())]));
        assert_eq!(pairs("a=1&a=2"), None);
        assert_eq!(pairs(""), Some(vec![]));
    }
}
