//! Timeouts, limits, retries, breakers and coalescing around any provider.
