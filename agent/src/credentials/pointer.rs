//! The place of a value in a JSON document (RFC 6901).

use std::fmt;

/// The place of a value in a JSON document. Source: RFC 6901.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// A text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not begin with a slash.
    #[error("a json pointer begins with /, such as /Credentials/Expiration")]
    Start,
    /// A tilde that stands for nothing.
    #[error("in a json pointer ~0 stands for ~ and ~1 for /: no other character follows a ~")]
    Escape,
}

impl Pointer {
    /// Reads a pointer such as `/Credentials/Expiration`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/').ok_or(PointerError::Start)?.split('/');
        steps.map(step).collect::<Result<_, _>>().map(Self)
    }

    /// The keys and indices that lead there.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

fn step(text: &str) -> Result<String, PointerError> {
    let mut parts = text.split('~');
    let mut step = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            (None, None) => return Err(PointerError::Escape),
        };
        step.push(sign);
        step.push_str(rest);
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pointer_is_checked_before_it_is_followed() {
        let steps = |text: &str| Pointer::parse(text).map(|pointer| pointer.0);
        for (text, expected) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/a/b", &["a", "b"]),
            ("/a~1b/~0~1/m~0n", &["a/b", "~/", "m~n"]),
            ("/~01", &["~1"]),
        ] {
            assert_eq!(steps(text).unwrap(), expected, "{text}");
        }
        assert_eq!(steps("a"), Err(PointerError::Start));
        for text in ["/~", "/a~2", "/a~~1"] {
            assert_eq!(steps(text), Err(PointerError::Escape), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pointer_is_shown_as_it_is_written(steps: Vec<String>) {
            let text: String = steps.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
            prop_assert_eq!(Pointer::parse(&text).unwrap().to_string(), text);
        }
    }
}
