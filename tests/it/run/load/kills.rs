//! `kill -9` at any moment of a turn that streams and calls.

use super::*;

/// Homes; each has its turns one after the other.
const HOMES: usize = 4;
/// The pause before each word.
const PAUSE: Duration = Duration::from_millis(10);
/// Words of each round: with its pauses a turn takes a little less than a second.
const WORDS: usize = 25;

#[derive(Default)]
struct Told {
    kills: usize,
    ended: usize,
    before_any_request: usize,
    calls: usize,
    /// How old the first word was that is not there.
    lags: Vec<Duration>,
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let count = scale(20, 1_000);
    let told = Mutex::new(Told::default());
    let began = Instant::now();
    shared_out(HOMES, HOMES, |home| one_home(home as u64 + 1, count / HOMES, &told));
    let mut told = told.into_inner().unwrap();
    told.lags.sort();
    let at = |share: f64| {
        let last = told.lags.len().saturating_sub(1);
        told.lags.get((last as f64 * share) as usize).copied().unwrap_or_default()
    };
    println!(
        "kill -9: {} kills in {:.0?}, {} of them before the first request, {} turns had ended; {} calls ran; 0 losses, \
         0 calls told as not run; the first word that is not kept was as old as p50 {:.0?}, p99 {:.0?}, most {:.0?} \
         (to hold: 250 ms and a commit)",
        told.kills,
        began.elapsed(),
        told.before_any_request,
        told.ended,
        told.calls,
        at(0.5),
        at(0.99),
        at(1.0),
    );
    assert_eq!(told.kills + told.ended, count / HOMES * HOMES);
}

fn one_home(seed: u64, count: usize, told: &Mutex<Told>) {
    let place = Place::new();
    let provider = Provider::start(Vec::new());
    let mut dice = Dice::new(seed);
    let mut scripts = Vec::new();
    for _ in 0..count {
        let script = Script::new(WORDS);
        let said = Said::default();
        provider.script(script.replies(PAUSE, &said));
        let before = provider.requests().len();
        let mut command = place.run(&provider, &script);
        let mut child = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        // One in sixteen is killed while it starts.
        let early = dice.roll(16) == 0;
        if !early {
            // However busy the machine is: only what a kill leaves is tried here.
            while provider.requests().len() == before {
                assert!(child.0.try_wait().unwrap().is_none(), "it ended and asked nothing");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        std::thread::sleep(Duration::from_micros(dice.roll(if early { 100_000 } else { 900_000 })));
        let requests = provider.requests().len() - before;
        let at = Instant::now();
        let ended = child.0.try_wait().unwrap().is_some_and(|status| status.success());
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let store = reopened(&place.store());
        let kept = newest(&store).filter(|c| c.messages[0].plain_text() == script.question);
        let ran = place.ran();
        let mut told = told.lock().unwrap();
        *(if ended { &mut told.ended } else { &mut told.kills }) += 1;
        let Some(kept) = kept else {
            assert_eq!(requests, 0, "a question that was sent is not there");
            told.before_any_request += 1;
            continue;
        };
        let known = Known { script: &script, requests, ended, ran: &ran };
        let left = judge(&kept, &known);
        assert_eq!(left.unrecorded, 0, "a call ran and is on no record");
        if !ended {
            let round = requests.saturating_sub(1);
            let said = said.lock().unwrap();
            let first = said.iter().find(|(when, of, n)| *of == round && *n >= left.words && *when < at);
            told.lags.push(first.map(|(when, _, _)| at - *when).unwrap_or_default());
        }
        drop(told);
        block(store.close()).unwrap();
        scripts.push((kept.summary.id, script, requests, ended));
    }
    // The journals are complete by now; and what came later took nothing from what was there.
    let store = reopened(&place.store());
    let ran = place.ran();
    for (id, script, requests, ended) in &scripts {
        let kept = block(store.open_conversation(id)).unwrap();
        let known = Known { script, requests: *requests, ended: *ended, ran: &ran };
        assert_eq!(judge(&kept, &known).unrecorded, 0);
    }
    told.lock().unwrap().calls += ran.len();
}
