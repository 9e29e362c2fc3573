//! What the daemon counts.
