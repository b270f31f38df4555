//! Validation of a value against a schema, with upstream's paths and messages.

use serde_json::{Map, Value};

use super::format;
use super::lists::Counterparts;
use super::prune::ENVELOPE;
use super::schema::{Additional, Limits, Schema};
use crate::field::{Error, ErrorList, ErrorType, Path};

/// No more broken rules than this are reported.
const MAX_ERRORS: usize = 100;

/// Every rule of the schema that an object breaks. Its metadata has rules of its own. What an update leaves as it was
/// may break rules: they may be newer than the value.
pub(crate) fn object(
    object: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
    schema: &Schema,
) -> ErrorList {
    let mut check = Check { errors: ErrorList::new(), top: true };
    if old == Some(object) {
        return check.errors;
    }
    check.object(object, old, schema, "");
    // A copy that few schemas need.
    if schema.is_combined() {
        check.combine(&Value::Object(object.clone()), schema, "");
    }
    check.errors.truncate(MAX_ERRORS);
    check.errors
}

/// Every rule of the schema that a value breaks, such as a default.
pub(crate) fn value(value: &Value, schema: &Schema, path: &str) -> ErrorList {
    let mut check = Check { errors: ErrorList::new(), top: false };
    check.value(value, None, schema, path);
    check.errors.truncate(MAX_ERRORS);
    check.errors
}

struct Check {
    errors: ErrorList,
    /// Whether the value is a whole object, whose envelope is looked at elsewhere.
    top: bool,
}

/// The type of a value by its name.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Check {
    fn invalid(&mut self, path: &str, value: &Value, rule: &str) {
        self.errors.push(Error::invalid(Path::new(path), value.clone(), format!("{path} in body {rule}")));
    }

    fn wrong_type(&mut self, path: &str, shown: &str, wanted: &str) {
        self.errors.push(Error {
            r#type: ErrorType::TypeInvalid,
            path: Path::new(path),
            value: shown.into(),
            detail: format!("{path} in body must be of type {wanted}: {shown:?}"),
        });
    }

    fn value(&mut self, value: &Value, old: Option<&Value>, schema: &Schema, path: &str) {
        if self.errors.len() > MAX_ERRORS || old == Some(value) {
            return;
        }
        if value.is_null() {
            if !schema.nullable && (!schema.r#type.is_empty() || schema.int_or_string) {
                self.wrong_type(path, "null", wanted(schema));
            }
            self.one_of_values(value, &schema.limits, path);
            return;
        }
        self.has_type(value, schema, path);
        self.combine(value, schema, path);
        match value {
            Value::String(text) => self.string(text, value, schema, path),
            Value::Number(_) => {
                self.range(value, schema, path);
                self.number(value, &schema.limits, path);
            }
            Value::Array(items) => self.array(items, old.and_then(Value::as_array), schema, path),
            _ => {}
        }
        self.one_of_values(value, &schema.limits, path);
        if let Value::Object(fields) = value {
            self.object(fields, old.and_then(Value::as_object), schema, path);
        }
    }

    fn has_type(&mut self, value: &Value, schema: &Schema, path: &str) {
        let found = type_of(value);
        let is_whole = || value.as_f64().is_some_and(|number| number.fract() == 0.0);
        let fits = match schema.r#type.as_str() {
            "" if schema.int_or_string => {
                matches!(found, "integer" | "string") || found == "number" && is_whole()
            }
            "" => true,
            "number" => matches!(found, "number" | "integer"),
            "integer" => found == "integer" || found == "number" && is_whole(),
            r#type => found == r#type,
        };
        if !fits {
            self.wrong_type(path, found, wanted(schema));
        }
    }

    fn one_of_values(&mut self, value: &Value, limits: &Limits, path: &str) {
        if limits.r#enum.is_empty() || limits.r#enum.iter().any(|allowed| same(allowed, value)) {
            return;
        }
        let texts = limits.r#enum.iter().map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let texts: Vec<String> = texts.collect();
        self.errors.push(Error::not_supported(Path::new(path), value.clone(), &texts));
    }

    fn string(&mut self, text: &str, value: &Value, schema: &Schema, path: &str) {
        let limits = &schema.limits;
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(max) = limits.max_length.filter(|max| length > *max) {
            self.errors.push(Error::too_long(Path::new(path), usize::try_from(max).unwrap_or(0)));
        }
        if let Some(min) = limits.min_length.filter(|min| length < *min) {
            self.invalid(path, value, &format!("should be at least {min} chars long"));
        }
        if let Some(pattern) = limits.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.invalid(path, value, &format!("should match '{pattern}'"));
        }
        if !format::allows(&schema.format, text) {
            self.wrong_type(path, text, &schema.format);
        }
    }

    /// Numbers have the size that their type and format say; what is of another type is told elsewhere.
    fn range(&mut self, value: &Value, schema: &Schema, path: &str) {
        let r#type = schema.r#type.as_str();
        let integer = r#type == "integer";
        if integer && value.as_f64().is_some_and(|number| number.fract() != 0.0)
            || format::holds(integer, &schema.format, value)
        {
            return;
        }
        let what = match schema.format.as_str() {
            "" => format!("{type} (default format)"),
            format => format!("{type} with format {format}"),
        };
        let detail = format!("Checked value must be of type {what} in {path}");
        self.errors.push(Error::invalid(Path::default(), "", detail));
    }

    fn number(&mut self, value: &Value, limits: &Limits, path: &str) {
        let Some(number) = value.as_f64() else { return };
        if let Some(factor) = limits.multiple_of.filter(|factor| *factor != 0.0)
            && !is_multiple(value, number, factor)
        {
            self.invalid(path, value, &format!("should be a multiple of {}", go_float(factor)));
        }
        if let Some(max) = limits.maximum {
            if limits.exclusive_maximum && number >= max {
                self.invalid(path, value, &format!("should be less than {}", go_float(max)));
            } else if number > max {
                self.invalid(path, value, &format!("should be less than or equal to {}", go_float(max)));
            }
        }
        if let Some(min) = limits.minimum {
            if limits.exclusive_minimum && number <= min {
                self.invalid(path, value, &format!("should be greater than {}", go_float(min)));
            } else if number < min {
                self.invalid(path, value, &format!("should be greater than or equal to {}", go_float(min)));
            }
        }
    }

    fn array(&mut self, items: &[Value], old: Option<&Vec<Value>>, schema: &Schema, path: &str) {
        if let Some(of_items) = schema.items.as_deref() {
            let before = Counterparts::of(old, &schema.list);
            for (index, item) in items.iter().enumerate() {
                self.value(item, before.get(item), of_items, &format!("{path}[{index}]"));
            }
        }
        let (count, limits) = (i64::try_from(items.len()).unwrap_or(i64::MAX), &schema.limits);
        if let Some(min) = limits.min_items.filter(|min| count < *min) {
            self.invalid(path, &count.into(), &format!("should have at least {min} items"));
        }
        if let Some(max) = limits.max_items.filter(|max| count > *max) {
            self.errors.push(Error::too_many(
                Path::new(path),
                items.len(),
                usize::try_from(max).unwrap_or(0),
            ));
        }
    }

    fn object(
        &mut self,
        fields: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
        schema: &Schema,
        path: &str,
    ) {
        let top = std::mem::replace(&mut self.top, false);
        let (count, limits) = (i64::try_from(fields.len()).unwrap_or(i64::MAX), &schema.limits);
        if let Some(min) = limits.min_properties.filter(|min| count < *min) {
            self.invalid(path, &count.into(), &format!("should have at least {min} properties"));
        }
        if let Some(max) = limits.max_properties.filter(|max| count > *max) {
            self.invalid(path, &count.into(), &format!("should have at most {max} properties"));
        }
        let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for name in &limits.required {
            let there = fields.contains_key(name) || top && ENVELOPE.contains(&name.as_str());
            if !there {
                self.errors.push(Error::required(Path::new(&inside(name)), ""));
            }
        }
        for (name, value) in fields {
            let before = old.and_then(|old| old.get(name));
            match (schema.properties.get(name), &schema.additional) {
                (Some(schema), _) => self.value(value, before, schema, &inside(name)),
                (None, Additional::Each(schema)) => self.value(value, before, schema, &inside(name)),
                _ => {}
            }
        }
    }

    /// What several schemas say of one value.
    fn combine(&mut self, value: &Value, schema: &Schema, path: &str) {
        let failures = |schema: &Schema| {
            let mut check = Self { errors: ErrorList::new(), top: false };
            check.value(value, None, schema, path);
            check.errors
        };
        let mut composite = |errors: ErrorList, says: String| {
            let detail = format!("{path:?} must {says}");
            self.errors.push(Error::invalid(Path::default(), "", detail));
            self.errors.extend(errors);
        };
        if !schema.any_of.is_empty() {
            let tried: Vec<ErrorList> = schema.any_of.iter().map(failures).collect();
            if !tried.iter().any(Vec::is_empty) {
                composite(first(tried), "validate at least one schema (anyOf)".to_owned());
            }
        }
        if !schema.one_of.is_empty() {
            let tried: Vec<ErrorList> = schema.one_of.iter().map(failures).collect();
            let valid = tried.iter().filter(|errors| errors.is_empty()).count();
            let says = "validate one and only one schema (oneOf).";
            match valid {
                0 => composite(first(tried), format!("{says} Found none valid")),
                1 => {}
                _ => composite(ErrorList::new(), format!("{says} Found {valid} valid alternatives")),
            }
        }
        if !schema.all_of.is_empty() {
            let tried: Vec<ErrorList> = schema.all_of.iter().map(failures).collect();
            let valid = tried.iter().filter(|errors| errors.is_empty()).count();
            if valid < tried.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                let errors: ErrorList = tried.into_iter().flatten().collect();
                composite(errors, format!("validate all the schemas (allOf){none}"));
            }
        }
        if schema.not.as_deref().is_some_and(|not| failures(not).is_empty()) {
            composite(ErrorList::new(), "not validate the schema (not)".to_owned());
        }
    }
}

/// The failures that are shown of several alternatives.
fn first(tried: Vec<ErrorList>) -> ErrorList {
    tried.into_iter().next().unwrap_or_default()
}

fn wanted(schema: &Schema) -> &str {
    if schema.r#type.is_empty() { "integer,string" } else { &schema.r#type }
}

/// Whether a number is a multiple of another, but for what fractions lose as floating point.
fn is_multiple(value: &Value, number: f64, factor: f64) -> bool {
    /// Up to this, floating point has every whole number.
    const MAX: f64 = 9_007_199_254_740_991.0;
    const TOLERANCE: f64 = 1e-9;
    if let Some(whole) = value.as_i64()
        && factor.fract() == 0.0
        && factor.abs() <= MAX
    {
        return whole.wrapping_rem(factor as i64) == 0;
    }
    let times = if factor < 1.0 { 1.0 / factor * number } else { number / factor };
    let near = times.round();
    times.abs() <= MAX && (times - near).abs() <= TOLERANCE * (times.abs() + near.abs())
}

/// Whether two values are equal; 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// A number as Go's `%v` writes it.
pub(crate) fn go_float(number: f64) -> String {
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(schema: Value, given: Value) -> Vec<String> {
        let schema = json!({"type": "object", "properties": {"spec": schema}});
        let schema = Schema::compile(&serde_json::from_value(schema).unwrap()).unwrap();
        let given = json!({ "spec": given });
        object(given.as_object().unwrap(), None, &schema).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn types_are_told_as_upstream_tells_them() {
        let schema = json!({"type": "object", "required": ["name"], "properties": {
            "replicas": {"type": "integer"}, "name": {"type": "string"}, "port": {"x-kubernetes-int-or-string": true},
            "list": {"type": "array", "items": {"type": "boolean"}}, "ratio": {"type": "number"},
        }});
        let given = json!({"replicas": "string", "port": true, "list": [true, 5], "ratio": 1});
        assert_eq!(
            errors(schema, given),
            [
                "spec.name: Required value",
                "spec.list[1]: Invalid value: \"integer\": spec.list[1] in body must be of type boolean: \"integer\"",
                "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
                "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
            ]
        );
    }

    #[test]
    fn limits_are_told_as_upstream_tells_them() {
        let number = json!({"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 2});
        assert_eq!(
            errors(number.clone(), json!(0)),
            ["spec: Invalid value: 0: spec in body should be greater than or equal to 1"]
        );
        assert_eq!(
            errors(number, json!(11)),
            [
                "spec: Invalid value: 11: spec in body should be a multiple of 2",
                "spec: Invalid value: 11: spec in body should be less than or equal to 10",
            ]
        );
        let tenths = json!({"type": "number", "multipleOf": 0.1});
        for good in [json!(0.3), json!(0.7), json!(-1.1), json!(4), json!(0)] {
            assert!(errors(tenths.clone(), good.clone()).is_empty(), "{good}");
        }
        for bad in [json!(0.35), json!(1e-12)] {
            assert_eq!(errors(tenths.clone(), bad.clone()).len(), 1, "{bad}");
        }
        let text = json!({"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^a+$"});
        assert_eq!(
            errors(text.clone(), json!("b")),
            [
                "spec: Invalid value: \"b\": spec in body should be at least 2 chars long",
                "spec: Invalid value: \"b\": spec in body should match '^a+$'",
            ]
        );
        assert_eq!(errors(text, json!("aaaa")), ["spec: Too long: may not be more than 3 bytes"]);
        assert_eq!(
            errors(json!({"type": "string", "enum": ["b", "a"]}), json!("c")),
            ["spec: Unsupported value: \"c\": supported values: \"a\", \"b\""]
        );
        assert_eq!(
            errors(json!({"type": "array", "maxItems": 1}), json!([1, 2])),
            ["spec: Too many: 2: must have at most 1 items"]
        );
        assert_eq!(
            errors(json!({"type": "string", "format": "date-time"}), json!("x")),
            ["spec: Invalid value: \"x\": spec in body must be of type date-time: \"x\""]
        );
    }

    #[test]
    fn what_stays_as_it_was_may_break_newer_rules() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "integer", "minimum": 5},
            "b": {"type": "integer", "minimum": 5},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"v": {"type": "integer", "minimum": 5}}}}}});
        let schema = Schema::compile(&serde_json::from_value(schema).unwrap()).unwrap();
        let old = json!({"a": 1, "b": 1, "map": [{"k": "x", "v": 1}]});
        let new = json!({"a": 1, "b": 2, "map": [{"k": "y", "v": 1}, {"k": "x", "v": 1}]});
        let errors = object(new.as_object().unwrap(), old.as_object(), &schema);
        let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["b", "map[0].v"]);
    }

    #[test]
    fn schemas_are_combined() {
        let one = json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
        assert!(errors(one.clone(), json!({"a": 1})).is_empty());
        assert_eq!(
            errors(one.clone(), json!({})),
            [
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found none valid",
                "spec.a: Required value",
            ]
        );
        assert_eq!(
            errors(one, json!({"a": 1, "b": 1})),
            [
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid \
             alternatives"
            ]
        );
        let not = json!({"type": "string", "not": {"enum": ["x"]}});
        assert_eq!(
            errors(not, json!("x")),
            ["<nil>: Invalid value: \"\": \"spec\" must not validate the schema (not)"]
        );
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (number, text) in [
            (1.0, "1"),
            (0.5, "0.5"),
            (2147483647.0, "2.147483647e+09"),
            (65535.0, "65535"),
            (1e6, "1e+06"),
            (1e-7, "1e-07"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(go_float(number), text);
        }
    }
}
