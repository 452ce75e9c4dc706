//! Types, schemas and admission rules of the custom resources.
