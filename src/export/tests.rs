//! Each form holds what was said, and cannot be broken out of.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json as value};

use super::*;
use crate::chat::{
    Answer, AnswerState, ConversationId, Message, MessageId, OutcomeKind, Part, Summary, ToolMessage, ToolRef,
};

/// A conversation with one of everything, in which `hostile` stands wherever text from outside can.
pub(super) fn conversation(hostile: &str) -> Conversation {
    let object = value!({"k": hostile}).as_object().cloned().unwrap_or_default();
    let call = ToolCall {
        id: CallId::new("c1"),
        wire_id: Some(hostile.into()),
        index: 0,
        wire_name: hostile.into(),
        tool: Some(ToolRef::new("fs", hostile)),
        arguments: value!({"path": hostile}).to_string().into(),
        extra: object.clone(),
    };
    let outcome = ToolOutcome {
        structured: Some(value!([hostile])),
        full: Some(hostile.into()),
        ms: 12.5,
        notes: vec![hostile.into()],
        ..ToolOutcome::unsent(OutcomeKind::Failed, hostile)
    };
    let bodies = [
        Body::User(vec![
            Part::text(hostile),
            Part::File { name: hostile.into(), text: hostile.into() },
            Part::Image { name: hostile.into(), mime: hostile.into(), data: hostile.into() },
            Part::Image { name: hostile.into(), mime: "image/png".into(), data: "QUJD".into() },
        ]),
        Body::Assistant(Answer {
            text: hostile.into(),
            reasoning: hostile.into(),
            refusal: hostile.into(),
            calls: vec![call],
            model: hostile.into(),
            origin: hostile.into(),
            extra: object,
            finish: Some(hostile.into()),
            state: AnswerState::Interrupted,
        }),
        Body::Tool(ToolMessage { call: CallId::new("c1"), outcome: Arc::new(outcome) }),
    ];
    let id = |n: usize| MessageId::new(format!("m{n}"));
    Conversation {
        summary: Summary {
            id: ConversationId::new("c"),
            title: hostile.into(),
            folder: hostile.into(),
            model: hostile.into(),
            created: 1,
            updated: 2,
            messages: 3,
            calls: 1,
            failed_calls: 1,
            tokens: Some(7),
            pinned: true,
            interrupted: false,
        },
        base_url: hostile.into(),
        system: Some(hostile.into()),
        messages: bodies
            .into_iter()
            .enumerate()
            .map(|(n, body)| Arc::new(Message { id: id(n), parent: n.checked_sub(1).map(id), at: 5, body }))
            .collect(),
        forks: Vec::new(),
        open_elsewhere: false,
        extra: value!({"x": hostile}),
    }
}

#[test]
fn what_is_no_export_says_why() {
    let why = |text: &str| parse(text).map(|_| ()).map_err(|error| error.to_string());
    assert!(why("{").is_err_and(|why| why.starts_with("the file is not a conversation that millrace exported")));
    assert_eq!(why("{}"), Err("the file's format is \"\", not \"millrace.conversation\"".into()));
    let newer = value!({"format": "millrace.conversation", "version": 99}).to_string();
    assert_eq!(why(&newer), Err("the file's version is 99; this millrace reads up to 2".into()));
}

#[test]
fn markdown_of_a_small_conversation() {
    let mut conversation = conversation("a `b`");
    conversation.system = None;
    insta::assert_snapshot!(markdown(&conversation), @r#"
    # a `b`

    ## You

    a `b`

    File `` a `b` ``:

    ```
    a `b`
    ```

    Image `` a `b` `` (a `b`)

    Image `` a `b` `` (image/png)

    ## a `b`

    > a `b`

    a `b`

    a `b`

    *(interrupted)*

    Call of `` fs/a `b` ``:

    ```json
    {"path":"a `b`"}
    ```

    Outcome: failed

    ```
    a `b`
    ```
    "#);
}

proptest! {
    #[test]
    fn reading_what_was_printed_gives_the_same_conversation(text in any::<String>()) {
        let conversation = conversation(&text);
        let printed = json(&conversation).expect("printable");
        prop_assert_eq!(parse(&printed).expect("readable"), conversation);
        prop_assert!(serde_json::from_str::<Value>(&printed).is_ok());
    }

    #[test]
    fn results_stay_in_their_fences(ticks in 0_usize..9) {
        let hostile = format!("x\n{}\n# out", "`".repeat(ticks));
        let text = markdown(&conversation(&hostile));
        let result = text.rsplit_once("Outcome: failed\n\n").map_or("", |(_, rest)| rest);
        let fence = result.lines().next().unwrap_or_default();
        prop_assert!(fence.len() >= 3 && fence.len() > ticks);
        prop_assert_eq!(result.lines().filter(|line| *line == fence).count(), 2);
    }
}

#[test]
fn why_an_answer_is_not_whole_is_told_as_it_was() {
    for (finish, words) in [
        (Some("length"), "cut by the length limit"),
        (Some("MAX_TOKENS"), "cut by the length limit"),
        (Some("content_filter"), "cut by the content filter"),
        (Some("tool_calls"), "interrupted"),
        (None, "interrupted"),
    ] {
        let mut conversation = conversation("x");
        for message in &mut conversation.messages {
            let mut changed = (**message).clone();
            if let Body::Assistant(answer) = &mut changed.body {
                answer.finish = finish.map(str::to_owned);
            }
            *message = Arc::new(changed);
        }
        assert!(markdown(&conversation).contains(&format!("\n*({words})*\n")), "{finish:?}");
        assert!(html(&conversation).contains(&format!("<pre>({words})</pre>")), "{finish:?}");
    }
}
