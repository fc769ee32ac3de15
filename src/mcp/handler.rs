//! What a server may ask of us, and what it tells on its own.
//!
//! # Does not
//! Declare what is not built: no roots, no sampling, no elicitation. A server that asks all the same is declined.

#![expect(deprecated, reason = "the protocol deprecates logging and roots, but servers still use and ask for them")]

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ErrorCode, Implementation, ListRootsResult, LoggingLevel,
    LoggingMessageNotificationParam, ProtocolVersion,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{RoleClient, service};
use tokio::sync::Notify;

use super::event::LogLevel;
use super::report::Reporter;

#[derive(Clone, Debug)]
pub(super) struct Handler {
    reporter: Reporter,
    /// Rung when the server says that its tools changed.
    tools_changed: Arc<Notify>,
}

impl Handler {
    pub(super) fn new(reporter: Reporter, tools_changed: Arc<Notify>) -> Self {
        Self { reporter, tools_changed }
    }
}

impl ClientHandler for Handler {
    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "roots are not offered", None))
    }

    async fn on_logging_message(&self, log: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        let level = match log.level {
            LoggingLevel::Debug => LogLevel::Debug,
            LoggingLevel::Info | LoggingLevel::Notice => LogLevel::Info,
            LoggingLevel::Warning => LogLevel::Warning,
            LoggingLevel::Error | LoggingLevel::Critical | LoggingLevel::Alert | LoggingLevel::Emergency => {
                LogLevel::Error
            }
        };
        self.reporter.log(level, || {
            let text = log.data.as_str().map_or_else(|| log.data.to_string(), str::to_owned);
            match log.logger {
                Some(logger) => format!("{logger}: {text}"),
                None => text,
            }
        });
    }

    async fn on_tool_list_changed(&self, _: service::NotificationContext<RoleClient>) {
        self.tools_changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("millrace", env!("CARGO_PKG_VERSION")))
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}
