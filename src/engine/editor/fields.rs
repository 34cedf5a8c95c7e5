//! Which fields and values may stand at a place: the way through the shape of a rule file.

use crate::{
    model::shape::{Field, Shape},
    rule::{self, file::Kind},
};

/// What may stand behind these keys; several where a field has several forms. `kind`: the rule's, where it says one.
pub(super) fn shapes(path: &[&str], kind: Option<Kind>) -> Vec<&'static Shape> {
    let mut at = vec![rule::shape()];
    for key in path {
        at = at.into_iter().flat_map(|shape| below(shape, key, kind)).collect();
    }
    at.into_iter().flat_map(forms).collect()
}

/// Fields of maps among these shapes.
pub(super) fn fields(shapes: &[&'static Shape], kind: Option<Kind>) -> Vec<&'static Field> {
    shapes.iter().flat_map(|shape| fields_of(shape, kind)).collect()
}

/// The field of the last key.
pub(super) fn field(path: &[&str], kind: Option<Kind>) -> Option<&'static Field> {
    let (last, before) = path.split_last()?;
    fields(&shapes(before, kind), kind).into_iter().find(|f| f.name == *last)
}

fn below(shape: &'static Shape, key: &str, kind: Option<Kind>) -> Vec<&'static Shape> {
    let mut out = Vec::new();
    for form in forms(shape) {
        match form {
            Shape::Entries(of) | Shape::AnyMap(of) => out.push(*of),
            _ => {
                let fields = fields_of(form, kind);
                out.extend(fields.into_iter().filter(|f| f.name == key).map(|f| &f.shape));
            }
        }
    }
    out
}

/// The forms of a shape, with the items of lists in place of the lists.
fn forms(shape: &'static Shape) -> Vec<&'static Shape> {
    match shape {
        Shape::OneOf(of) => of.iter().flat_map(forms).collect(),
        Shape::List(of) | Shape::OneOrMore(of) => forms(of),
        other => vec![other],
    }
}

fn fields_of(shape: &'static Shape, kind: Option<Kind>) -> Vec<&'static Field> {
    match shape {
        Shape::Map(fields) => fields.iter().collect(),
        Shape::Switch(switch) => {
            let word = kind.map(Kind::word);
            let own = switch.cases.iter().filter(|(w, _)| word.is_none_or(|word| word == *w));
            let all = switch.common.iter().chain(own.flat_map(|(_, fields)| fields.iter()));
            let mut out: Vec<&'static Field> = Vec::new();
            all.for_each(|f| {
                if out.iter().all(|known| known.name != f.name) {
                    out.push(f);
                }
            });
            out
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &[&str], kind: Option<Kind>) -> Vec<&'static str> {
        fields(&shapes(path, kind), kind).iter().map(|f| f.name).collect()
    }

    #[test]
    fn the_fields_of_a_kind_are_offered_in_it() {
        assert!(names(&[], Some(Kind::Window)).contains(&"measures"));
        assert!(!names(&[], Some(Kind::Window)).contains(&"detector"));
        assert!(names(&[], None).contains(&"detector"));
        assert!(names(&["alert", "assign"], None).contains(&"department"));
        assert!(names(&["compare", "usual"], Some(Kind::Window)).contains(&"skip"));
        assert!(names(&["measures", "n"], Some(Kind::Window)).contains(&"where"));
        assert!(names(&["tests"], None).contains(&"until"));
        assert_eq!(names(&["about"], None), [""; 0]);
        assert!(field(&["window", "every"], Some(Kind::Window)).is_some_and(|f| !f.doc.is_empty()));
    }
}
