//! As much of TOML as it takes to read a configuration: tables, lists and texts. Numbers, dates and truth values are read and
//! forgotten. Source: TOML 1.0.

/// Lists and tables within one another, deeper than anybody writes them.
const DEEPEST: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A table.
    Table(Table),
    /// A number, a date or a truth value.
    Other,
}

/// A table: its keys in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table(Vec<(String, Value)>);

impl Value {
    const fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Text(_) | Self::List(_) | Self::Other => None,
        }
    }
}

impl Table {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Table(_) | Value::Other => None,
        }
    }

    /// The tables in the list of a key, or the one that is its value.
    pub(super) fn tables(&self, key: &str) -> Vec<&Self> {
        match self.get(key) {
            Some(Value::List(list)) => list.iter().filter_map(Value::table).collect(),
            Some(value) => value.table().into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn entry(&mut self, key: &str, value: Value) -> Option<&mut Value> {
        let at = self.0.iter().position(|(own, _)| own == key).unwrap_or_else(|| {
            self.0.push((key.to_owned(), value));
            self.0.len() - 1
        });
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// The table at `path`, of a list its last one; `None` where something else stands on the way.
    fn below(&mut self, path: &[String]) -> Option<&mut Self> {
        let mut table = self;
        for key in path {
            table = match table.entry(key, Value::Table(Self::default()))? {
                Value::Table(table) => table,
                Value::List(list) => match list.last_mut()? {
                    Value::Table(table) => table,
                    Value::Text(_) | Value::List(_) | Value::Other => return None,
                },
                Value::Text(_) | Value::Other => return None,
            };
        }
        Some(table)
    }

    fn put(&mut self, path: &[String], value: Value) -> Option<()> {
        let (key, path) = path.split_last()?;
        let table = self.below(path)?;
        // A key is written once.
        if table.get(key).is_some() {
            return None;
        }
        table.0.push((key.clone(), value));
        Some(())
    }
}

/// Reads a text.
///
/// # Errors
/// The number of the line that is no TOML.
pub(super) fn parse(text: &str) -> Result<Table, usize> {
    let mut reader = Reader { text, at: 0 };
    let read = reader.document();
    let line = text.get(..reader.at).unwrap_or(text).matches('\n').count() + 1;
    read.ok_or(line)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_there = self.rest().starts_with(wanted);
        self.at += if is_there { wanted.len() } else { 0 };
        is_there
    }

    fn skip(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.skip(|c| c == ' ' || c == '\t');
    }

    /// Blanks, comments and ends of lines.
    fn lines(&mut self) {
        loop {
            self.skip(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if !self.rest().starts_with('#') {
                return;
            }
            self.skip(|c| c != '\n');
        }
    }

    /// Nothing more on this line.
    fn end(&mut self) -> Option<()> {
        self.blanks();
        if self.rest().starts_with('#') {
            self.skip(|c| c != '\n');
        }
        self.take("\r");
        (self.rest().is_empty() || self.take("\n")).then_some(())
    }

    fn document(&mut self) -> Option<Table> {
        let (mut root, mut path) = (Table::default(), Vec::new());
        self.take("\u{feff}");
        loop {
            self.lines();
            if self.rest().is_empty() {
                return Some(root);
            }
            if self.take("[[") {
                path = self.key()?;
                self.take("]]").then_some(())?;
                let (last, before) = path.split_last()?;
                match root.below(before)?.entry(last, Value::List(Vec::new()))? {
                    Value::List(list) => list.push(Value::Table(Table::default())),
                    Value::Text(_) | Value::Table(_) | Value::Other => return None,
                }
            } else if self.take("[") {
                path = self.key()?;
                self.take("]").then_some(())?;
                root.below(&path)?;
            } else {
                let (key, value) = self.pair(0)?;
                root.below(&path)?.put(&key, value)?;
            }
            self.end()?;
        }
    }

    fn pair(&mut self, depth: usize) -> Option<(Vec<String>, Value)> {
        let key = self.key()?;
        self.take("=").then_some(())?;
        self.blanks();
        Some((key, self.value(depth)?))
    }

    /// A key, of parts with dots between them.
    fn key(&mut self) -> Option<Vec<String>> {
        let mut parts = Vec::new();
        loop {
            self.blanks();
            let part = match self.rest().chars().next()? {
                '"' | '\'' => self.quoted()?,
                _ => self.skip(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-').to_owned(),
            };
            self.blanks();
            parts.push(part);
            if !self.take(".") {
                // A bare key has one letter at least.
                return parts.iter().all(|part| !part.is_empty()).then_some(parts);
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        if self.rest().starts_with(['"', '\'']) {
            return Some(Value::Text(self.quoted()?));
        }
        if self.take("[") {
            let mut list = Vec::new();
            loop {
                self.lines();
                if self.take("]") {
                    return Some(Value::List(list));
                }
                list.push(self.value(depth + 1)?);
                self.lines();
                if !self.take(",") {
                    self.lines();
                    return self.take("]").then_some(Value::List(list));
                }
            }
        }
        if self.take("{") {
            let mut table = Table::default();
            loop {
                self.lines();
                if self.take("}") {
                    return Some(Value::Table(table));
                }
                let (key, value) = self.pair(depth + 1)?;
                table.put(&key, value)?;
                self.lines();
                if !self.take(",") {
                    return self.take("}").then_some(Value::Table(table));
                }
            }
        }
        let plain = self.skip(|c| !matches!(c, ',' | ']' | '}' | '#' | '\n' | '\r'));
        let is_value = |c: char| c.is_ascii_alphanumeric() || "+-._: ".contains(c);
        (!plain.trim().is_empty() && plain.trim().chars().all(is_value)).then_some(Value::Other)
    }

    /// A text in quotes of one or of three.
    fn quoted(&mut self) -> Option<String> {
        for mark in ["\"\"\"", "'''", "\"", "'"] {
            if self.take(mark) {
                let is_long = mark.len() == 3;
                if is_long && !self.take("\n") {
                    self.take("\r\n");
                }
                return self.text_until(mark, is_long);
            }
        }
        None
    }

    fn text_until(&mut self, mark: &str, is_long: bool) -> Option<String> {
        let mut text = String::new();
        loop {
            if self.take(mark) {
                // One or two more quotes belong to the text.
                while is_long && self.rest().starts_with(mark.get(..1)?) {
                    text.push_str(mark.get(..1)?);
                    self.at += 1;
                }
                return Some(text);
            }
            let c = self.rest().chars().next()?;
            self.at += c.len_utf8();
            match c {
                '\n' if !is_long => return None,
                '\\' if mark.starts_with('"') => text.extend(self.escape(is_long)?),
                c => text.push(c),
            }
        }
    }

    /// What stands behind a backslash; nothing where it joins lines.
    fn escape(&mut self, is_long: bool) -> Option<Option<char>> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        let by_number = |reader: &mut Self, digits: usize| {
            let number = u32::from_str_radix(reader.rest().get(..digits)?, 16).ok()?;
            reader.at += digits;
            char::from_u32(number)
        };
        Some(Some(match c {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            '"' | '\\' => c,
            'x' => by_number(self, 2)?,
            'u' => by_number(self, 4)?,
            'U' => by_number(self, 8)?,
            ' ' | '\t' | '\r' | '\n' if is_long => {
                self.skip(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
                return Some(None);
            }
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_are_found_however_they_are_written() {
        for text in [
            "[[source]]\nmode = \"server\"\naddress = \"a\"\n[[source]]\nmode='pool'\naddress='b'\n",
            "source = [{mode=\"server\",address=\"a\"}, # c\n {mode=\"pool\" , address=\"b\",},\n]\n",
            "[[ source ]] # c\n\"mode\"=\"server\"\naddress=\"\"\"\na\"\"\"\n\n[[source]]\r\nmode = \"p\\u006fol\"\r\naddress = '''b'''",
        ] {
            let read = parse(text).unwrap();
            let told: Vec<_> =
                read.tables("source").iter().map(|own| (own.text("mode"), own.text("address"))).collect();
            assert_eq!(told, [(Some("server"), Some("a")), (Some("pool"), Some("b"))], "{text}");
        }
        let dotted =
            parse("a.b.\"c d\" = 1979-05-27 07:32:00\na.e = [1, [2, 3.5e-7], true]\n[a.f]\ng = '\\'\n").unwrap();
        let a = dotted.tables("a")[0];
        assert_eq!(a.tables("f")[0].text("g"), Some("\\"));
        assert_eq!(a.tables("b")[0].get("c d"), Some(&Value::Other));
        assert_eq!(parse("a = \"\"\"b\\\n   c\"\"\"\"\n").unwrap().text("a"), Some("bc\""));
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_line() {
        for (text, line) in [
            ("a", 1),
            ("a = 1\nb =\n", 2),
            ("a = 1\na = 2\n", 2),
            ("[a\n", 1),
            ("a = \"b\n", 2),
            ("a = [1,\n2\n", 3),
            ("a = 1 b = 2", 1),
            ("\n\na = \"\\q\"\n", 3),
        ] {
            assert_eq!(parse(text), Err(line), "{text:?}");
        }
        assert!(parse(&format!("a = {}", "[".repeat(100_000))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, signs in "[\\[\\]{}=,.#'\"\\\\a\n \u{e4}]{0,60}") {
            let _ = (parse(&text), parse(&signs));
        }
    }
}
