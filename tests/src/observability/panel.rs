//! What a dashboard is made of, whoever draws it.

use serde_json::Value;

/// An object with the members of another one as well.
pub fn with(object: Value, more: Value) -> Value {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => Value::Object(object.into_iter().chain(more).collect()),
        (object, _) => object,
    }
}

/// In what something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Hosts, items, steps.
    Count,
    /// Seconds, or minutes and hours where there are many.
    Seconds,
    /// Seconds, however many: a limit of AWS is 240 s, and 4 min to nobody.
    PlainSeconds,
    /// A share of 1.
    Share,
    /// Seconds a second.
    Drift,
}

/// How it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Lines over time.
    Lines,
    /// Areas upon one another, over time.
    Stack,
    /// One number.
    Number,
    /// The series of now, a row each.
    Table,
}

/// From which value on something is to be looked at. Colour is never all that tells it: the value stands beside it.
#[derive(Clone, Copy, Debug)]
pub enum Levels {
    /// Never.
    None,
    /// Below the first it is critical, below the second a warning.
    Below(f64, f64),
    /// From the first on it is a warning, from the second on critical.
    Above(f64, f64),
    /// As far as the first from 0, on either side, it is a warning, and as far as the second critical.
    Beyond(f64, f64),
}

/// Of the margin to a limit of AWS, where the first is at 240 s: clock-skew warns at an offset of 60 s and is critical at 150 s.
pub const LIMIT_MARGIN: Levels = Levels::Below(90.0, 180.0);
/// Of the life of a credential, as credential-expiring has it.
pub const CREDENTIAL_LIFE: Levels = Levels::Below(300.0, 900.0);
/// Of what is left of it at a refresh, as credential-refresh-margin has it.
pub const REFRESH_MARGIN: Levels = Levels::Below(0.0, 60.0);

/// One query and what its series are called.
#[derive(Clone, Debug)]
pub struct Query {
    /// The expression, with names of OpenTelemetry in backticks, and `$region` and `$host` for what was chosen.
    pub expr: &'static str,
    /// With `{{label}}` for labels of series.
    pub legend: &'static str,
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What it shows.
    pub title: &'static str,
    /// What it means.
    pub about: &'static str,
    /// How.
    pub shape: Shape,
    /// In what.
    pub unit: Unit,
    /// When it is to be looked at.
    pub levels: Levels,
    /// What is asked for it.
    pub queries: Vec<Query>,
    /// The runbook that says what to do about it.
    pub runbook: Option<&'static str>,
    /// Of a table: the labels that it shows, and what the value is called, where it says anything.
    pub columns: (&'static [&'static str], Option<&'static str>),
    /// Its width of 24.
    pub width: u32,
}

/// Panels side by side, and below that more.
#[derive(Clone, Debug)]
pub struct Row {
    /// What they have in common.
    pub title: &'static str,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// One dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Of its file.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What is chosen: a label of `skewguard:host:present`, and whether several values may be.
    pub choice: (&'static str, bool),
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A panel as wide as its shape is by itself, with queries and what their series are called.
pub fn panel(
    title: &'static str,
    about: &'static str,
    shape: Shape,
    unit: Unit,
    queries: &[(&'static str, &'static str)],
) -> Panel {
    let queries = queries.iter().map(|(expr, legend)| Query { expr, legend }).collect();
    let width = match shape {
        Shape::Number => 4,
        Shape::Table => 12,
        Shape::Lines | Shape::Stack => 8,
    };
    Panel { title, about, shape, unit, levels: Levels::None, queries, runbook: None, columns: (&[], None), width }
}

impl Panel {
    /// The same with levels.
    #[must_use]
    pub fn levels(self, levels: Levels) -> Self {
        Self { levels, ..self }
    }

    /// The same with the runbook of an alert.
    #[must_use]
    pub fn runbook(self, alert: &'static str) -> Self {
        Self { runbook: Some(alert), ..self }
    }

    /// The same with these columns.
    #[must_use]
    pub fn columns(self, labels: &'static [&'static str], value: Option<&'static str>) -> Self {
        Self { columns: (labels, value), ..self }
    }

    /// Whether what its areas are called stands beside them: they are many, and below them they would leave no room.
    pub fn has_names_beside(&self) -> bool {
        self.width >= 12 && self.shape == Shape::Stack
    }

    /// The same with another width.
    #[must_use]
    pub fn wide(self, width: u32) -> Self {
        Self { width, ..self }
    }

    /// How high it is drawn, in the units of Grafana.
    pub fn height(&self) -> u32 {
        if self.shape == Shape::Number { 4 } else { 8 }
    }

    /// What it means, and where to read on.
    pub fn description(&self, runbooks: &str) -> String {
        let runbook = self.runbook.map(|name| format!(" Runbook: {runbooks}/{name}.md"));
        format!("{}{}", self.about, runbook.unwrap_or_default())
    }
}

impl Row {
    /// Each panel with its place: x, and y below the beginning of the row; and how high the row is.
    pub fn places(&self) -> (Vec<(&Panel, u32, u32)>, u32) {
        let (mut x, mut y, mut tallest) = (0, 0, 0);
        let mut places = Vec::new();
        for panel in &self.panels {
            if x + panel.width > 24 {
                (x, y, tallest) = (0, y + tallest, 0);
            }
            places.push((panel, x, y));
            x += panel.width;
            tallest = tallest.max(panel.height());
        }
        (places, y + tallest)
    }
}
