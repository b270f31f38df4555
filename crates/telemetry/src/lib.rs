//! Logs, metrics, health and configuration loading: the shared start-up of every component.
