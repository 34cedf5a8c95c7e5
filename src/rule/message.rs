//! Message templates.
/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template;
