//! Faithful fake servers of backends that exist only as a service.
