//! The in-memory backend: values written in the store's own manifest.
