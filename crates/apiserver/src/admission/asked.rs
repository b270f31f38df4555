//! What a request asks for, as webhooks and policies are told.

use gantry_api::core::v1::Namespace;
use gantry_api::{Kind, Object, Resource, Subresource, convert};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rules::Wanted;
use crate::authorization::Requester;
use crate::catalog::Catalog;
use crate::status::ApiError;
use crate::verbs::Target;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It makes something.
    Create,
    /// It changes an object.
    Update,
    /// It deletes an object.
    Delete,
    /// It connects to something.
    Connect,
}

impl Operation {
    /// As rules name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// What is sent through a subresource where it is no object of the kind: group, version and kind.
pub(crate) type Shape = (&'static str, &'static str, &'static str);

/// `Scale`.
pub(crate) const SCALE: Shape = ("autoscaling", "v1", "Scale");
/// `Binding`.
pub(crate) const BINDING: Shape = ("", "v1", "Binding");
/// `Eviction`.
pub(crate) const EVICTION: Shape = ("policy", "v1", "Eviction");
/// `TokenRequest`.
pub(crate) const TOKEN: Shape = ("authentication.k8s.io", "v1", "TokenRequest");

/// What somebody asks for.
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    pub(crate) kind: &'static Kind,
    pub(crate) subresource: Option<Subresource>,
    /// What is sent, where that is no object of the kind.
    pub(crate) shape: Option<Shape>,
    /// That of a namespace is its name.
    pub(crate) namespace: String,
    /// Empty where the server will make one up.
    pub(crate) name: String,
    pub(crate) dry_run: bool,
    /// With `kind` and `apiVersion`.
    pub(crate) options: Value,
    pub(crate) requester: Requester,
}

impl Asked {
    /// What whoever asks at the moment asks for; nothing where the server does it of its own accord.
    pub(crate) fn new<T: Serialize>(
        operation: Operation,
        target: &Target,
        subresource: Option<Subresource>,
        dry_run: bool,
        (options_kind, options): (&str, &T),
    ) -> Result<Option<Self>, ApiError> {
        let Some(requester) = Requester::current() else { return Ok(None) };
        let options = serde_json::to_value(options).map_err(ApiError::internal)?;
        let about_namespace = target.kind == <Namespace as Resource>::kind();
        Ok(Some(Self {
            operation,
            kind: target.kind,
            subresource,
            shape: None,
            namespace: if about_namespace { target.name.clone() } else { target.namespace.clone() },
            name: target.name.clone(),
            dry_run,
            options: typed(options, "meta.k8s.io/v1", options_kind),
            requester,
        }))
    }

    /// The same for what is sent in another shape than the kind's.
    pub(crate) fn with_shape(mut self, shape: Shape) -> Self {
        self.shape = Some(shape);
        self
    }

    /// The same without options.
    pub(crate) fn without_options(mut self) -> Self {
        self.options = Value::Null;
        self
    }

    /// Whether it is about what decides who is asked: nobody is, else nobody could repair what is wrong there.
    pub(crate) fn is_about_configuration(&self) -> bool {
        self.kind.group == "admissionregistration.k8s.io"
    }

    /// The subresource's name; empty for the object itself.
    pub(crate) fn subresource(&self) -> &'static str {
        self.subresource.map_or("", Subresource::name)
    }

    /// What rules match: the request as one about `kind`.
    pub(crate) fn wanted(&self, kind: &'static Kind) -> Wanted<'_> {
        Wanted {
            operation: self.operation.name(),
            group: kind.group,
            version: kind.version,
            resource: kind.plural,
            subresource: self.subresource(),
            namespace: &self.namespace,
        }
    }

    /// The other kinds that are the same objects.
    pub(crate) fn equivalents(&self, catalog: &Catalog) -> Vec<&'static Kind> {
        let is = |kind: &&'static Kind| {
            if *kind == self.kind {
                return false;
            }
            if kind.is_custom() || self.kind.is_custom() {
                let custom = kind.is_custom() && self.kind.is_custom();
                return custom && kind.group == self.kind.group && kind.plural == self.kind.plural;
            }
            convert::stored_kind(kind) == convert::stored_kind(self.kind)
        };
        catalog.kinds().iter().copied().filter(is).collect()
    }

    /// An object of the request as one of `kind`, with `kind` and `apiVersion`.
    pub(crate) fn render(&self, object: &dyn Object, kind: &'static Kind) -> Result<Value, ApiError> {
        let converted;
        let object = if object.kind() == kind || kind.is_custom() {
            object
        } else {
            converted = convert::convert(object, kind).ok_or_else(|| no_conversion(object.kind(), kind))?;
            &*converted
        };
        let value = object.to_value().map_err(ApiError::internal)?;
        Ok(typed(value, &kind.api_version(), kind.kind))
    }

    /// What is sent in another shape, with `kind` and `apiVersion`.
    pub(crate) fn render_message<T: Serialize>(&self, message: &T) -> Result<Value, ApiError> {
        let value = serde_json::to_value(message).map_err(ApiError::internal)?;
        let (group, version, kind) = self.gvk(self.kind);
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        Ok(typed(value, &api_version, kind))
    }

    /// What is sent, in a request about `kind`.
    pub(crate) fn gvk(&self, kind: &'static Kind) -> Shape {
        self.shape.unwrap_or((kind.group, kind.version, kind.kind))
    }

    /// JSON that is of one version as that of another.
    pub(crate) fn recast(
        &self,
        value: Value,
        from: &'static Kind,
        to: &'static Kind,
    ) -> Result<Value, ApiError> {
        if from == to || self.shape.is_some() {
            return Ok(value);
        }
        let object = from.decode_value(value).map_err(ApiError::internal)?;
        self.render(&*object, to)
    }

    /// The `request` of a review and of expressions, as one about `kind`, without its objects.
    pub(crate) fn request(&self, kind: &'static Kind, name: &str) -> Map<String, Value> {
        let gvk = |(group, version, kind): Shape| json!({"group": group, "version": version, "kind": kind});
        let resource =
            |kind: &Kind| json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
        let user = self.requester.user();
        let mut user_info = json!({"username": user.name, "groups": user.groups});
        if !user.uid.is_empty() {
            user_info["uid"] = user.uid.clone().into();
        }
        if !user.extra.is_empty() {
            user_info["extra"] = json!(user.extra);
        }
        let mut request = Map::new();
        let mut put = |key: &str, value: Value| drop(request.insert(key.to_owned(), value));
        put("kind", gvk(self.gvk(kind)));
        put("resource", resource(kind));
        put("requestKind", gvk(self.gvk(self.kind)));
        put("requestResource", resource(self.kind));
        if self.subresource.is_some() {
            put("subResource", self.subresource().into());
            put("requestSubResource", self.subresource().into());
        }
        if !name.is_empty() {
            put("name", name.into());
        }
        if !self.namespace.is_empty() {
            put("namespace", self.namespace.clone().into());
        }
        put("operation", self.operation.name().into());
        put("userInfo", user_info);
        put("dryRun", self.dry_run.into());
        put("options", self.options.clone());
        request
    }
}

/// The name in an object's metadata.
pub(crate) fn name_of(value: Option<&Value>) -> &str {
    value.and_then(|value| value.pointer("/metadata/name")).and_then(Value::as_str).unwrap_or_default()
}

fn no_conversion(from: &Kind, to: &Kind) -> ApiError {
    ApiError::internal(format_args!("{} of {} is no {}", from.kind, from.api_version(), to.api_version()))
}

/// JSON with `kind` and `apiVersion`.
pub(crate) fn typed(mut value: Value, api_version: &str, kind: &str) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("apiVersion".to_owned(), api_version.into());
        fields.insert("kind".to_owned(), kind.into());
    }
    value
}
