//! `--record`: the recorder of a session, from the options to its end.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::chat::Fault;
use crate::export::Redactor;
use crate::record::{Header, Recorder};

use super::args::SessionArgs;
use super::boot::Boot;

/// Makes the recording that was asked for, and lets the session that is about to start be heard.
///
/// # Errors
/// `Usage` where there is such a file already, or it cannot be made.
pub fn begin(args: &SessionArgs, boot: &mut Boot, model: &str, redactor: Redactor) -> Result<(), Fault> {
    let Some(path) = &args.keep.record else { return Ok(()) };
    let endpoint = boot.endpoint.as_ref();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let header = Header::new(
        i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        &boot.limits,
        &boot.rules,
        boot.starting(),
        boot.wait_for_servers,
    )
    .model(
        endpoint.map(|endpoint| endpoint.address()),
        endpoint.map_or_else(Default::default, |endpoint| endpoint.api),
        model,
        endpoint.and_then(|endpoint| endpoint.vision),
        endpoint.filter(|endpoint| endpoint.key.is_some()).map(|endpoint| endpoint.key_source.clone()),
    );
    let recorder = Recorder::create(path, &header, redactor, boot.limits.import)?;
    boot.http = boot.http.clone().tapped(Arc::clone(&recorder) as _);
    boot.recorder = Some(recorder);
    Ok(())
}

/// Writes the rest of the recording, and says where it is not whole. The engine has ended.
pub fn end(recorder: Option<Arc<Recorder>>) {
    if let Some(why) = recorder.and_then(|recorder| recorder.close()) {
        eprintln!("{}", crate::text::sanitize(&why).one_line());
    }
}
