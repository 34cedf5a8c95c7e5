//! A shape as JSON Schema, draft 2020-12.

use serde_json::{Map as JsonMap, Value, json};

use super::{Field, Shape, Switch};

pub(super) fn schema(shape: &Shape) -> JsonMap<String, Value> {
    let value = match shape {
        Shape::Text | Shape::Sql => json!({"type": ["string", "number", "boolean"]}),
        Shape::Name => json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Int(min) => json!({"type": "integer", "minimum": min}),
        Shape::Number => json!({"type": "number"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Span => json!({"anyOf": [
            {"type": "string", "pattern": "^(0|[0-9]+(ms|s|m|min|h|d|w))$"}, {"const": 0}]}),
        Shape::Literal => json!({"type": ["string", "number", "boolean", "null"]}),
        Shape::Any => json!({}),
        Shape::List(of) => json!({"type": "array", "items": schema(of)}),
        Shape::OneOrMore(of) => {
            json!({"anyOf": [schema(of), {"type": "array", "items": schema(of)}]})
        }
        Shape::Map(fields) => object(fields),
        Shape::Entries(of) => {
            json!({"type": ["object", "null"], "additionalProperties": schema(of),
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"}})
        }
        Shape::AnyMap(of) => {
            json!({"type": ["object", "null"], "additionalProperties": schema(of)})
        }
        Shape::OneOf(shapes) => json!({"anyOf": shapes.iter().map(schema).collect::<Vec<_>>()}),
        Shape::Switch(switch) => switch_schema(switch),
    };
    if let Value::Object(map) = value { map } else { JsonMap::new() }
}

fn object(fields: &[Field]) -> Value {
    let required: Vec<_> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    let mut out =
        json!({"type": "object", "properties": properties(fields), "additionalProperties": false});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn properties(fields: &[Field]) -> JsonMap<String, Value> {
    let property = |f: &Field| {
        let mut of = schema(&f.shape);
        of.insert("description".into(), f.doc.into());
        (f.name.to_owned(), Value::Object(of))
    };
    fields.iter().map(property).collect()
}

/// One object with all fields, and per word a rule that forbids the fields of the other words: editors then complete
/// the fields of the word at hand.
fn switch_schema(switch: &Switch) -> Value {
    let words: Vec<_> = switch.cases.iter().map(|(word, _)| *word).collect();
    let mut properties_of = properties(switch.common);
    properties_of.insert(switch.field.into(), json!({"enum": words, "description": switch.doc}));
    for (_, fields) in switch.cases {
        properties_of.extend(properties(fields));
    }
    let mut required = vec![switch.field];
    required.extend(
        switch.common.iter().filter(|f| f.required && f.name != switch.field).map(|f| f.name),
    );
    let cases: Vec<Value> = switch
        .cases
        .iter()
        .map(|(word, own)| {
            let others = switch.cases.iter().flat_map(|(_, fields)| fields.iter().map(|f| f.name));
            let forbidden: JsonMap<String, Value> = others
                .filter(|name| !own.iter().any(|f| f.name == *name))
                .map(|name| (name.to_owned(), Value::Bool(false)))
                .collect();
            let required: Vec<_> = own.iter().filter(|f| f.required).map(|f| f.name).collect();
            json!({
                "if": {"properties": {switch.field: {"const": word}}, "required": [switch.field]},
                "then": {"properties": forbidden, "required": required},
            })
        })
        .collect();
    json!({"type": "object", "properties": properties_of, "required": required, "additionalProperties": false,
        "allOf": cases})
}
