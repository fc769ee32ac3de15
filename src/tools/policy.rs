//! Whether a call may leave: the user's rules, flags, grants and pins, and who answers where they ask.

use crate::chat::{Approve, AskReason, ConversationId, GrantScope, Policy, ServerName};

use super::rules::AfterUntrusted;
use super::snapshot::{Snapshot, Tool};

/// What a decision depends on beside the tool.
#[derive(Clone, Copy, Debug)]
pub struct PolicyContext<'a> {
    /// The newest snapshot: the tool must still stand there as it was offered, and its grants count.
    pub now: &'a Snapshot,
    pub conversation: &'a ConversationId,
    pub approve: Approve,
    /// Nobody is there to decide: what would ask is denied.
    pub headless: bool,
    /// Servers whose untrusted content ([`taints`]) came into this conversation.
    pub tainted_by: &'a [ServerName],
    /// An equal call ran, or may have run, in a discarded or sibling attempt.
    pub repeat: bool,
    /// The store cannot be written.
    pub unsaved: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow {
        by: AllowedBy,
    },
    Ask(AskReason),
    /// `message` is what the model is told and the user is shown; it names what would allow the call.
    Deny {
        message: String,
    },
}

/// What let a call through without a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedBy {
    /// `allow` in the configuration.
    Policy,
    /// `--allow`.
    Flag,
    SessionGrant,
    AlwaysGrant,
    /// `--approve read-only`, and a trusted server's claims.
    ReadOnly,
    /// `--approve all`.
    All,
    /// It is millrace's own tool.
    BuiltIn,
}

/// Decides on one call. Deny wins over everything; then rules, flags and grants; then whoever answers questions.
#[must_use]
pub fn decide(tool: &Tool, context: &PolicyContext<'_>) -> Verdict {
    if tool.builtin {
        return Verdict::Allow { by: AllowedBy::BuiltIn };
    }
    let path = tool.path();
    // The turn may have begun before the server changed its mind: only the newest word counts.
    let current = match context.now.by_ref(&tool.reference) {
        Some(current) if current.sha256 == tool.sha256 && current.entry == tool.entry => current,
        Some(_) => return deny(format!("denied {path}: its definition changed since it was offered")),
        None => match context.now.absent_ref(&tool.reference) {
            Some(absent) => return deny(absent.message()),
            None => return deny(format!("denied {path}: its server no longer offers it")),
        },
    };
    if current.policy == Policy::Deny {
        return deny(format!("denied {path}: the configuration forbids it"));
    }
    let allowed = if current.policy == Policy::Allow {
        Some(AllowedBy::Policy)
    } else if current.flag_allows {
        Some(AllowedBy::Flag)
    } else {
        granted(current, context)
    };
    let known_read_only = current.known_read_only();
    let tainting = match context.now.after_untrusted() {
        AfterUntrusted::Ask if !known_read_only => {
            context.tainted_by.iter().find(|server| **server != current.reference.server)
        }
        AfterUntrusted::Ask | AfterUntrusted::Ignore => None,
    };
    let reason = if context.repeat {
        AskReason::Repeat
    } else if tainting.is_some() {
        AskReason::AfterUntrusted
    } else if context.unsaved && !known_read_only {
        AskReason::Unsaved
    } else if let Some(by) = allowed {
        return Verdict::Allow { by };
    } else {
        AskReason::Policy
    };
    match context.approve {
        Approve::All => Verdict::Allow { by: AllowedBy::All },
        Approve::ReadOnly if known_read_only => Verdict::Allow { by: AllowedBy::ReadOnly },
        Approve::Ask if !context.headless => Verdict::Ask(reason),
        Approve::Ask | Approve::ReadOnly | Approve::None => deny(refusal(current, reason, tainting, context)),
    }
}

/// Whether a result of this tool is content that nobody vouches for.
#[must_use]
pub fn taints(tool: &Tool) -> bool {
    !(tool.builtin || tool.trusted && tool.claims.open_world == Some(false))
}

fn deny(message: String) -> Verdict {
    Verdict::Deny { message }
}

fn granted(tool: &Tool, context: &PolicyContext<'_>) -> Option<AllowedBy> {
    let mut found = None;
    for grant in context.now.grants() {
        if grant.tool != tool.reference || grant.sha256 != tool.sha256 || grant.entry != tool.entry {
            continue;
        }
        match &grant.scope {
            GrantScope::Always => return Some(AllowedBy::AlwaysGrant),
            GrantScope::Session(conversation) if conversation == context.conversation => {
                found = Some(AllowedBy::SessionGrant);
            }
            GrantScope::Session(_) => {}
        }
    }
    found
}

/// Says why nobody let the call through, and what would.
fn refusal(tool: &Tool, reason: AskReason, tainting: Option<&ServerName>, context: &PolicyContext<'_>) -> String {
    let path = tool.path();
    let nobody = if context.headless && context.approve != Approve::None {
        "nobody is here to ask"
    } else {
        match context.approve {
            Approve::ReadOnly => "--approve read-only lets only calls through that are known to be read-only",
            Approve::Ask | Approve::All | Approve::None => "--approve none answers no to every question",
        }
    };
    // Only a plain question of policy is settled by a rule; the others come in spite of one.
    let remedy = match reason {
        AskReason::Policy => format!("--allow {}", tool.rule()),
        AskReason::AfterUntrusted | AskReason::Repeat | AskReason::Unsaved => "--approve all".to_owned(),
    };
    let before = match (reason, tainting) {
        (AskReason::AfterUntrusted, Some(server)) => {
            format!("untrusted content of {} came in before, and ", server.as_str())
        }
        (AskReason::AfterUntrusted, None) | (AskReason::Policy, _) => String::new(),
        (AskReason::Repeat, _) => "an equal call ran before, or may have, and ".to_owned(),
        (AskReason::Unsaved, _) => "the conversation cannot be saved, and ".to_owned(),
    };
    // It would have passed, had its server been believed.
    let believed = match context.approve {
        Approve::ReadOnly if !tool.trusted && tool.claims.harmless() && reason != AskReason::Repeat => {
            let server = tool.reference.server.as_str();
            format!(", or believe {server} that it only reads: --trust {server}")
        }
        Approve::ReadOnly | Approve::Ask | Approve::All | Approve::None => String::new(),
    };
    format!("denied {path}: {before}{nobody}. Allow it: {remedy}{believed}")
}
