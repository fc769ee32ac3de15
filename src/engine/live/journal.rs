//! The journal on the store; without one, everything is said to be unsaved.

use crate::chat::{CallId, Change, ConversationId, Durability, Fault, FaultKind};
use crate::engine::port::{Answer, Journal, Known, Lesson, Opened};
use crate::store::{Claim, Learnt, Store, StoreError};

/// None: nothing is kept (`--no-save`, or a store that would not open).
#[derive(Clone, Debug)]
pub struct LiveJournal(pub Option<Store>);

/// Why a write came to nothing. Where its conversation is another process's, or gone, nothing is wrong with the store.
fn refused(error: StoreError) -> Fault {
    let fault = error.fault();
    match matches!(error, StoreError::Held { .. } | StoreError::Missing { .. }) {
        true => Fault { kind: FaultKind::Usage, ..fault },
        false => fault,
    }
}

impl Journal for LiveJournal {
    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Answer<'static, Result<(), Fault>> {
        let Some(store) = &self.0 else { return Box::pin(async { Ok(()) }) };
        let new: Vec<ConversationId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Conversation { id, .. } => Some(id.clone()),
                _ => None,
            })
            .collect();
        // Queued here and now: the order of calls is the order of commits.
        let written = store.journal(changes, durability);
        let store = store.clone();
        Box::pin(async move {
            written.await.map_err(refused)?;
            for id in new {
                // The right to it is ours from its first message on; without it only a second window would not know.
                let _ = store.claim(&id).await;
            }
            Ok(())
        })
    }

    fn open(&self, conversation: ConversationId) -> Answer<'static, Result<Opened, Fault>> {
        let Some(store) = self.0.clone() else {
            return Box::pin(async { Err(Fault::new(FaultKind::Store, "There is no store to read it from.")) });
        };
        Box::pin(async move {
            match store.claim(&conversation).await {
                Ok(Claim::Ours) | Err(_) => {}
                Ok(Claim::Held { pid, since: _ }) => {
                    let message = format!("This conversation is open in another millrace (process {pid}).");
                    return Err(Fault::new(FaultKind::Store, message)
                        .hint("Close it there, or ask in a new conversation. What you typed is kept."));
                }
            }
            let opened = store.open_conversation(&conversation).await.map_err(|error| error.fault())?;
            let used_ids = store.used_call_ids(&conversation).await.map_err(|error| error.fault())?;
            let past = store.calls_off_path(&conversation).await.map_err(|error| error.fault())?;
            let (toolset, compactions) = (opened.toolset(), opened.compactions());
            let role = opened.role().unwrap_or_default().to_owned();
            // What was counted before a summary says nothing of what is sent with it.
            let last = opened.messages.last().map_or(0, |message| message.at);
            let tokens = opened.summary.tokens.filter(|_| compactions.iter().all(|one| one.at <= last));
            let folder = opened.summary.folder;
            let (messages, system) = (opened.messages, opened.system);
            Ok(Opened { messages, used_ids, past, folder, toolset, role, system, compactions, tokens })
        })
    }

    fn whole_result(
        &self,
        conversation: ConversationId,
        call: CallId,
    ) -> Answer<'static, Result<Option<String>, Fault>> {
        let Some(store) = self.0.clone() else { return Box::pin(async { Ok(None) }) };
        Box::pin(async move { store.whole_result(&conversation, &call).await.map_err(|error| error.fault()) })
    }

    fn title(&self, conversation: ConversationId) -> Answer<'static, Result<Option<String>, Fault>> {
        let Some(store) = self.0.clone() else { return Box::pin(async { Ok(None) }) };
        Box::pin(async move { store.given_title(&conversation).await.map_err(|error| error.fault()) })
    }

    fn pins(&self) -> Answer<'static, Result<Known, Fault>> {
        let Some(store) = self.0.clone() else { return Box::pin(async { Ok(Known::default()) }) };
        Box::pin(async move {
            let pins = store.pins().await.map_err(|error| error.fault())?;
            let grants = store.grants().await.map_err(|error| error.fault())?;
            Ok(Known { pins, grants })
        })
    }

    fn lessons(&self) -> Answer<'static, Result<Vec<Lesson>, Fault>> {
        let Some(store) = self.0.clone() else { return Box::pin(async { Ok(Vec::new()) }) };
        Box::pin(async move {
            let all = store.all_learnt().await.map_err(|error| error.fault())?;
            let lesson = |(base_url, model, learnt): (String, String, Learnt)| Lesson {
                base_url,
                model,
                key: learnt.key,
                value: learnt.value,
            };
            Ok(all.into_iter().map(lesson).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::MessageId;

    #[tokio::test]
    async fn a_change_of_what_is_not_there_says_nothing_of_the_store() {
        let journal = LiveJournal(Some(Store::temporary().unwrap()));
        let (conversation, upto) = (ConversationId::new("gone"), MessageId::new("m"));
        let refused = journal.apply(vec![Change::Uncompacted { conversation, upto }], Durability::Synced).await;
        assert_eq!(refused.unwrap_err().kind, FaultKind::Usage);
        assert_eq!(journal.apply(Vec::new(), Durability::Synced).await, Ok(()));
    }
}
