//! What is configured: namespaces, configuration, secrets, accounts, quotas, leases.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::Column;
use crate::Resource;
use crate::coordination::v1::Lease;
use crate::core::v1::{ConfigMap, LimitRange, Namespace, ResourceQuota, Secret, ServiceAccount};
use crate::scalars::Quantity;
use crate::strategy::age;

const DATA: Column = Column::new("Data", "string", "How many entries it has");

pub(in crate::strategy) const NAMESPACE: &[Column] =
    &[Column::NAME, Column::new("Status", "string", "Its phase"), Column::AGE];

pub(in crate::strategy) fn namespace(namespace: &Namespace, now: Timestamp) -> Vec<Value> {
    let phase = namespace.status.as_ref().map(|status| status.phase.as_str()).unwrap_or_default();
    vec![namespace.name().into(), phase.into(), age(Resource::meta(namespace), now)]
}

pub(in crate::strategy) const CONFIG_MAP: &[Column] = &[Column::NAME, DATA, Column::AGE];

pub(in crate::strategy) fn config_map(map: &ConfigMap, now: Timestamp) -> Vec<Value> {
    let entries = map.data.len() + map.binary_data.len();
    vec![map.name().into(), entries.to_string().into(), age(Resource::meta(map), now)]
}

pub(in crate::strategy) const SECRET: &[Column] =
    &[Column::NAME, Column::new("Type", "string", "What it is for"), DATA, Column::AGE];

pub(in crate::strategy) fn secret(secret: &Secret, now: Timestamp) -> Vec<Value> {
    vec![
        secret.name().into(),
        secret.r#type.as_str().into(),
        secret.data.len().to_string().into(),
        age(Resource::meta(secret), now),
    ]
}

pub(in crate::strategy) const SERVICE_ACCOUNT: &[Column] =
    &[Column::NAME, Column::new("Secrets", "string", "How many secrets it names"), Column::AGE];

pub(in crate::strategy) fn service_account(account: &ServiceAccount, now: Timestamp) -> Vec<Value> {
    vec![account.name().into(), account.secrets.len().to_string().into(), age(Resource::meta(account), now)]
}

pub(in crate::strategy) const LEASE: &[Column] =
    &[Column::NAME, Column::new("Holder", "string", "Who holds it"), Column::AGE];

pub(in crate::strategy) fn lease(lease: &Lease, now: Timestamp) -> Vec<Value> {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    vec![lease.name().into(), holder.into(), age(Resource::meta(lease), now)]
}

pub(in crate::strategy) const LIMIT_RANGE: &[Column] =
    &[Column::NAME, Column::new("Created At", "date", "When it was created")];

pub(in crate::strategy) fn limit_range(range: &LimitRange) -> Vec<Value> {
    let created = Resource::meta(range).creation_timestamp.map(|time| time.to_string());
    vec![range.name().into(), created.unwrap_or_default().into()]
}

pub(in crate::strategy) const RESOURCE_QUOTA: &[Column] = &[
    Column::NAME,
    Column::new("Request", "string", "What is used of what may be requested"),
    Column::new("Limit", "string", "What is used of the limits"),
    Column::AGE,
];

pub(in crate::strategy) fn resource_quota(quota: &ResourceQuota, now: Timestamp) -> Vec<Value> {
    let status = quota.status.clone().unwrap_or_default();
    let share = |limits: bool| -> Value {
        let of = status.hard.iter().filter(|(name, _)| name.starts_with("limits.") == limits);
        let texts: Vec<String> =
            of.map(|(name, hard)| format!("{name}: {}/{hard}", used(&status.used, name))).collect();
        texts.join(", ").into()
    };
    vec![quota.name().into(), share(false), share(true), age(Resource::meta(quota), now)]
}

fn used(used: &BTreeMap<String, Quantity>, name: &str) -> String {
    used.get(name).map_or_else(|| "0".to_owned(), ToString::to_string)
}
