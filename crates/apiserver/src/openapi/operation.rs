//! What is asked for and answered, apart from how a version of OpenAPI writes it.

use super::parameter::Parameter;

/// Group, version and kind.
pub(super) type Gvk = (&'static str, &'static str, &'static str);

/// A path with its operations.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) template: String,
    /// Those that all its operations have.
    pub(super) parameters: Vec<Parameter>,
    pub(super) operations: Vec<Operation>,
}

/// A method of a path.
#[derive(Debug)]
pub(super) struct Operation {
    /// In lower case.
    pub(super) method: &'static str,
    pub(super) id: String,
    pub(super) description: String,
    pub(super) tag: String,
    /// What it does, as `x-kubernetes-action` says.
    pub(super) action: Option<&'static str>,
    pub(super) gvk: Option<Gvk>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) produces: Produces,
    /// The statuses of success.
    pub(super) statuses: &'static [u16],
    pub(super) answer: Answer,
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Body {
    /// An object of this message.
    Object(String),
    /// `DeleteOptions`, or nothing.
    DeleteOptions,
    /// A patch.
    Patch,
    /// A patch of an object of a custom resource.
    CustomPatch,
}

/// What comes back.
#[derive(Debug)]
pub(super) enum Answer {
    /// An object of this message.
    Object(String),
    /// A text.
    Text,
}

/// In which media types it comes back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Produces {
    /// Those of objects.
    Objects,
    /// Those of objects, and of their changes.
    Lists,
    /// What JSON or YAML says, or a text.
    TextOrObjects,
    /// Anything.
    Anything,
    /// JSON alone.
    Json,
    /// Those of objects of custom resources.
    Custom,
}

/// The media types of patches.
pub(crate) const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// The media types of patches of custom resources, whose lists have no keys to merge by.
pub(crate) const CUSTOM_PATCHES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

impl Produces {
    pub(super) fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Objects => &["application/json", "application/vnd.kubernetes.protobuf", "application/yaml"],
            Self::Lists => &[
                "application/json",
                "application/json;stream=watch",
                "application/vnd.kubernetes.protobuf",
                "application/vnd.kubernetes.protobuf;stream=watch",
                "application/yaml",
            ],
            Self::TextOrObjects => {
                &["application/json", "application/vnd.kubernetes.protobuf", "application/yaml", "text/plain"]
            }
            Self::Anything => &["*/*"],
            Self::Json => &["application/json"],
            Self::Custom => &["application/json", "application/yaml"],
        }
    }
}

/// What a status says.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        _ => "Unauthorized",
    }
}
