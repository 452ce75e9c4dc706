//! `decodingStrategy` and `nullBytePolicy`.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use keyferry_core::SecretBytes;
use zeroize::Zeroizing;

use super::RenderError;

/// How a value is encoded in the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoding {
    /// Whatever fits: Base64, then Base64 for URLs, then as it is.
    Auto,
    Base64,
    Base64Url,
    None,
}

/// What a null byte in a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NullBytes {
    Fail,
    Ignore,
}

/// The value as `decoding` says.
pub(crate) fn decode(value: &SecretBytes, decoding: Decoding) -> Result<SecretBytes, RenderError> {
    match decoding {
        Decoding::Auto => Ok(standard(value).or_else(|| url_safe(value)).unwrap_or_else(|| value.clone())),
        Decoding::Base64 => standard(value).ok_or(RenderError::NotEncoded("Base64")),
        Decoding::Base64Url => url_safe(value).ok_or(RenderError::NotEncoded("Base64URL")),
        Decoding::None => Ok(value.clone()),
    }
}

/// Refuses a null byte where `policy` says so: programs that read values as C strings would see half of it.
pub(crate) fn check_null_bytes(value: &SecretBytes, policy: NullBytes) -> Result<(), RenderError> {
    match policy {
        NullBytes::Fail if value.expose().contains(&0) => Err(RenderError::NullByte),
        NullBytes::Fail | NullBytes::Ignore => Ok(()),
    }
}

fn standard(value: &SecretBytes) -> Option<SecretBytes> {
    BASE64_STANDARD.decode(&*without_line_ends(value)).ok().map(SecretBytes::new)
}

fn url_safe(value: &SecretBytes) -> Option<SecretBytes> {
    BASE64_URL_SAFE.decode(&*without_line_ends(value)).ok().map(SecretBytes::new)
}

/// Encoded text is often wrapped; users of other operators rely on line ends being passed over.
fn without_line_ends(value: &SecretBytes) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(value.expose().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect())
}

#[cfg(test)]
mod tests {
    use keyferry_core::SecretBytes;

    use super::{Decoding, NullBytes, RenderError, check_null_bytes, decode};

    fn decoded(text: &str, decoding: Decoding) -> Result<SecretBytes, RenderError> {
        decode(&SecretBytes::from(text), decoding)
    }

    #[test]
    fn each_strategy_decodes_its_alphabet() {
        assert_eq!(decoded("aGk/Pz8+", Decoding::Base64), Ok("hi???>".into()));
        assert_eq!(decoded("aGk_Pz8-", Decoding::Base64Url), Ok("hi???>".into()));
        assert_eq!(decoded("aGk=", Decoding::None), Ok("aGk=".into()));
        assert_eq!(decoded("aG\r\nk=\n", Decoding::Base64), Ok("hi".into()));
    }

    #[test]
    fn auto_takes_what_fits() {
        assert_eq!(decoded("aGk/Pz8+", Decoding::Auto), Ok("hi???>".into()));
        assert_eq!(decoded("aGk_Pz8-", Decoding::Auto), Ok("hi???>".into()));
        assert_eq!(decoded("not encoded!", Decoding::Auto), Ok("not encoded!".into()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(decoded("hunter2!", Decoding::Base64), Err(RenderError::NotEncoded("Base64")));
        assert_eq!(decoded("aGk", Decoding::Base64Url), Err(RenderError::NotEncoded("Base64URL")));
    }

    #[test]
    fn null_bytes_are_refused_only_where_asked() {
        let value = SecretBytes::from("a\0b");
        assert_eq!(check_null_bytes(&value, NullBytes::Fail), Err(RenderError::NullByte));
        assert_eq!(check_null_bytes(&value, NullBytes::Ignore), Ok(()));
        assert_eq!(check_null_bytes(&"ab".into(), NullBytes::Fail), Ok(()));
    }
}
