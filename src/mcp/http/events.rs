//! A body's bytes into server-sent events, each no larger than the limit.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sse_stream::{Sse, SseByteStream};

use super::door::HttpFault;

/// The events of a body. The first error is the last item.
pub(in crate::mcp) fn events(
    response: reqwest::Response,
    most: usize,
) -> impl Stream<Item = Result<Sse, HttpFault>> + Send + 'static {
    read(response.bytes_stream(), most)
}

fn read<E>(
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    most: usize,
) -> impl Stream<Item = Result<Sse, HttpFault>> + Send + 'static
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut meter = Meter::default();
    let measured = bytes.map(move |chunk| match chunk {
        Ok(chunk) if meter.fits(&chunk, most) => Ok(chunk),
        Ok(_) => Err(Box::<dyn std::error::Error + Send + Sync>::from(TooLarge)),
        Err(error) => Err(Box::from(error)),
    });
    SseByteStream::new(Box::pin(measured.map(|chunk| chunk.map_err(Fault)))).map(move |event| {
        event.map_err(|error| match error {
            sse_stream::Error::Body(cause) if cause.downcast_ref::<Fault>().is_some_and(Fault::is_size) => {
                HttpFault::TooLarge { limit: most }
            }
            other => HttpFault::Stream(other.to_string()),
        })
    })
}

#[derive(Debug, thiserror::Error)]
#[error("an event is too large")]
struct TooLarge;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(Box<dyn std::error::Error + Send + Sync>);

impl Fault {
    fn is_size(&self) -> bool {
        self.0.is::<TooLarge>()
    }
}

/// Counts the bytes since the last blank line.
#[derive(Default)]
struct Meter {
    event: usize,
    line: usize,
    after_cr: bool,
}

impl Meter {
    fn fits(&mut self, chunk: &[u8], most: usize) -> bool {
        for byte in chunk {
            let second_half = std::mem::replace(&mut self.after_cr, *byte == b'\r') && *byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\r' | b'\n' => {
                    self.event = if self.line == 0 { 0 } else { self.event + 1 };
                    self.line = 0;
                }
                _ => {
                    self.line += 1;
                    self.event += 1;
                }
            }
            if self.event > most {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    async fn of(chunks: &[&[u8]], most: usize) -> Vec<Result<Option<String>, String>> {
        let chunks: Vec<Result<Bytes, Infallible>> =
            chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        read(futures_util::stream::iter(chunks), most)
            .map(|event| event.map(|event| event.data).map_err(|error| error.to_string()))
            .collect()
            .await
    }

    #[tokio::test]
    async fn events_are_the_same_whatever_the_chunks_were() {
        let text = b"\xEF\xBB\xBF: hello\r\n\r\ndata: a\r\ndata: b\r\n\r\nid: 7\n\ndata: c\n\n";
        let whole = of(&[text], 64).await;
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(of(&bytes, 64).await, whole);
        let data: Vec<String> = whole.into_iter().filter_map(|event| event.unwrap()).collect();
        assert_eq!(data, ["a\nb", "c"]);
    }

    #[tokio::test]
    async fn an_event_over_the_limit_ends_the_stream_and_what_came_before_is_delivered() {
        let long = format!("data: ok\n\ndata: {}\n\n", "x".repeat(100));
        let (first, second) = long.split_at(12);
        let found = of(&[first.as_bytes(), second.as_bytes()], 64).await;
        assert_eq!(found[0], Ok(Some("ok".to_owned())));
        assert_eq!(found.last(), Some(&Err("its answer is larger than 64 bytes (limits.event)".to_owned())));
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_end_the_stream_with_a_word() {
        let found = of(&[b"data: \xFF\xFE\n\n"], 64).await;
        assert!(found.last().unwrap().as_ref().unwrap_err().starts_with("its stream cannot be read"), "{found:?}");
    }
}
