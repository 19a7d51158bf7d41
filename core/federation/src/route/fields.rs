//! The parts of one request, taken by name and type.

use crate::percent;
use roomlet_wire::{
    Code, Error, EventId, Map, Result, Value,
    json::{Object, Raw},
    limits,
};
use std::{borrow::Cow, str::FromStr};

/// Path variables, query parameters and body of a request.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// Decoded, in the order of the path.
    variables: std::vec::IntoIter<String>,
    /// Decoded, in the order of the query.
    query: Vec<(String, String)>,
    /// `None` for methods without a body.
    body: Option<Object<'a>>,
}

impl<'a> Fields<'a> {
    /// Decodes path variables and query, and checks that a body that has to be there is an object (FED-5).
    pub(super) fn new(
        variables: &[&str],
        query: &str,
        needs_body: bool,
        content: Option<Raw<'a>>,
    ) -> Result<Self> {
        let variables: Vec<String> = variables
            .iter()
            .map(|v| percent::decode(v))
            .collect::<Result<_>>()?;
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((percent::decode_query(name)?, percent::decode_query(value)?))
        });
        let body = match content {
            Some(body) if body.as_object().is_some() => body.as_object(),
            _ if !needs_body => None,
            None => {
                return Err(Error::new(
                    Code::BadJson,
                    "the request needs a JSON object as its body (FED-5)",
                ));
            }
            Some(other) => {
                let about = format!("the body is {}, an object is needed (FED-5)", other.kind());
                return Err(Error::new(Code::BadJson, about));
            }
        };
        Ok(Self {
            variables: variables.into_iter(),
            query: pairs.collect::<Result<_>>()?,
            body,
        })
    }

    /// The next variable of the path.
    pub(super) fn next<T: FromStr<Err = Error>>(&mut self) -> Result<T> {
        self.next_text().parse()
    }

    /// The next variable of the path as text.
    pub(super) fn next_text(&mut self) -> String {
        self.variables
            .next()
            .expect("the table's patterns have a variable for each that is read")
    }

    /// The first query parameter of this name.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// All query parameters of this name.
    pub(super) fn query_all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.query
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// A query parameter that has to be there.
    pub(super) fn query_id<T: FromStr<Err = Error>>(&self, name: &str) -> Result<T> {
        let value = self
            .query(name)
            .ok_or_else(|| missing(&format!("query parameter `{name}`")))?;
        value
            .parse()
            .map_err(|error: Error| error.context(format!("query parameter `{name}`")))
    }

    /// A query parameter that is a number, if it is there.
    pub(super) fn query_number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let number = |text: &str| {
            text.parse().map_err(|_| {
                Error::new(
                    Code::BadParam,
                    format!("query parameter `{name}` is no number in range"),
                )
            })
        };
        self.query(name).map(number).transpose()
    }

    /// The whole body, which is an event.
    pub(super) fn body(&self) -> Result<Map> {
        self.body
            .map_or_else(|| Ok(Map::new()), |body| tree("body", body))
    }

    /// A field of the body.
    pub(super) fn field(&self, name: &str) -> Option<Raw<'a>> {
        self.body?.get(name)
    }

    /// A field that is an object.
    pub(super) fn object(&self, name: &str) -> Result<Map> {
        let field = self.field(name);
        let object = field.and_then(Raw::as_object);
        tree(name, object.ok_or_else(|| wrong(name, "an object", field))?)
    }

    /// A field that is an array of things to look into; empty if it is absent.
    pub(super) fn values(&self, name: &str) -> Result<Vec<Value>> {
        if let Some(field) = self.field(name) {
            check_size(name, field.text())?;
        }
        Ok(self.list(name)?.into_iter().map(Raw::to_value).collect())
    }

    /// A field that is a string.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let field = self.field(name);
        let text = field.and_then(Raw::as_str).map(Cow::into_owned);
        text.ok_or_else(|| wrong(name, "a string", field))
    }

    /// A field that is an array; empty if it is absent.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Raw<'a>>> {
        let Some(field) = self.field(name) else {
            return Ok(Vec::new());
        };
        let items = field.as_array().map(|items| items.iter().collect());
        items.ok_or_else(|| wrong(name, "an array", Some(field)))
    }

    /// A field that is an array of event ids.
    pub(super) fn event_ids(&self, name: &str) -> Result<Vec<EventId>> {
        let field = self.field(name);
        let Some(items) = field.and_then(Raw::as_array) else {
            return Err(wrong(name, "an array", field));
        };
        let id = |item: Raw<'_>| match item.as_str() {
            Some(text) => EventId::parse(&text).map_err(|error| error.context(format!("`{name}`"))),
            None => Err(wrong(name, "an array of strings", Some(item))),
        };
        items.iter().map(id).collect()
    }

    /// A field that is an integer of at least 0; `default` if it is absent.
    pub(super) fn natural(&self, name: &str, default: i64) -> Result<i64> {
        match self.field(name) {
            None => Ok(default),
            Some(field) => field
                .as_int()
                .filter(|number| *number >= 0)
                .ok_or_else(|| wrong(name, "an integer of at least 0", Some(field))),
        }
    }
}

fn missing(what: &str) -> Error {
    Error::new(Code::BadParam, format!("{what} is missing")).with_errcode("M_MISSING_PARAM", 400)
}

/// An object made into a tree, if it is not too large for that.
fn tree(name: &str, object: Object<'_>) -> Result<Map> {
    check_size(name, object.text())?;
    Ok(object.to_map())
}

fn check_size(name: &str, text: &str) -> Result<()> {
    if text.len() <= limits::TREE_BYTES {
        return Ok(());
    }
    let about = format!(
        "`{name}` has {} bytes, at most {} (TM-1)",
        text.len(),
        limits::TREE_BYTES
    );
    Err(Error::new(Code::TooLarge, about))
}

fn wrong(name: &str, wanted: &str, is: Option<Raw<'_>>) -> Error {
    match is {
        None => missing(&format!("`{name}`, {wanted},")),
        Some(value) => Error::new(
            Code::BadParam,
            format!("`{name}` is or holds {}; it must be {wanted}", value.kind()),
        ),
    }
}
