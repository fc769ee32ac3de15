//! What a server may ask of us, and what it tells on its own.
//!
//! # Does not
//! Declare what is not offered: roots and sampling only where a server's entry gives them. A server that asks for them
//! all the same is refused.

#![expect(deprecated, reason = "the protocol deprecates logging and roots, but servers still use and ask for them")]

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, CustomRequest, CustomResult,
    ElicitRequestParams, ElicitResult, ElicitationCapability, ErrorCode, FormElicitationCapability, Implementation,
    JsonObject, ListRootsResult, LoggingLevel, LoggingMessageNotificationParam, ProtocolVersion, RootsCapabilities,
    SamplingCapability, TASKS_EXTENSION_ID, UrlElicitationCapability,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{RoleClient, service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;

use crate::chat::ServerNews;

use super::inquiry::{Asker, Refused};
use super::report::Reporter;
use super::tap::Tap;

#[derive(Clone, Debug)]
pub(super) struct Handler {
    reporter: Reporter,
    /// Rung when the server says that its tools changed.
    tools_changed: Arc<Notify>,
    asker: Asker,
    tap: Tap,
    /// It may be told that its folders have changed: something of the old era.
    announces_roots: bool,
}

impl Handler {
    pub(super) fn new(reporter: Reporter, tools_changed: Arc<Notify>, asker: Asker, tap: Tap) -> Self {
        Self { reporter, tools_changed, asker, tap, announces_roots: false }
    }

    /// For a server that may be one of the old era.
    pub(super) fn announcing_roots(self, announces_roots: bool) -> Self {
        Self { announces_roots, ..self }
    }

    /// Puts a request to the person, as the server wrote it: the SDK's types drop what they do not know.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        decoded: impl Serialize,
        context: &RequestContext<RoleClient>,
    ) -> Result<T, ErrorData> {
        let written = self.tap.take_request(&context.id);
        let params = written.unwrap_or_else(|| serde_json::to_value(decoded).unwrap_or_default());
        let answer = self.asker.request(method, &params, &context.ct).await.map_err(refused)?;
        serde_json::from_value(answer).map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

/// The SDK's level.
pub(super) fn level_to(level: crate::chat::LoggingLevel) -> LoggingLevel {
    use crate::chat::LoggingLevel as Ours;
    match level {
        Ours::Debug => LoggingLevel::Debug,
        Ours::Info => LoggingLevel::Info,
        Ours::Notice => LoggingLevel::Notice,
        Ours::Warning => LoggingLevel::Warning,
        Ours::Error => LoggingLevel::Error,
        Ours::Critical => LoggingLevel::Critical,
        Ours::Alert => LoggingLevel::Alert,
        Ours::Emergency => LoggingLevel::Emergency,
    }
}

fn level_of(level: LoggingLevel) -> crate::chat::LoggingLevel {
    use crate::chat::LoggingLevel as Ours;
    match level {
        LoggingLevel::Debug => Ours::Debug,
        LoggingLevel::Info => Ours::Info,
        LoggingLevel::Notice => Ours::Notice,
        LoggingLevel::Warning => Ours::Warning,
        LoggingLevel::Error => Ours::Error,
        LoggingLevel::Critical => Ours::Critical,
        LoggingLevel::Alert => Ours::Alert,
        LoggingLevel::Emergency => Ours::Emergency,
    }
}

fn refused(refused: Refused) -> ErrorData {
    ErrorData::new(ErrorCode(refused.code), refused.message, None)
}

impl ClientHandler for Handler {
    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.ask("elicitation/create", params, &context).await
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.ask("sampling/createMessage", params, &context).await
    }

    async fn list_roots(&self, context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.ask("roots/list", Value::Null, &context).await
    }

    /// What the SDK could not decode: a form with a field of an unknown kind is refused by its name.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        let params = request.params.unwrap_or_default();
        self.tap.take_request(&context.id);
        self.asker.request(&request.method, &params, &context.ct).await.map(CustomResult::new).map_err(refused)
    }

    async fn on_logging_message(&self, log: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        self.reporter.said(level_of(log.level), log.logger.as_deref(), || {
            log.data.as_str().map_or_else(|| log.data.to_string(), str::to_owned)
        });
    }

    async fn on_tool_list_changed(&self, _: service::NotificationContext<RoleClient>) {
        self.tools_changed.notify_one();
    }

    async fn on_prompt_list_changed(&self, _: service::NotificationContext<RoleClient>) {
        self.reporter.news(ServerNews::PromptsChanged).await;
    }

    async fn on_resource_list_changed(&self, _: service::NotificationContext<RoleClient>) {
        self.reporter.news(ServerNews::ResourcesChanged).await;
    }

    fn get_info(&self) -> ClientConfig {
        let elicitation = ElicitationCapability::new()
            .with_form(FormElicitationCapability::new().with_schema_validation(true))
            .with_url(UrlElicitationCapability::new());
        let mut capabilities = ClientCapabilities::default();
        // Declared where nobody is there, too: the tools that a server lists must not depend on that.
        capabilities.elicitation = Some(elicitation);
        capabilities.extensions = Some([(TASKS_EXTENSION_ID.to_owned(), JsonObject::new())].into_iter().collect());
        capabilities.roots = self.asker.offers_roots().then(|| {
            let mut roots = RootsCapabilities::default();
            roots.list_changed = self.announces_roots.then_some(true);
            roots
        });
        // Neither tools nor context of others.
        capabilities.sampling = self.asker.samples().then(SamplingCapability::default);
        ClientConfig::new(capabilities, Implementation::new("millrace", env!("CARGO_PKG_VERSION")))
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}
