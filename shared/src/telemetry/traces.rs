//! Traces: spans of invocations, flushes and calls of Redis, where they are built in (feature `otel`). Otherwise the work
//! runs as it is, and nothing else is compiled.

#[cfg(not(feature = "otel"))]
pub use off::{call, export, flush, invocation};
#[cfg(feature = "otel")]
pub use on::{call, export, flush, invocation, layer};

#[cfg(feature = "otel")]
mod on {
    //! Traces by OpenTelemetry: spans are gathered and sent by OTLP over HTTP, to where `OTEL_EXPORTER_OTLP_ENDPOINT` says, by default
    //! to the collector that a Lambda layer runs on `http://localhost:4318`. They are sent after each response, since an environment
    //! that is frozen sends nothing.

    use opentelemetry::Context;
    use opentelemetry::propagation::TextMapPropagator;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_aws::trace::XrayPropagator;
    use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::collections::HashMap;
    use std::env;
    use std::future::Future;
    use std::sync::OnceLock;
    use std::time::Duration;
    use tracing::instrument::Instrumented;
    use tracing::{Instrument, Span, Subscriber};
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::registry::LookupSpan;

    /// Spans with this target are traced, and no others.
    const TARGET: &str = "visits_traces";

    /// Longest wait for the collector: it runs beside the function, and the invocation waits for it.
    const PATIENCE: Duration = Duration::from_millis(500);

    /// The header as the propagator looks for it.
    const XRAY_HEADER: &str = "x-amzn-trace-id";

    static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

    /// What gathers spans for [`export`], to be used once in a process. `endpoint`: the whole URL of a collector instead of what the
    /// environment says.
    pub fn layer<S>(endpoint: Option<&str>) -> Result<impl Layer<S>, ExporterBuildError>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_timeout(PATIENCE);
        let exporter = match endpoint {
            Some(endpoint) => exporter.with_endpoint(endpoint),
            None => exporter,
        };
        let mut resource = Resource::builder();
        if let (Ok(name), Err(_)) = (env::var("AWS_LAMBDA_FUNCTION_NAME"), env::var("OTEL_SERVICE_NAME")) {
            resource = resource.with_service_name(name);
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter.build()?).with_resource(resource.build());
        let provider = PROVIDER.get_or_init(|| provider.build());
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("visits"));
        Ok(spans.with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO)))
    }

    /// An invocation with this id, in the trace that the X-Ray header names.
    pub fn invocation<F: Future>(id: &str, xray_header: Option<&str>, work: F) -> Instrumented<F> {
        let span = tracing::info_span!(target: TARGET, "invocation", otel.kind = "server", faas.invocation_id = id);
        if let Some(header) = xray_header {
            let headers = HashMap::from([(XRAY_HEADER.to_owned(), header.to_owned())]);
            let parent = XrayPropagator::default().extract_with_context(&Context::new(), &headers);
            // Where no layer takes it, nobody misses it.
            let _ = span.set_parent(parent);
        }
        work.instrument(span)
    }

    /// A flush for this reason.
    pub fn flush<F: Future>(reason: &'static str, work: F) -> Instrumented<F> {
        work.instrument(tracing::info_span!(target: TARGET, "flush", visits.reason = reason))
    }

    /// A call of this shard.
    pub fn call<'a, F: Future + 'a>(shard: &'a str, work: F) -> Instrumented<F> {
        let span: Span = tracing::info_span!(target: TARGET, "redis", otel.kind = "client", db.system.name = "redis", visits.shard = shard);
        work.instrument(span)
    }

    /// Sends what has ended. What the collector does not take in time is dropped.
    pub async fn export() {
        if let Some(provider) = PROVIDER.get().cloned() {
            // The exporter waits on a thread of its own; this one goes on with other invocations.
            let _ = tokio::task::spawn_blocking(move || provider.force_flush()).await;
        }
    }
}

#[cfg(not(feature = "otel"))]
mod off {
    //! Without traces: the work itself.

    use std::future::Future;

    /// An invocation with this id, in the trace that the X-Ray header names.
    pub fn invocation<F: Future>(_: &str, _: Option<&str>, work: F) -> F {
        work
    }

    /// A flush for this reason.
    pub fn flush<F: Future>(_: &'static str, work: F) -> F {
        work
    }

    /// A call of this shard.
    pub fn call<'a, F: Future + 'a>(_: &'a str, work: F) -> F {
        work
    }

    /// Sends what has ended.
    pub async fn export() {}
}
