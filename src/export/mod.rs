//! Conversations to Markdown, JSON and HTML, and back.
