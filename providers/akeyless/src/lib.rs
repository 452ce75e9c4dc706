//! Akeyless gateways: static, rotated, dynamic and certificate items.
