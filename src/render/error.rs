//! What can be wrong with a value. Says what was expected, never what was there.

/// Why a value cannot be used as the manifest asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    /// Two keys of the answer become one key of the target.
    #[error(
        "secret name collision during conversion: two keys become \"{0}\"; use conversionStrategy Unicode or select \
         them one by one with data"
    )]
    KeyCollision(String),
    /// A Secret cannot have this key. `Err` quotes the key, which is a name and no value.
    #[error(
        "invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): \"{0}\" is too long; a key has at most 253 characters"
    )]
    KeyTooLong(String),
    /// `decodingStrategy` does not fit.
    #[error("the value is not valid {0}; correct it in the backend or set decodingStrategy to None")]
    NotEncoded(&'static str),
    /// A whole map is asked of something that is none, whatever is in it.
    #[error("what this key names is one value and no map; use data to take it as one key")]
    NoMap,
    /// A property or a whole map is asked of something that is not JSON.
    #[error("the secret is not valid JSON, so it has no properties; remove `property` or correct it in the backend")]
    NotJson,
    /// A whole map is asked of JSON that is not an object.
    #[error("the value is not a JSON object; dataFrom needs one: use data to take it as one key")]
    NotAnObject,
    /// `nullBytePolicy: Fail`, and there is one.
    #[error("the value holds a null byte; correct it in the backend or set nullBytePolicy to Ignore")]
    NullByte,
    /// The secret is there, the property is not.
    #[error("the secret has no property \"{0}\"; correct `property` or add it in the backend")]
    PropertyNotFound(String),
}

impl RenderError {
    /// First word of the message in a status.
    pub(crate) fn cause(&self) -> &'static str {
        match self {
            Self::KeyCollision(_) | Self::KeyTooLong(_) => "InvalidKey",
            Self::NoMap => "InvalidConfiguration",
            Self::NotAnObject | Self::NotEncoded(_) | Self::NotJson | Self::NullByte => "InvalidValue",
            Self::PropertyNotFound(_) => "PropertyNotFound",
        }
    }
}
