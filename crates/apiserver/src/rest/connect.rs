//! What webhooks say of connections to what runs in the cluster.

use gantry_api::Subresource;
use gantry_api::meta::v1::CreateOptions;
use serde_json::Value;

use crate::admission::Operation;
use crate::admission::asked::Shape;
use crate::status::ApiError;
use crate::verbs::{Target, Verbs};

/// Whether a connection may be made, by these options. Webhooks that change them change nothing: what runs is what the
/// request asked for.
pub(super) async fn admit(
    verbs: &Verbs,
    target: &Target,
    subresource: Option<Subresource>,
    options: &Value,
) -> Result<(), ApiError> {
    let shape = shape(target, subresource);
    let none = CreateOptions::default();
    let Some(asked) = verbs.asked(Operation::Connect, target, subresource, false, ("", &none))? else {
        return Ok(());
    };
    verbs.admit_message(Some(asked.without_options()), shape, options.clone(), None).await.map(drop)
}

/// The kind of the options.
fn shape(target: &Target, subresource: Option<Subresource>) -> Shape {
    let kind = match (subresource, target.kind.kind) {
        (Some(Subresource::Exec), _) => "PodExecOptions",
        (Some(Subresource::Attach), _) => "PodAttachOptions",
        (Some(Subresource::PortForward), _) => "PodPortForwardOptions",
        (_, "Service") => "ServiceProxyOptions",
        (_, "Node") => "NodeProxyOptions",
        _ => "PodProxyOptions",
    };
    ("", "v1", kind)
}
