//! A sign-in that runs beside its server, for a person at a screen.
//!
//! # Invariants
//! - It tells each step, and its end once; a sign-in that was called off tells nothing any more.
//! - Tokens are handed to the running server before the end is told, and it is connected after that.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::chat::{Pasted, ServerName, SignInStage};
use crate::config::ServerEntry;
use crate::mcp::event::HostEvent;

use super::access::Access;
use super::error::SignInError;
use super::sign_in::SignIns;

/// Dropped, it is called off.
pub(in crate::mcp) struct Running {
    pasted: mpsc::Sender<Pasted>,
    task: JoinHandle<()>,
}

/// Who signs in to what, and who hears of it.
#[derive(Clone)]
pub(in crate::mcp) struct Desk {
    pub sign_ins: SignIns,
    pub entry: Arc<ServerEntry>,
    pub access: Arc<Access>,
    pub events: mpsc::Sender<HostEvent>,
}

impl Running {
    /// Begins. `then` is done after a sign-in came about, and was told.
    pub(in crate::mcp) fn start(desk: Desk, then: impl FnOnce() + Send + 'static) -> Self {
        let (pasted, receiver) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            match desk.through(receiver).await {
                Ok(done) => {
                    desk.tell(done).await;
                    then();
                }
                Err(error) => desk.fail(&error.to_string(), error.hint()).await,
            }
        });
        Self { pasted, task }
    }

    /// Hands over what a person pasted. False: it has ended.
    pub(in crate::mcp) fn paste(&self, text: Pasted) -> bool {
        self.pasted.try_send(text).is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    async fn through(&self, mut pasted: mpsc::Receiver<Pasted>) -> Result<SignInStage, SignInError> {
        self.tell(SignInStage::Asking).await;
        let sign_in = self.sign_ins.begin_for(&self.entry, &self.access).await?;
        self.tell(SignInStage::Offered(sign_in.offer().clone())).await;
        let answered = {
            let not_it = |error: &SignInError| {
                let stage = SignInStage::NotIt(error.to_string());
                // A screen that is far behind can do without.
                let _ = self.events.try_send(self.event(stage));
            };
            sign_in.answer(&mut pasted, not_it).await?
        };
        self.tell(SignInStage::Redeeming).await;
        let redeemed = sign_in.redeem(answered).await?;
        redeemed.hand_to(&self.access);
        Ok(SignInStage::Done { signed_in: redeemed.signed_in, remark: redeemed.remark })
    }

    /// Signs out. `then` is done once the tokens are gone.
    pub(in crate::mcp) async fn out(self, then: impl FnOnce()) {
        let out = self.sign_ins.out(&self.entry).await;
        // Also where something is left on disk: this process uses it no more.
        self.access.set(None);
        then();
        match out {
            Ok(message) => self.tell(SignInStage::Out(message)).await,
            Err(message) => self.fail(&format!("signing out: {message}"), None).await,
        }
    }

    async fn fail(&self, message: &str, hint: Option<String>) {
        self.tell(SignInStage::Failed { message: message.to_owned(), hint }).await;
    }

    async fn tell(&self, stage: SignInStage) {
        // A reader that has gone away needs no news.
        let _ = self.events.send(self.event(stage)).await;
    }

    fn event(&self, stage: SignInStage) -> HostEvent {
        HostEvent::SignIn { server: ServerName::clone(&self.entry.name), stage }
    }
}
