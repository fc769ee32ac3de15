//! What a person said, as the protocol has it.

use serde_json::{Value, json};

use super::read::Refused;
use crate::chat::{InquiryAnswer, Question, SampleReply};

/// The protocol's result for an answer.
///
/// # Errors
/// Where the protocol has none: a no to a request that knows only answers.
pub(super) fn result(question: &Question, answer: &InquiryAnswer) -> Result<Value, Refused> {
    Ok(match (question, answer) {
        (Question::Form { .. } | Question::Address { .. }, InquiryAnswer::Decline) => json!({"action": "decline"}),
        (Question::Form { .. } | Question::Address { .. }, InquiryAnswer::Cancel) => json!({"action": "cancel"}),
        (_, InquiryAnswer::Fail { told, why: _ }) => {
            return Err(Refused { code: Refused::INTERNAL, message: (*told).to_owned() });
        }
        (Question::Sample(_), InquiryAnswer::Decline | InquiryAnswer::Cancel) => {
            return Err(Refused { code: Refused::REJECTED, message: "the user rejected the request".into() });
        }
        (Question::Address { .. }, InquiryAnswer::Accept(_)) => json!({"action": "accept"}),
        (Question::Form { .. } | Question::Sample(_), InquiryAnswer::Accept(content)) => {
            json!({"action": "accept", "content": content})
        }
        (
            Question::Form { .. } | Question::Address { .. } | Question::Sample(_),
            InquiryAnswer::Sample(SampleReply { model, text, stop }),
        ) => json!({
            "role": "assistant",
            "content": {"type": "text", "text": text},
            "model": model,
            "stopReason": stop.word(),
        }),
        (Question::Roots(roots), InquiryAnswer::Tell { .. }) => super::roots::told(roots),
        (Question::Roots(_), _) => {
            return Err(Refused { code: Refused::REJECTED, message: "the user did not tell its folders".into() });
        }
        (_, InquiryAnswer::Tell { .. }) => return Err(Refused::params("this is no question for folders")),
    })
}

/// Whether an answer answers this question.
pub(super) fn fits(question: &Question, answer: &InquiryAnswer) -> bool {
    match (question, answer) {
        (_, InquiryAnswer::Decline | InquiryAnswer::Cancel) => true,
        (Question::Form { form, .. }, InquiryAnswer::Accept(content)) => form.problems(content).is_empty(),
        (Question::Address { .. }, InquiryAnswer::Accept(content)) => content.is_empty(),
        (Question::Sample(_), InquiryAnswer::Sample(_) | InquiryAnswer::Fail { .. })
        | (Question::Roots(_), InquiryAnswer::Tell { .. }) => true,
        (
            Question::Form { .. } | Question::Address { .. },
            InquiryAnswer::Sample(_) | InquiryAnswer::Fail { .. } | InquiryAnswer::Tell { .. },
        )
        | (Question::Sample(_), InquiryAnswer::Accept(_) | InquiryAnswer::Tell { .. })
        | (Question::Roots(_), InquiryAnswer::Accept(_) | InquiryAnswer::Sample(_) | InquiryAnswer::Fail { .. }) => {
            false
        }
    }
}
