//! The conformance suite that every backend passes, and a scripted HTTP server.
