//! Answers of the model for servers that ask for them (MCP sampling): what they may cost, and the one that is made.
//!
//! # Invariants
//! - The model is asked by a person's order alone, and exactly what they were shown; the answer goes to the server by
//!   another order of theirs.
//! - What a server is given is bounded by two budgets, its own and the turn's, which count the most that a request can
//!   take until the endpoint has told; one that they do not allow reaches nobody, and the limit's name is told.
//! - The endpoint and the model that are asked belong together: of one turn, or of the screen at that moment.
//! - It ends with its question: by an answer, a withdrawal, the end of the call, of the connection, or of the time.
//!
//! # Does not
//! Add anything of the conversation: no history, no system prompt, no tools.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::port::{Lesson, Model};
use super::run::Engine;
use crate::chat::{
    Answer, AnswerState, Api, Aside, AsideKind, Body, Change, Durability, Inquiry, InquiryAnswer, InquiryId, Message,
    MessageId, NoticeKind, Part, Question, Request, Sample, SamplePart, SampleStep, Sampling, ServerName, ToolChoice,
    TurnEvent, TurnId, TurnSettings, UnixMs, Usage,
};
use crate::turn::Adapted;

mod answering;

/// How an answer gets on.
#[derive(Debug)]
pub(super) enum Progress {
    Step(SampleStep),
    /// The endpoint refused a part of the request, which goes again without it.
    Adapted(Box<Adapted>),
    /// There will be none; why. `begun`: the endpoint had begun to answer.
    Failed {
        why: String,
        begun: bool,
    },
}

/// What servers have used of the model, and the request that is open.
#[derive(Default)]
pub(super) struct Samplings {
    open: Option<Open>,
    by_server: HashMap<ServerName, u64>,
    by_turn: HashMap<TurnId, u64>,
}

struct Open {
    id: InquiryId,
    server: ServerName,
    /// Whose budget it is taken from: the turn that it belongs to, else every one under way.
    turns: Vec<TurnId>,
    sample: Box<Sample>,
    /// What was there when it was shown: nothing else is asked.
    model: Arc<dyn Model>,
    /// Of its turn, where that is known.
    settings: Option<TurnSettings>,
    /// The model that was asked, for what is learnt of it.
    asked: String,
    /// Charged until the endpoint says what it was.
    charged: u64,
    /// Dropped, the connection to the endpoint goes.
    answering: JoinSet<()>,
}

impl Samplings {
    /// Nothing is asked for a server any more.
    pub(super) fn clear(&mut self) {
        self.open = None;
    }

    pub(super) fn turn_ended(&mut self, turn: TurnId) {
        self.by_turn.remove(&turn);
        if let Some(open) = &mut self.open {
            open.turns.retain(|of| *of != turn);
        }
    }

    /// Cuts a request to what is left.
    ///
    /// # Errors
    /// The name of the limit that leaves nothing.
    fn fit(&self, sample: &mut Sample, server: &ServerName, turns: &[TurnId]) -> Result<(), &'static str> {
        let spent = self.by_server.get(server).copied().unwrap_or(0);
        sample.budget.server = sample.budget.server.saturating_sub(spent);
        let spent = turns.iter().filter_map(|turn| self.by_turn.get(turn)).max().copied().unwrap_or(0);
        sample.budget.turn = sample.budget.turn.saturating_sub(spent);
        let input = sample.most_input();
        for (left, limit) in
            [(sample.budget.server, "sampling_tokens"), (sample.budget.turn, "[limits] sampling_turn_tokens")]
        {
            match u32::try_from(left.saturating_sub(input)) {
                Ok(0) => return Err(limit),
                Ok(left) => sample.max_tokens = sample.max_tokens.min(left),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn charge(&mut self, tokens: u64) {
        let Some(open) = &mut self.open else { return };
        let before = std::mem::replace(&mut open.charged, tokens);
        let anew = |spent: &mut u64| *spent = spent.saturating_sub(before).saturating_add(tokens);
        anew(self.by_server.entry(open.server.clone()).or_default());
        open.turns.iter().for_each(|turn| anew(self.by_turn.entry(*turn).or_default()));
    }
}

impl Engine {
    /// A server asks for an answer: it is fitted into the budgets before anybody sees it. False where they have no room.
    pub(super) fn sampling_asked(&mut self, turn: Option<TurnId>, inquiry: &mut Inquiry) -> bool {
        let Question::Sample(sample) = &mut inquiry.question else { return true };
        let turns: Vec<TurnId> = turn.map_or_else(|| self.turns.keys().copied().collect(), |turn| vec![turn]);
        let running = match turns[..] {
            [turn] => self.turns.get(&turn).map(|running| running.asks()),
            [] | [_, ..] => None,
        };
        let (model, settings) = running.map_or_else(|| (Arc::clone(&self.model), None), |(m, s)| (m, Some(s)));
        sample.model = settings.as_ref().map(|settings| settings.model.clone());
        sample.base_url = model.base_url();
        if let Some(own) = settings.as_ref().and_then(|settings| settings.sampling.max_output_tokens) {
            sample.max_tokens = sample.max_tokens.min(u32::try_from(own).unwrap_or(u32::MAX));
        }
        if let Err(limit) = self.samplings.fit(sample, &inquiry.server, &turns) {
            let most = sample.most_input();
            let why = format!("its tokens are used up, or the request, which may take {most}, does not fit ({limit})");
            let told = "the tokens that this server may use are used up";
            self.servers.answer(inquiry.id, InquiryAnswer::Fail { told, why });
            return false;
        }
        self.samplings.open = Some(Open {
            id: inquiry.id,
            server: inquiry.server.clone(),
            turns,
            sample: sample.clone(),
            model,
            settings,
            asked: String::new(),
            charged: 0,
            answering: JoinSet::new(),
        });
        true
    }

    /// A person said yes to the request. Void where it is over, or the model is asked already.
    pub(super) fn sample(&mut self, inquiry: InquiryId, settings: TurnSettings) {
        let open = self.samplings.open.as_mut().filter(|open| open.id == inquiry && open.answering.is_empty());
        let Some(open) = open else { return };
        // The screen's model is at the endpoint that turns ask now, and no other knows it.
        if open.settings.is_none() && !Arc::ptr_eq(&open.model, &self.model) {
            let why = "you have changed the endpoint since it asked".to_owned();
            let message = format!("{} gets no answer: {why}; it can ask again", open.server.as_str());
            self.servers.answer(inquiry, InquiryAnswer::Fail { told: "the model is another now; ask again", why });
            return self.emit(TurnEvent::Notice { turn: None, kind: NoticeKind::Server, message });
        }
        let settings = open.settings.take().unwrap_or(settings);
        if settings.lacks.vision && open.sample.has_images() {
            let why = format!("{} takes no images", settings.model);
            self.servers.answer(inquiry, InquiryAnswer::Fail { told: "the model takes no images", why });
            return;
        }
        open.asked.clone_from(&settings.model);
        let request = request(&open.sample, &settings, open.model.api());
        let reserved = open.sample.most_input().saturating_add(u64::from(open.sample.max_tokens));
        let asking = answering::Asking {
            id: inquiry,
            model: Arc::clone(&open.model),
            request,
            stop: open.sample.stop.clone(),
            max_tokens: open.sample.max_tokens,
            limits: Arc::clone(&self.config.limits),
            inbound: self.inbound.clone(),
        };
        open.answering.spawn(asking.run());
        self.samplings.charge(reserved);
    }

    pub(super) fn sampled(&mut self, id: InquiryId, progress: Progress) {
        let Some(open) = self.samplings.open.as_ref().filter(|open| open.id == id) else { return };
        match progress {
            Progress::Step(step) => {
                if let SampleStep::Whole { usage, .. } = &step {
                    let tokens = used(*usage, &open.sample);
                    let of = match open.turns[..] {
                        [turn] => self.turns.get(&turn).map(|running| running.conversation().clone()),
                        [] | [_, ..] => None,
                    };
                    let aside = Aside::new(AsideKind::Sample, &open.asked, self.now().wall_ms, *usage);
                    self.samplings.charge(tokens);
                    if let Some(conversation) = of
                        && aside.usage != Usage::default()
                    {
                        self.aside(&conversation, aside);
                    }
                }
                self.emit(TurnEvent::Sampled { id, step });
            }
            Progress::Adapted(adapted) => {
                if let Some((key, value)) = adapted.learnt {
                    let (base_url, model) = (open.model.base_url(), open.asked.clone());
                    self.lessons.push(Lesson {
                        base_url: base_url.clone(),
                        model: model.clone(),
                        key: key.clone(),
                        value: value.clone(),
                    });
                    self.write(vec![Change::Learnt { base_url, model, key, value }], Durability::Written);
                }
                self.emit(TurnEvent::Notice { turn: None, kind: NoticeKind::Adapted, message: adapted.message });
            }
            Progress::Failed { why, begun } => {
                if !begun {
                    self.samplings.charge(0);
                }
                self.servers.answer(id, InquiryAnswer::Fail { told: "the model gave no answer", why });
            }
        }
    }

    /// The question is over: so is the asking of the model.
    pub(super) fn sampling_over(&mut self, id: InquiryId) {
        self.samplings.open.take_if(|open| open.id == id);
    }
}

/// What it took: what the endpoint tells, else what it could have taken at most.
fn used(usage: Usage, sample: &Sample) -> u64 {
    let input = usage.input.unwrap_or_else(|| sample.most_input());
    input.saturating_add(usage.output.unwrap_or_else(|| sample.max_tokens.into()))
}

/// Own fields of the person's configuration that would make another request of it.
pub(super) const RULED: [&str; 18] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "text",
    "messages",
    "input",
    "instructions",
    "prompt",
    "previous_response_id",
    "conversation",
];
/// Stop sequences that endpoints take; more are minded here alone.
const STOPS: usize = 4;

/// What the model is asked: the server's words, and the person's endpoint, model and effort.
fn request(sample: &Sample, settings: &TurnSettings, api: Api) -> Request {
    let own = &settings.sampling;
    let ruled = |key: &str| RULED.contains(&key) || (key == "temperature" && sample.temperature.is_some());
    let mut params: Vec<_> = own.params.iter().filter(|(key, _)| !ruled(key)).cloned().collect();
    if api == Api::Chat && (1..=STOPS).contains(&sample.stop.len()) {
        params.push(("stop".to_owned(), sample.stop.clone().into()));
    }
    let messages = sample.messages.iter().enumerate().map(|(n, message)| {
        let body = match message.by_assistant {
            true => Body::Assistant(Answer {
                text: message.texts().collect::<Vec<_>>().join("\n\n"),
                state: AnswerState::Complete,
                ..Answer::default()
            }),
            false => Body::User(message.parts.iter().map(part).collect()),
        };
        Arc::new(Message { id: MessageId::new(format!("sampling-{n}")), parent: None, at: UnixMs::default(), body })
    });
    Request {
        model: settings.model.clone(),
        system: sample.system.clone(),
        messages: messages.collect(),
        tools: None,
        tool_choice: ToolChoice::Auto,
        sampling: Sampling {
            temperature: sample.temperature.or(own.temperature),
            max_output_tokens: Some(sample.max_tokens.into()),
            reasoning_effort: own.reasoning_effort.clone(),
            params,
            schema: None,
        },
        lacks: settings.lacks,
    }
}

fn part(part: &SamplePart) -> Part {
    match part {
        SamplePart::Text(text) => Part::text(text.clone()),
        SamplePart::Image { mime, data } => {
            Part::Image { name: "image".to_owned(), mime: mime.clone(), data: data.clone() }
        }
    }
}
