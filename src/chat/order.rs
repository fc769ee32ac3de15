//! What the engine can be told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Approve, CallId, CompactRules, ConversationId, Decision, Difference, Dispatch, InquiryAnswer, InquiryId, Lacks,
    LoggingLevel, MessageId, Part, Root, Sampling, ServerName, ServerQuery, SignInStep, ToolChoice, ToolGlobs, Toolset,
    TurnId,
};

/// Its serialised form stands in recordings: a name that changes here needs its old one as an alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Starts a turn with a user's message.
    Submit(Box<Submit>),
    /// Asks the model to go on from the conversation as it stands (after a cut stream or a stop): no new message.
    Continue {
        turn: TurnId,
        conversation: ConversationId,
        settings: Box<TurnSettings>,
    },
    /// Asks for another answer to a message of the user, beside the one that stands there; equal calls that ran ask
    /// first.
    AskAgain {
        turn: TurnId,
        conversation: ConversationId,
        /// None: the last message of the user.
        #[serde(default)]
        question: Option<MessageId>,
        settings: Box<TurnSettings>,
    },
    /// Runs a call of the conversation again, with the arguments that it had and always by a review; the model then goes
    /// on with the new result.
    RunAgain {
        turn: TurnId,
        conversation: ConversationId,
        call: CallId,
        settings: Box<TurnSettings>,
    },
    /// A person's answer to a review. Void unless `hash` is that of the arguments under review.
    Decide {
        turn: TurnId,
        call: CallId,
        hash: Arc<str>,
        decision: Decision,
    },
    CancelCall {
        turn: TurnId,
        call: CallId,
    },
    CancelTurn {
        turn: TurnId,
    },
    /// A message for a turn that is under way: it stands behind the results of this round's calls, and goes with the
    /// next request. Void where none follows: whoever gave it learns of it by `TurnEvent::Message`, or not at all.
    Interject {
        turn: TurnId,
        parts: Vec<Part>,
    },
    /// Ends the count-down before an automatic retry.
    RetryNow {
        turn: TurnId,
    },
    Server {
        server: ServerName,
        action: ServerAction,
    },
    /// A person's answer to what a server asks; recordings have it as the message that it became. Void where the question is over, or the answer does not fit it.
    #[serde(skip)]
    Answer {
        inquiry: InquiryId,
        answer: InquiryAnswer,
    },
    /// A person lets the model answer the open question: a sample, as it was shown. The answer streams as
    /// `TurnEvent::Sampled` and goes to the server by `Answer` alone. `settings` are those of the conversation on the
    /// screen, for a question that belongs to no turn. It is no part of a recording.
    #[serde(skip)]
    Sample {
        inquiry: InquiryId,
        settings: Box<TurnSettings>,
    },
    /// A person signs in to a server, or out. It holds what is worth a token, so it cannot be written down.
    #[serde(skip)]
    SignIn {
        server: ServerName,
        step: SignInStep,
    },
    /// Asks a server for something beside a call; answered by `TurnEvent::Replied` of the same generation.
    Query {
        generation: u64,
        server: ServerName,
        query: ServerQuery,
    },
    /// Accepts changed definitions: exactly those whose difference was on the screen, and nothing that came since.
    AcceptChanges {
        server: ServerName,
        shown: Arc<[Difference]>,
    },
    /// What of the tools a conversation is offered from its next turn on; kept with it.
    Toolset {
        conversation: ConversationId,
        toolset: Toolset,
    },
    /// A conversation was opened, or another branch of it: that is shown, and answered from now on. Void while an answer
    /// of the conversation comes.
    Branch {
        conversation: ConversationId,
        /// From the first message to the last.
        path: Vec<MessageId>,
    },
    /// Lets the model write a summary that stands for all but the last turns; told as [`super::CompactionStep`]s.
    Compact {
        turn: TurnId,
        conversation: ConversationId,
        /// What it should keep in mind.
        note: String,
        settings: Box<TurnSettings>,
    },
    /// Other words in place of a summary's; None takes it back.
    Summary {
        conversation: ConversationId,
        upto: MessageId,
        text: Option<String>,
    },
    /// Renames; an empty title lets the first message speak again.
    Rename {
        conversation: ConversationId,
        title: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submit {
    /// Chosen by the sender, so that it can name the turn before the first event; never reused.
    pub turn: TurnId,
    /// None starts a new conversation.
    pub conversation: Option<ConversationId>,
    pub parent: Parent,
    pub parts: Vec<Part>,
    pub settings: TurnSettings,
}

/// What a new message answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<MessageId>", into = "Option<MessageId>")]
pub enum Parent {
    /// The newest message of the branch that is shown.
    #[default]
    Newest,
    /// Nothing: it stands beside the first message of the conversation.
    Root,
    Message(MessageId),
}

/// As it is written down: the empty id is no message's.
impl From<Option<MessageId>> for Parent {
    fn from(id: Option<MessageId>) -> Self {
        match id {
            None => Self::Newest,
            Some(id) if id.as_str().is_empty() => Self::Root,
            Some(id) => Self::Message(id),
        }
    }
}

impl From<Parent> for Option<MessageId> {
    fn from(parent: Parent) -> Self {
        match parent {
            Parent::Newest => None,
            Parent::Root => Some(MessageId::new("")),
            Parent::Message(id) => Some(id),
        }
    }
}

/// How one turn is to be run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnSettings {
    pub model: String,
    pub system: Option<String>,
    pub sampling: Sampling,
    /// For the first round only; later rounds are `Auto` unless it is `None`.
    pub tool_choice: ToolChoice,
    pub approve: Approve,
    pub dispatch: Dispatch,
    pub max_rounds: Option<u32>,
    pub lacks: Lacks,
    /// Nobody is there to decide: what would ask is denied.
    pub headless: bool,
    /// Do not write this conversation to the store.
    pub no_save: bool,
    /// What of the tools is offered; None: as it was kept with the conversation.
    pub toolset: Option<Toolset>,
    /// Tokens that fit the model's context, where that is known.
    pub context_window: Option<u64>,
    /// When the context counts as short, and what is done about it.
    pub compact: CompactRules,
    /// The role that it is asked in; None: as it was kept with the conversation.
    pub role: Option<TurnRole>,
}

/// What of a role the engine has to know: the rest is in the settings already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRole {
    /// Empty: none.
    pub name: String,
    /// What it offers of all tools; None: as the profile says.
    pub tools: Option<ToolGlobs>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerAction {
    /// Start it this time.
    Start,
    /// Start it from now on.
    StartAlways,
    Restart,
    Off,
    /// Believe its hints from now on.
    Trust,
    /// No longer.
    Distrust,
    /// Read its tools again.
    Refresh,
    /// Tell what it holds and what it last said on its standard error.
    Look,
    /// Ask it for log messages from this level on.
    Log(LoggingLevel),
    /// It may be told of this folder too, until the program ends.
    AddRoot(Root),
    /// And of the one with this address no more.
    RemoveRoot(String),
}
