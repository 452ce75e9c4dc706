//! From what a backend sent to what a target holds: selecting, decoding, naming keys. Exists once, for all backends.
//! Pure: no client, no clock, and no error text carries a value.

mod decode;
mod error;
mod keys;
mod select;

pub(crate) use decode::{Decoding, NullBytes, check_null_bytes, decode};
pub(crate) use error::RenderError;
pub(crate) use keys::{Conversion, target_keys};
pub(crate) use select::{object, property, tags};
