//! Typed client, informers, work queues, leader election and event recording.
