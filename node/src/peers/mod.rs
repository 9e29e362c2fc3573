//! What crosses the network between nodes.
