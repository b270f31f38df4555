//! The built-in pod network: namespaces, veth pairs, bridge, addresses and routes.
