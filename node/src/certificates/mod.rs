//! Who a node is: certificates and keys.
