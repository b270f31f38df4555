//! The service account `default` of each namespace, which pods have that name no other.

use gantry_api::Resource;
use gantry_api::core::v1::{Namespace, ServiceAccount};
use gantry_api::meta::v1::ObjectMeta;

use crate::Context;
use crate::each_namespace::{self, Action};

/// The name of the account.
const DEFAULT: &str = "default";

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    each_namespace::run(context, "serviceaccount", DEFAULT, reconcile).await;
}

/// The account that the namespace lacks.
fn reconcile(namespace: &Namespace, current: Option<&ServiceAccount>) -> Option<Action<ServiceAccount>> {
    if current.is_some() {
        return None;
    }
    Some(Action::Create(ServiceAccount {
        metadata: Some(ObjectMeta {
            name: DEFAULT.to_owned(),
            namespace: namespace.name().to_owned(),
            ..ObjectMeta::default()
        }),
        ..ServiceAccount::default()
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_namespace_has_an_account() {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
        let Some(Action::Create(account)) = reconcile(&namespace, None) else { panic!("it is made") };
        assert_eq!((account.namespace(), account.name()), ("a", "default"));
        assert_eq!(reconcile(&namespace, Some(&account)), None);
    }
}
