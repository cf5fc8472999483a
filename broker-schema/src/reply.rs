//! Reading the replies of scripts. A reply is a closed form; whatever does not fit it is a
//! protocol error that names the script.

use redis::Value;

use crate::error::BrokerError;

/// The elements of an array, taken one by one.
pub(crate) struct Reply {
    script: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(crate) fn new(script: &'static str, value: Value) -> Result<Self, BrokerError> {
        match value {
            Value::Array(values) => Ok(Self { script, values: values.into_iter() }),
            other => Err(BrokerError::Protocol {
                script,
                what: format!("expected an array, got {other:?}"),
            }),
        }
    }

    pub(crate) fn error(&self, what: impl Into<String>) -> BrokerError {
        BrokerError::Protocol { script: self.script, what: what.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.as_slice().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    fn value(&mut self, what: &str) -> Result<Value, BrokerError> {
        self.values.next().ok_or_else(|| self.error(format!("{what} is missing")))
    }

    pub(crate) fn bytes(&mut self, what: &str) -> Result<Vec<u8>, BrokerError> {
        match self.value(what)? {
            Value::BulkString(bytes) => Ok(bytes),
            Value::SimpleString(text) => Ok(text.into_bytes()),
            Value::Int(number) => Ok(number.to_string().into_bytes()),
            other => Err(self.error(format!("{what} is no text but {other:?}"))),
        }
    }

    /// Text; bytes that are no UTF-8 are replaced, so that bad data stays a matter of its task.
    pub(crate) fn text(&mut self, what: &str) -> Result<String, BrokerError> {
        let bytes = self.bytes(what)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    pub(crate) fn number(&mut self, what: &str) -> Result<u64, BrokerError> {
        let number = match self.value(what)? {
            Value::Int(number) => u64::try_from(number).ok(),
            Value::BulkString(bytes) => std::str::from_utf8(&bytes).ok().and_then(whole),
            _ => None,
        };
        number.ok_or_else(|| self.error(format!("{what} is no number")))
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, BrokerError> {
        let text = self.text(what)?;
        text.parse().map_err(|_| self.error(format!("{what} is {text:?}")))
    }

    pub(crate) fn array(&mut self, what: &str) -> Result<Reply, BrokerError> {
        let value = self.value(what)?;
        Reply::new(self.script, value)
    }

    /// An array, or `''` where a script has nothing to say.
    pub(crate) fn optional_array(&mut self, what: &str) -> Result<Option<Reply>, BrokerError> {
        match self.value(what)? {
            Value::Array(values) => {
                Ok(Some(Reply { script: self.script, values: values.into_iter() }))
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn texts(mut self, what: &str) -> Result<Vec<String>, BrokerError> {
        let mut texts = Vec::with_capacity(self.len());
        while !self.is_empty() {
            texts.push(self.text(what)?);
        }
        Ok(texts)
    }

    /// A flat list of names and values.
    pub(crate) fn pairs(mut self, what: &str) -> Result<Vec<(String, String)>, BrokerError> {
        let mut pairs = Vec::with_capacity(self.len() / 2);
        while !self.is_empty() {
            pairs.push((self.text(what)?, self.text(what)?));
        }
        Ok(pairs)
    }
}

/// A whole number, also as Redis writes scores (`1.7e12`).
fn whole(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number >= 0.0 && number.is_finite()).then_some(number as u64)
    })
}
