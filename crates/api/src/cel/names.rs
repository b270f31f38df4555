//! The names that expressions may use beside their variables and macros.

/// Types, which are values.
pub(crate) const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// Names that functions stand below: `optional.of`, `format.dns1123Label`.
const SPACES: [(&str, &[&str]); 6] = [
    ("optional", &["none", "of", "ofNonZeroValue"]),
    ("format", &["named"]),
    ("sets", &["contains", "equivalent", "intersects"]),
    ("math", &["greatest", "least", "max", "min"]),
    ("ip", &["isCanonical"]),
    ("jsonpatch", &["escapeKey"]),
];

/// Functions below `format`, each a format of texts.
pub(super) const FORMATS: [&str; 14] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
    "cidr",
];

/// Functions that are called on nothing.
const FUNCTIONS: [&str; 19] = [
    "bool",
    "bytes",
    "cidr",
    "double",
    "duration",
    "dyn",
    "int",
    "ip",
    "isCIDR",
    "isIP",
    "isQuantity",
    "isURL",
    "quantity",
    "size",
    "string",
    "timestamp",
    "type",
    "uint",
    "url",
];

/// Functions that are called on a value, of whatever type.
const METHODS: [&str; 79] = [
    "add",
    "allowed",
    "asApproximateFloat",
    "asInteger",
    "charAt",
    "check",
    "compareTo",
    "contains",
    "containsCIDR",
    "containsIP",
    "distinct",
    "endsWith",
    "error",
    "errored",
    "family",
    "fieldSelector",
    "find",
    "findAll",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "group",
    "hasValue",
    "indexOf",
    "ip",
    "isGlobalUnicast",
    "isGreaterThan",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isSorted",
    "isUnspecified",
    "join",
    "labelSelector",
    "lastIndexOf",
    "lowerAscii",
    "masked",
    "matches",
    "max",
    "min",
    "name",
    "namespace",
    "or",
    "orValue",
    "path",
    "prefixLength",
    "reason",
    "replace",
    "resource",
    "reverse",
    "serviceAccount",
    "sign",
    "size",
    "slice",
    "split",
    "startsWith",
    "sub",
    "subresource",
    "substring",
    "sum",
    "trim",
    "upperAscii",
    "validate",
    "value",
];

/// Whether functions stand below a name.
pub(crate) fn is_space(name: &str) -> bool {
    SPACES.iter().any(|(space, _)| *space == name)
}

/// Whether there is a function that is called on nothing.
pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// Whether there is a function that is called on a value, or that stands below a name.
pub(super) fn is_method(space: Option<&str>, name: &str) -> bool {
    let below = |space: &str| {
        SPACES.iter().any(|(known, names)| *known == space && names.contains(&name))
            || space == "format" && FORMATS.contains(&name)
    };
    METHODS.contains(&name) || space.is_some_and(below)
}
