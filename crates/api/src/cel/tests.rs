use serde_json::{Value as Json, json};

use super::*;

fn run(text: &str, this: &Json) -> Result<bool, Error> {
    let program = Program::compile(text)?;
    match program.run(&[("self", Value::of(this))], &mut Budget(100_000))? {
        Value::Bool(value) => Ok(value),
        other => Err(Error::Failed(format!("{other:?}"))),
    }
}

fn object() -> Json {
    json!({
        "replicas": 3, "ratio": 1.5, "name": "web-1", "on": true, "none": null, "at": "2024-05-01T10:00:00Z",
        "list": [1, 2, 3], "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
        "labels": {"app": "web", "a-b": "x"}, "cpu": "500m", "namespace": "n", "wait": "90s",
    })
}

#[test]
fn true_expressions() {
    let object = object();
    for text in [
        "self.replicas == 3 && self.replicas != 4 && self.replicas >= 3",
        "self.replicas + 2 * 3 == 9 && (self.replicas - 1) / 2 == 1 && 7 % 4 == 3 && -self.replicas == -3",
        "self.ratio > 1 && self.ratio * 2.0 == 3.0 && double(self.replicas) == 3.0 && int('7') == 7",
        "has(self.name) && !has(self.missing) && self.none == null",
        "self.name.startsWith('web') && self.name.endsWith('-1') && self.name.contains('b-') && size(self.name) == 5",
        "self.name.matches('^[a-z]+-[0-9]+$') && self.name.size() == 5 && self.name + '!' == 'web-1!'",
        "self.list.all(x, x > 0) && self.list.exists(x, x == 2) && self.list.exists_one(x, x > 2)",
        "self.list.map(x, x * 2) == [2, 4, 6] && self.list.filter(x, x > 1).size() == 2",
        "self.list.map(x, x > 1, x * 10) == [20, 30] && 2 in self.list && !(9 in self.list) && self.list[0] == 1",
        "self.ports.all(p, p.port > 0 && p.port < 65536) && self.ports.map(p, p.name).join(',') == 'http,https'",
        "self.labels.all(k, k.size() > 0) && 'app' in self.labels && self.labels['app'] == 'web'",
        "self.labels.all(k, v, v != '') && self.labels.a__dash__b == 'x' && self.__namespace__ == 'n'",
        "self.on ? self.replicas == 3 : false",
        "(self.missing == 1) || true",
        "!((self.missing == 1) && false)",
        "timestamp(self.at) < timestamp('2025-01-01T00:00:00Z') && self.at < timestamp('2025-01-01T00:00:00Z')",
        "timestamp(self.at) + duration('1h') == timestamp('2024-05-01T11:00:00Z')",
        "timestamp(self.at).getFullYear() == 2024 && timestamp(self.at).getMonth() == 4",
        "duration(self.wait) > duration('1m') && duration('1h').getMinutes() == 60",
        "quantity(self.cpu).isLessThan(quantity('1')) && quantity('2').compareTo(quantity('2000m')) == 0",
        "quantity('1Gi').isInteger() && isQuantity('1k') && !isQuantity('x') && quantity('1').add(1).asInteger() == 2",
        "isIP('10.0.0.1') && ip('::1').family() == 6 && !isIP('x') && ip('127.0.0.1').isLoopback()",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')",
        "url('https://a.example:80/x?y=1').getHostname() == 'a.example' && isURL('/x') && !isURL('x y')",
        "url('https://a.example:80/x?y=1').getQuery()['y'][0] == '1' && url('https://a/b').getEscapedPath() == '/b'",
        "'a,b'.split(',') == ['a', 'b'] && 'Ab'.lowerAscii() == 'ab'",
        "'abc'.substring(1) == 'bc' && ' x '.trim() == 'x'",
        "'aXbX'.replace('X', '-') == 'a-b-' && 'abc'.indexOf('c') == 2 && 'abc'.charAt(1) == 'b'",
        "'a1b22'.find('[0-9]+') == '1' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
        "[1, 2].isSorted() && [1, 2, 3].sum() == 6 && [3, 1].min() == 1 && [3, 1].max() == 3 && [1, 2].indexOf(2) == 1",
        "sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])",
        "!format.dns1123Label().validate('web').hasValue() && format.dns1123Label().validate('W').hasValue()",
        "self.?missing.orValue(5) == 5 && self.?replicas.hasValue() && self.labels[?'none'].orValue('d') == 'd'",
        "type(self.replicas) == int && string(self.replicas) == '3' && {'a': 1}['a'] == 1 && b'a' == bytes('a')",
        r#"'it\'s' == "it's" && r'\d' == '\\d' && '\u0041' == 'A' && 0x10 == 16 && 1e3 == 1000.0 && 1u == uint(1)"#,
    ] {
        assert_eq!(run(text, &object), Ok(true), "{text}");
    }
}

#[test]
fn errors_are_told() {
    let object = object();
    for (text, wanted) in [
        ("self.missing", "no such key: missing"),
        ("self.list[9] == 1", "index out of bounds: 9"),
        ("self.name > 1", "no such overload"),
        ("1 / 0 == 1", "division by zero"),
        ("9223372036854775807 + 1 == 0", "integer overflow"),
        ("self.none.x == 1", "no such overload"),
        ("nothing == 1", "undeclared reference to 'nothing' (in container '')"),
        ("self.list.all(x, x.y)", "no such overload"),
    ] {
        assert_eq!(run(text, &object), Err(Error::Failed(wanted.to_owned())), "{text}");
    }
    for text in ["self.", "1 +", "(1", "'x", "self..x", "a b", "has(1)", "[1,2", "1 == == 2"] {
        assert!(matches!(Program::compile(text), Err(Error::Syntax { .. })), "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    for text in [deep, format!("1{}", "+1".repeat(100_000)), format!("self{}", ".a".repeat(100_000))] {
        assert!(matches!(Program::compile(&text), Err(Error::Syntax { .. })));
    }
    for text in [format!("1{}", "+1".repeat(1001)), format!("self{}", ".a".repeat(1001))] {
        let error = Program::compile(&text).unwrap_err().to_string();
        assert!(error.ends_with("Syntax error: expression recursion limit exceeded"), "{error}");
    }
    for (text, name) in [("self.replicas.double() > 1", "double"), ("matches(self.name)", "matches")] {
        let wanted = format!("ERROR: undeclared reference to '{name}' (in container '')");
        assert_eq!(Program::compile(text).unwrap_err(), Error::Failed(wanted));
    }
    let pattern = Program::compile("self.name.matches('(')").unwrap_err().to_string();
    assert!(pattern.contains("error parsing regexp"), "{pattern}");
    assert_eq!(
        Program::compile("1 +").unwrap_err().to_string(),
        "ERROR: <input>:1:4: Syntax error: mismatched input, expecting an expression"
    );
}

#[test]
fn runs_are_bounded() {
    let list = json!((0..1000).collect::<Vec<_>>());
    for text in [
        "self.all(a, self.all(b, a + b >= 0))",
        "sets.equivalent(self, self)",
        "self.distinct().size() == 1000",
        "self.all(a, self.indexOf(a) == a)",
        "self.map(a, 'x'.matches(string(a))).size() == 1000",
        "self == self && self.all(a, self == self)",
    ] {
        assert_eq!(run(text, &list), Err(Error::TooExpensive), "{text}");
    }
    // The longest chain fits on the stack.
    assert_eq!(run(&format!("1{} == 901", "+1".repeat(900)), &list), Ok(true));
    assert_eq!(run("self.map(a, 'x'.matches('^[a-z]$')).size() == 1000", &list), Ok(true));
}

#[test]
fn programs_know_what_they_look_at() {
    let program = Program::compile("self.x.all(x, x > oldSelf.y)").unwrap();
    assert_eq!(program.variables(), ["self", "oldSelf"]);
    assert!(program.uses("oldSelf") && !program.uses("x"));
}
