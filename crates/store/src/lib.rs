//! Storage of encoded objects: etcd and in memory, behind one interface.
