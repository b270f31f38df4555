//! Compiles `proto/` into Rust: the messages with their JSON form, and the gRPC services.
//!
//! Fields are named in the protos as in JSON (`podIP`); where that is no name for protobuf, `json_name` says it. Rust
//! gets snake case names, and serde attributes derived from the descriptors and the schema's field options bring the
//! JSON names back. The descriptors are embedded for patching, validation, documentation and reflection; of the source
//! they keep the comments only.

#[path = "build/comments.rs"]
mod comments;
#[path = "build/json.rs"]
mod json;
#[path = "build/naming.rs"]
mod naming;

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

type Error = Box<dyn std::error::Error>;

/// Messages that Rust writes by hand, because their JSON form is not that of a message.
const SCALARS: &[(&str, &str)] = &[
    (".k8s.io.apimachinery.pkg.api.resource.Quantity", "crate::scalars::Quantity"),
    (".k8s.io.apimachinery.pkg.util.intstr.IntOrString", "crate::scalars::IntOrString"),
    (".k8s.io.apimachinery.pkg.apis.meta.v1.Time", "crate::scalars::Time"),
    (".k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime", "crate::scalars::MicroTime"),
    (".k8s.io.apimachinery.pkg.apis.meta.v1.Duration", "crate::scalars::Duration"),
    (".k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1", "crate::scalars::FieldsV1"),
    (".k8s.io.apimachinery.pkg.apis.meta.v1.Verbs", "crate::scalars::Verbs"),
    (".k8s.io.api.authentication.v1.ExtraValue", "crate::scalars::ExtraValue"),
    (".k8s.io.api.authorization.v1.ExtraValue", "crate::scalars::ExtraValue"),
    (".k8s.io.apimachinery.pkg.runtime.RawExtension", "crate::scalars::RawExtension"),
    (".k8s.io.api.certificates.v1.ExtraValue", "crate::scalars::ExtraValue"),
    (".k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON", "crate::scalars::Json"),
    (
        ".k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
        "crate::scalars::JsonSchemaPropsOrArray",
    ),
    (
        ".k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
        "crate::scalars::JsonSchemaPropsOrBool",
    ),
    (
        ".k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
        "crate::scalars::JsonSchemaPropsOrStringArray",
    ),
];

fn main() -> Result<(), Error> {
    let root = Path::new("../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed=build");

    let mut files = Vec::new();
    find_protos(root, &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), comments::keep_only(&encoded)?)?;

    // prost-types drops custom options, so these are read by reflection.
    let options = json::FieldOptions::read(&encoded)?;
    let mut descriptors = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;

    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]).include_file("packages.rs").enable_type_names();
    // Comments of the schema may look like code to rustdoc's tests.
    config.disable_comments(["."]);
    for (message, rust) in SCALARS {
        config.extern_path(*message, *rust);
    }
    json::add_attributes(&mut config, &descriptors, &options);
    naming::to_snake_case(&mut descriptors);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn find_protos(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
