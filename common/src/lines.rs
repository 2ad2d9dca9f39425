//! How a log line names the trace that its task works for. Looked up when a line is written: most tasks log nothing, and a
//! span of the log's would be made for each of them all the same.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::trace;

/// For people: `trace_id=...` behind the other fields.
pub(crate) struct Text;

impl<'writer> FormatFields<'writer> for Text {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        DefaultFields::new().format_fields(writer.by_ref(), fields)?;
        trace::with_current(|trace| write!(writer, " trace_id={}", trace.trace_id())).unwrap_or(Ok(()))
    }
}

/// One object a line, as the format within writes it, with the field `trace_id`.
pub(crate) struct Json<F>(pub(crate) F);

impl<S, N, F> FormatEvent<S, N> for Json<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let traced = trace::with_current(|trace| {
            let open = line.strip_suffix("}\n")?;
            Some(format!("{open},\"trace_id\":\"{}\"}}\n", trace.trace_id()))
        });
        writer.write_str(traced.flatten().as_deref().unwrap_or(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::SubscriberBuilder;

    use super::*;
    use crate::trace::TraceContext;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics with it").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A line of a task within a trace, and one of none.
    fn lines(subscriber: impl FnOnce(Kept) -> tracing::Dispatch) -> [String; 2] {
        let kept = Kept::default();
        let _guard = tracing::dispatcher::set_default(&subscriber(kept.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(trace::within(TraceContext::parse(PARENT, None), async {
            tracing::info!(id = 7, "it was \"sent\"");
        }));
        tracing::info!("nobody asked");
        let written = String::from_utf8(kept.0.lock().expect("nobody panics with it").clone()).expect("UTF-8");
        let lines: Vec<String> = written.lines().map(str::to_owned).collect();
        lines.try_into().expect("two lines")
    }

    fn builder() -> SubscriberBuilder {
        tracing_subscriber::fmt()
    }

    #[test]
    fn a_line_for_people_ends_with_its_trace() {
        let [within, without] = lines(|kept| {
            let lines = builder().with_ansi(false).map_fmt_fields(|_| Text);
            lines.with_writer(move || kept.clone()).finish().into()
        });
        assert!(within.ends_with(&format!("it was \"sent\" id=7 trace_id={TRACE_ID}")), "{within}");
        assert!(without.ends_with("nobody asked"), "{without}");
    }

    #[test]
    fn an_object_has_its_trace_as_a_field() {
        let [within, without] = lines(|kept| {
            let lines = builder().json().flatten_event(true).map_event_format(Json);
            lines.with_writer(move || kept.clone()).finish().into()
        });
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("one object");
        let within = read(&within);
        assert_eq!((&within["trace_id"], &within["id"]), (&TRACE_ID.into(), &7.into()));
        assert_eq!(within["message"], "it was \"sent\"");
        assert_eq!(read(&without).get("trace_id"), None);
    }
}
