//! How the daemon is told what to do.
