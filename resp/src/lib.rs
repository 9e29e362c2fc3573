//! The Redis protocol: what clients say, what it asks of the store, and how that is answered.
