//! Message templates.
/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template;
impl Template {
    /// Parses.
    pub fn parse(_: &str) -> Result<Self, String> { Ok(Self) }
    /// Renders.
    pub fn render(&self, _: &serde_json::Map<String, serde_json::Value>) -> String { String::new() }
    /// Names.
    pub fn names(&self) -> Vec<&str> { Vec::new() }
}
