//! Types as JSON, as cty writes them: `"string"`, `["list","bool"]`, `["object",{"a":"number"},["a"]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::codec::MAX_TYPE_DEPTH;
use crate::json::reader::{Reader, Sequence};
use crate::json::write_string;
use crate::{ObjectType, Type, ValueError};

impl Type {
    /// The type as JSON, attributes in alphabetical order.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        // Only whole strings and ASCII were written.
        String::from_utf8(out).unwrap_or_default()
    }

    /// Reads a type. Fails for what is no type, and for one that nests deeper than 128 levels.
    pub fn from_json(json: &[u8]) -> Result<Type, ValueError> {
        let mut reader = Reader::new(json)?;
        let ty = read(&mut reader, 1)?;
        reader.finish()?;
        Ok(ty)
    }

    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Type::Bool => out.extend_from_slice(b"\"bool\""),
            Type::Number => out.extend_from_slice(b"\"number\""),
            Type::String => out.extend_from_slice(b"\"string\""),
            Type::Dynamic => out.extend_from_slice(b"\"dynamic\""),
            Type::List(element) => write_collection("list", element, out),
            Type::Set(element) => write_collection("set", element, out),
            Type::Map(element) => write_collection("map", element, out),
            Type::Tuple(elements) => {
                out.extend_from_slice(b"[\"tuple\",[");
                for (i, element) in elements.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    element.write_json(out);
                }
                out.extend_from_slice(b"]]");
            }
            Type::Object(object) => {
                out.extend_from_slice(b"[\"object\",{");
                for (i, (name, ty)) in object.attributes.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_string(name, out);
                    out.push(b':');
                    ty.write_json(out);
                }
                out.push(b'}');
                for (i, name) in object.optional.iter().enumerate() {
                    out.extend_from_slice(if i == 0 { b",[" } else { b"," });
                    write_string(name, out);
                }
                out.extend_from_slice(if object.optional.is_empty() { b"]" } else { b"]]" });
            }
        }
    }
}

fn write_collection(kind: &str, element: &Type, out: &mut Vec<u8>) {
    out.extend_from_slice(b"[\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",");
    element.write_json(out);
    out.push(b']');
}

/// Reads a type from the middle of a document; `depth` is that of the type, from 1.
pub(crate) fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Type, ValueError> {
    if depth > MAX_TYPE_DEPTH {
        return Err(ValueError::new(format!("the type nests deeper than {MAX_TYPE_DEPTH} levels")));
    }
    if reader.peek()? == b'"' {
        return match &*reader.string("a type")? {
            "bool" => Ok(Type::Bool),
            "number" => Ok(Type::Number),
            "string" => Ok(Type::String),
            "dynamic" => Ok(Type::Dynamic),
            _ => Err(invalid("its name is none of bool, number, string, dynamic")),
        };
    }
    let mut parts = reader.array("a type")?;
    if !reader.element(&mut parts)? {
        return Err(invalid("an empty array is no type"));
    }
    let kind = reader.string("the kind of a type")?.into_owned();
    if !reader.element(&mut parts)? {
        return Err(invalid("its array has no second element"));
    }
    let ty = match kind.as_str() {
        "list" => Type::list(read(reader, depth + 1)?),
        "set" => Type::set(read(reader, depth + 1)?),
        "map" => Type::map(read(reader, depth + 1)?),
        "tuple" => read_tuple(reader, depth)?,
        "object" => return read_object(reader, parts, depth),
        _ => return Err(invalid("its kind is none of list, set, map, tuple, object")),
    };
    end(reader, parts)?;
    Ok(ty)
}

fn read_tuple(reader: &mut Reader<'_>, depth: usize) -> Result<Type, ValueError> {
    let mut elements = Vec::new();
    let mut sequence = reader.array("the elements of a tuple type")?;
    while reader.element(&mut sequence)? {
        elements.push(read(reader, depth + 1)?);
    }
    Ok(Type::tuple(elements))
}

fn read_object(reader: &mut Reader<'_>, mut parts: Sequence, depth: usize) -> Result<Type, ValueError> {
    let mut attributes = BTreeMap::new();
    let mut sequence = reader.object("the attributes of an object type")?;
    while let Some(name) = reader.key(&mut sequence)? {
        let name = name.into_owned();
        attributes.insert(name, read(reader, depth + 1)?);
    }
    let mut optional = BTreeSet::new();
    if reader.element(&mut parts)? {
        let mut names = reader.array("the optional attributes of an object type")?;
        while reader.element(&mut names)? {
            let name = reader.string("the name of an attribute")?.into_owned();
            if !attributes.contains_key(&name) {
                return Err(invalid("an attribute is called optional that the object does not have"));
            }
            optional.insert(name);
        }
        end(reader, parts)?;
    }
    Ok(Type::Object(Arc::new(ObjectType { attributes, optional })))
}

fn end(reader: &mut Reader<'_>, mut parts: Sequence) -> Result<(), ValueError> {
    if reader.element(&mut parts)? {
        return Err(invalid("its array has too many elements"));
    }
    Ok(())
}

fn invalid(why: &str) -> ValueError {
    ValueError::new(format!("not the JSON of a type: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(json: &str) -> String {
        Type::from_json(json.as_bytes()).map_or_else(|e| e.to_string(), |ty| panic!("{json} is {ty}"))
    }

    #[test]
    fn types_are_written_as_cty_writes_them() {
        let object =
            Type::object([("b", Type::list(Type::Bool)), ("a", Type::tuple([Type::Dynamic, Type::Number]))]);
        let json = r#"["object",{"a":["tuple",["dynamic","number"]],"b":["list","bool"]}]"#;
        assert_eq!(object.to_json(), json);
        assert_eq!(Type::from_json(json.as_bytes()).unwrap(), object);
    }

    #[test]
    fn optional_attributes_are_the_third_element() {
        let json = r#"["object",{"a":"string","b":"string"},["b"]]"#;
        let ty = Type::from_json(json.as_bytes()).unwrap();
        assert_eq!(ty.to_string(), "object({ a = string, b = optional(string) })");
        assert_eq!(ty.to_json(), json);
    }

    #[test]
    fn empty_tuples_and_objects_are_types() {
        for json in [r#"["tuple",[]]"#, r#"["object",{}]"#] {
            assert_eq!(Type::from_json(json.as_bytes()).unwrap().to_json(), json);
        }
    }

    #[test]
    fn what_is_no_type_is_refused_with_a_reason() {
        assert!(fails(r#""text""#).contains("none of bool"));
        assert!(fails(r#"["vector","string"]"#).contains("kind is none of"));
        assert!(fails(r#"["list"]"#).contains("no second element"));
        assert!(fails(r#"["list","string","string"]"#).contains("too many"));
        assert!(fails(r#"["object",{"a":"string"},["b"]]"#).contains("does not have"));
        assert!(fails(r#"["list","string"] x"#).contains("after the end"));
        assert!(fails("7").contains("a type is required"));
        assert!(fails("").contains("ends"));
    }

    #[test]
    fn a_type_of_any_depth_costs_no_stack() {
        let levels = |n: usize| format!("{}\"bool\"{}", "[\"list\",".repeat(n), "]".repeat(n));
        assert!(Type::from_json(levels(127).as_bytes()).is_ok());
        assert!(fails(&levels(128)).contains("deeper than 128"));
        assert!(fails(&levels(1_000_000)).contains("deeper than 128"));
    }
}
