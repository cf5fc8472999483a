//! What is read, what is told of what is not valid, and that the schema says the same.

use serde_json::{Value, json};

use celeriac_broker_schema::workflow::Target;

use super::*;

fn problems(json: Value) -> Vec<(String, String)> {
    let wrong = Workflow::from_json(&json.to_string()).expect_err("it is not valid");
    wrong.problems.into_iter().map(|problem| (problem.path, problem.reason)).collect()
}

fn paths(json: Value) -> Vec<String> {
    problems(json).into_iter().map(|(path, _)| path).collect()
}

/// As much of JSON Schema as ours uses.
fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    let each = |name: &str| schema[name].as_array().into_iter().flatten();
    let reference = schema["$ref"].as_str().and_then(|path| root.pointer(path.strip_prefix('#')?));
    let at_least = |name: &str, is: Option<usize>| {
        schema[name].as_u64().zip(is).is_none_or(|(least, is)| is as u64 >= least)
    };
    let at_most = |name: &str, is: Option<usize>| {
        schema[name].as_u64().zip(is).is_none_or(|(most, is)| is as u64 <= most)
    };
    let is_of = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    let typed = match &schema["type"] {
        Value::Null => true,
        Value::String(name) => is_of(name),
        names => names.as_array().is_some_and(|all| all.iter().any(|n| is_of(n.as_str().unwrap()))),
    };
    let length = value.as_str().map(str::len);
    let count = value.as_array().map(Vec::len);
    let fields = value.as_object();
    // What is below zero is below every minimum of ours.
    let number = value.as_i64().map(|number| usize::try_from(number).unwrap_or(0));
    let below_zero = value.as_i64().is_some_and(|number| number < 0);
    let known = |(name, value): (&String, &Value)| match (
        schema["properties"].get(name),
        &schema["additionalProperties"],
    ) {
        (Some(schema), _) => fits(schema, root, value),
        (None, Value::Bool(more)) => *more,
        (None, Value::Null) => true,
        (None, schema) => fits(schema, root, value),
    };
    // The one pattern that there is.
    let durations = |text: &str| schema["pattern"].is_null() || text::duration(text).is_ok();
    typed
        && reference.is_none_or(|schema| fits(schema, root, value))
        && (schema["anyOf"].is_null() || each("anyOf").any(|schema| fits(schema, root, value)))
        && (schema["enum"].is_null() || each("enum").any(|one| one == value))
        && value.as_str().is_none_or(durations)
        && at_least("minLength", length)
        && at_most("maxLength", length)
        && at_least("minItems", count)
        && at_most("maxItems", count)
        && at_least("minProperties", fields.map(serde_json::Map::len))
        && at_least("minimum", number)
        && (schema["minimum"].is_null() || !below_zero)
        && at_most("maximum", number)
        && fields.is_none_or(|fields| {
            each("required").all(|name| fields.contains_key(name.as_str().unwrap()))
                && fields.iter().all(known)
        })
        && count.is_none_or(|_| {
            let items = value.as_array().unwrap();
            schema["items"].is_null() || items.iter().all(|item| fits(&schema["items"], root, item))
        })
}

fn fits_schema(value: &Value) -> bool {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    fits(&schema, &schema, value)
}

#[test]
fn every_example_is_valid_for_both() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../celeriac/examples/workflows");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        Workflow::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(fits_schema(&serde_json::from_str(&text).unwrap()), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 7, "{seen} examples");
}

#[test]
fn what_is_wrong_is_refused_by_both() {
    for json in [
        json!([]),
        json!({}),
        json!({ "chian": [] }),
        json!({ "chain": [] }),
        json!({ "chain": {} }),
        json!({ "task": "a", "retrys": 1 }),
        json!({ "task": "a", "priority": 10 }),
        json!({ "task": "a", "delay": "soon" }),
        json!({ "task": "a", "delay": 5 }),
        json!({ "task": "" }),
        json!({ "task": "a", "into": "last" }),
        json!({ "group": [{ "task": "a" }], "on_error": "ignore" }),
        json!({ "group": [{ "task": "a" }], "on_error": { "tolerate": -1 } }),
        json!({ "group": [{ "task": "a" }], "accumulate": { "n": "product" } }),
        json!({ "map": { "task": "a" } }),
        json!({ "map": { "task": "a", "over": 7 } }),
        json!({ "map": { "task": "a", "over": [1], "chunk": 0 } }),
        json!({ "starmap": { "task": "a", "over": [1] } }),
        json!({ "chord": { "group": [] } }),
        json!({ "chord": { "then": { "task": "a" } } }),
        json!({ "fold": { "of": { "task": "a" }, "with": { "task": "a" } } }),
        json!({ "fold": { "of": { "group": [{ "task": "a" }] }, "with": { "task": "a" }, "width": 1 } }),
        json!({ "graph": {} }),
        json!({ "graph": { "a": { "after": [] } } }),
        json!({ "workflow": { "task": "a" }, "labels": "x" }),
        json!({ "chain": [{ "task": "a" }], "label": "x" }),
        json!({ "task": "a", "on_end": { "task": "b", "args": [1] } }),
    ] {
        assert!(Workflow::from_json(&json.to_string()).is_err(), "{json}");
        assert!(!fits_schema(&json), "{json}");
    }
}

#[test]
fn all_problems_are_told_at_once_where_they_stand() {
    let found = problems(json!({
        "label": 7,
        "keep": "long",
        "workflow": { "chain": [
            { "task": "a", "retrys": 2, "priority": 11 },
            { "chord": {
                "group": [{ "task": "b", "args": { "n": 1 } }, { "tsk": "c" }],
                "on_error": "skip",
                "then": { "task": "d", "keep": "1d" }
            } },
            { "map": { "task": "e", "over": [1], "args": { "n": 1 } } },
            { "graph": { "x/y": { "task": "f", "timeout": "1" } } }
        ] }
    }));
    let told: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        told,
        [
            "/workflow/chain/0/priority",
            "/workflow/chain/0/retrys",
            "/workflow/chain/1/chord/on_error",
            "/workflow/chain/1/chord/group/0",
            "/workflow/chain/1/chord/group/1/tsk",
            "/workflow/chain/1/chord/then/keep",
            "/workflow/chain/2/map/args",
            "/workflow/chain/3/graph/x~1y/timeout",
            "/label",
            "/keep",
        ]
    );
    assert_eq!(found[1].1, "unknown field `retrys`: did you mean `retries`?");
    assert!(found[3].1.contains(r#""into": {"field": NAME}"#), "{}", found[3].1);
    assert_eq!(found[4].1, "unknown field `tsk`: did you mean `task`?");
}

#[test]
fn what_the_tree_does_not_allow_is_told_where_the_text_says_it() {
    // A record that is too large, a circle, a name twice.
    let large = "x".repeat(celeriac_broker_schema::limits::MAX_ARGS_BYTES + 1);
    let chord =
        json!({ "chord": { "map": { "task": "a", "over": [1, large] }, "then": { "task": "b" } } });
    assert_eq!(paths(chord.clone()), ["/chord/map/over/1"]);
    assert_eq!(paths(json!({ "workflow": chord })), ["/workflow/chord/map/over/1"]);
    let circle = json!({ "chain": [{ "task": "a" }, { "graph": {
        "a": { "task": "a", "after": ["b"] }, "b": { "task": "b", "after": ["a"] } } }] });
    assert_eq!(paths(circle), ["/chain/1/graph"]);
    let unknown = json!({ "graph": { "a": { "task": "a", "after": ["c"] } } });
    assert_eq!(paths(unknown), ["/graph/a/after"]);
    let twice = json!({ "group": [
        { "group": [{ "task": "a" }], "accumulate": { "n": "sum" } },
        { "map": { "task": "a", "over": [1] }, "accumulate": { "n": "sum" } },
    ] });
    assert_eq!(paths(twice).len(), 1);
    let text = r#"{"task": "a", "task": "b"}"#;
    assert_eq!(Workflow::from_json(text).unwrap_err().problems[0].path, "/task");
    assert!(Workflow::from_json("{").unwrap_err().problems[0].reason.contains("line 1"));
}

#[test]
fn a_text_that_is_nested_for_ever_is_refused() {
    let deep = |levels: usize| {
        format!(r#"{}{{"task":"a"}}{}"#, r#"{"chain":["#.repeat(levels), "]}".repeat(levels))
    };
    assert!(Workflow::from_json(&deep(50)).is_ok());
    let wrong = Workflow::from_json(&deep(5_000)).unwrap_err();
    assert!(wrong.problems[0].reason.contains("nested deeper"), "{wrong}");
}

/// The arguments of all tasks with where the result before them goes, as they are enqueued.
fn steps(json: Value) -> Vec<(String, Option<Target>)> {
    fn collect(node: &Node, steps: &mut Vec<(String, Option<Target>)>) {
        match node {
            Node::Task(step) => steps.push((step.task.args().get().to_owned(), step.into.clone())),
            Node::Chain(all) => all.iter().for_each(|node| collect(node, steps)),
            Node::Group(group) => group.members.iter().for_each(|node| collect(node, steps)),
            Node::Fold(fold) => collect(&fold.of, steps),
            Node::Graph(parts) => parts.iter().for_each(|part| collect(&part.node, steps)),
        }
    }
    let mut found = Vec::new();
    collect(&Workflow::from_json(&json.to_string()).unwrap().root, &mut found);
    found
}

#[test]
fn arguments_stay_the_bytes_that_they_were() {
    let text = r#"{"task":"a","args":[18446744073709551616, 1.50]}"#;
    let Node::Task(step) = Workflow::from_json(text).unwrap().root else { panic!("a task") };
    assert_eq!(step.task.args().get(), "[18446744073709551616,1.50]");
}

#[test]
fn items_become_arguments() {
    let args = |json| steps(json).into_iter().map(|(args, _)| args).collect::<Vec<_>>();
    let map = |more: Value| {
        let mut map = json!({ "task": "a", "over": [1, [2], 3] });
        map.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "map": map })
    };
    assert_eq!(args(map(json!({}))), ["[1]", "[[2]]", "[3]"]);
    assert_eq!(args(map(json!({ "args": ["x"] }))), [r#"[1,"x"]"#, r#"[[2],"x"]"#, r#"[3,"x"]"#]);
    assert_eq!(args(map(json!({ "chunk": 2 }))), ["[[1,[2]]]", "[[3]]"]);
    let named = args(map(json!({ "as": "n", "args": { "m": 0 } })));
    assert_eq!(named, [r#"{"m":0,"n":1}"#, r#"{"m":0,"n":[2]}"#, r#"{"m":0,"n":3}"#]);
    let star = json!({ "starmap": { "task": "a", "over": [[1, 2], []], "args": [9] } });
    assert_eq!(args(star), ["[1,2,9]", "[9]"]);
    let objects = json!({ "starmap": { "task": "a", "over": [{ "n": 1 }], "args": { "m": 2 } } });
    assert_eq!(args(objects), [r#"{"m":2,"n":1}"#]);
}

#[test]
fn a_result_goes_where_it_is_said() {
    let second = |step: Value| {
        let steps = steps(json!({ "chain": [{ "task": "a" }, step] }));
        steps[1].clone()
    };
    let field = Target::Field("x".to_owned());
    for (step, args, into) in [
        (json!({ "task": "b" }), "null", Some(Target::First)),
        (json!({ "task": "b", "args": [1] }), "[1]", Some(Target::First)),
        (json!({ "task": "b", "into": "spread" }), "null", Some(Target::Spread)),
        (json!({ "task": "b", "args": {}, "into": { "field": "x" } }), "{}", Some(field)),
        (json!({ "task": "b", "into": "none" }), "{}", None),
        (json!({ "task": "b", "args": 7, "into": "none" }), "7", None),
    ] {
        assert_eq!(second(step.clone()), (args.to_owned(), into), "{step}");
    }
    for step in [
        json!({ "task": "b", "args": { "n": 1 } }),
        json!({ "task": "b", "args": { "n": 1 }, "into": "first" }),
        json!({ "task": "b", "args": [1], "into": { "field": "x" } }),
        json!({ "task": "b", "args": 7 }),
    ] {
        assert_eq!(paths(json!({ "chain": [{ "task": "a" }, step] })).len(), 1);
    }
    assert_eq!(paths(json!({ "task": "a", "into": "first" })), ["/into"]);
}
