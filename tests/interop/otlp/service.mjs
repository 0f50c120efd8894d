// A Node.js service with the stock SDK: sends spans, metrics and logs of many forms.
//
//     node service.mjs grpc|http/protobuf|http/json TRACES
//
// The endpoint comes from OTEL_EXPORTER_OTLP_ENDPOINT, as with any other service.
import { SpanKind, SpanStatusCode, TraceFlags, context, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { AggregationType, InstrumentType, MeterProvider,
         PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [protocol, count] = [process.argv[2], Number(process.argv[3])];
const word = { 'grpc': 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }[protocol];

const exporter = async (signal, name) => {
  const room = await import(`@opentelemetry/exporter-${signal}-otlp-${word}`);
  return new room[name]();
};

const resource = resourceFromAttributes({
  'service.name': `node-${word}`, 'service.instance.id': 'one', 'host.cpus': 2, 'load': 0.5,
  'flag': true, 'list': ['a', 'b'], 'deployment.environment.name': 'interop',
});

const attributes = (i) => ({
  'http.request.method': 'POST', 'user.id': `user-${i % 7}`, 'count': i, 'ratio': i / 3,
  'big': Number.MAX_SAFE_INTEGER, 'negative': -i, 'ok': i % 2 === 0, 'names': ['x', 'ÿ', '漢字'],
  'numbers': [1, 2.5, -3], 'empty': '', 'text': 'é'.repeat(i % 50), 'none': [],
});

const spans = async () => {
  const provider = new BasicTracerProvider({
    resource,
    spanLimits: { attributeCountLimit: 100 },
    spanProcessors: [new BatchSpanProcessor(await exporter('trace', 'OTLPTraceExporter'),
      { maxQueueSize: 100000, maxExportBatchSize: 200 })],
  });
  const tracer = provider.getTracer('interop', '1.2.3', { schemaUrl: 'https://example.org/1.0' });
  const plain = provider.getTracer('plain');
  for (let i = 0; i < count; i++) {
    const root = tracer.startSpan(`GET /items/${i % 5}`, { kind: SpanKind.SERVER, root: true,
      attributes: attributes(i) });
    const inside = trace.setSpan(context.active(), root);
    const child = plain.startSpan('SELECT', { kind: SpanKind.CLIENT, attributes: { i },
      links: [{ context: { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8),
        traceFlags: TraceFlags.SAMPLED }, attributes: { why: 'retry', n: 1 } }] }, inside);
    child.addEvent('cache.miss', { key: `k${i}`, size: i });
    child.addEvent('done');
    if (i % 10 === 9) {
      child.recordException(new Error(`failure ${i}`));
      child.setStatus({ code: SpanStatusCode.ERROR, message: `failed ${i}` });
    }
    child.end();
    root.setStatus({ code: SpanStatusCode.OK });
    root.end();
    if (i % 500 === 499)
      await provider.forceFlush();
  }
  await provider.shutdown();
};

const metrics = async () => {
  const provider = new MeterProvider({
    resource,
    views: [{ instrumentName: 'size', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM },
      instrumentType: InstrumentType.HISTOGRAM }],
    readers: [new PeriodicExportingMetricReader({
      exporter: await exporter('metrics', 'OTLPMetricExporter'), exportIntervalMillis: 3600000 })],
  });
  const meter = provider.getMeter('meters', '0.1');
  const requests = meter.createCounter('requests', { unit: '{request}', description: 'Requests.' });
  const busy = meter.createUpDownCounter('busy', { unit: '1' });
  const wait = meter.createHistogram('wait', { unit: 's', description: 'Waiting.',
    advice: { explicitBucketBoundaries: [0.1, 0.5, 1, 5] } });
  const size = meter.createHistogram('size', { unit: 'By' });
  const heat = meter.createObservableGauge('heat', { unit: 'Cel' });
  heat.addCallback((r) => r.observe(36.6, { where: 'inside' }));
  for (let i = 0; i < 300; i++) {
    requests.add(1 + i % 3, { route: `/r${i % 4}`, code: 200 + i % 2 });
    busy.add(i % 2 ? 1 : -1, { pool: 'a' });
    wait.record(i / 40, { route: `/r${i % 4}` });
    size.record(2 ** (i % 20) - 0.5);
    if (i === 150)
      await provider.forceFlush();
  }
  await provider.shutdown();
};

const logs = async () => {
  const provider = new LoggerProvider({ resource, processors: [
    new BatchLogRecordProcessor(await exporter('logs', 'OTLPLogExporter'),
      { maxQueueSize: 10000 })] });
  const logger = provider.getLogger('logs', '2');
  const levels = [SeverityNumber.DEBUG, SeverityNumber.INFO, SeverityNumber.ERROR];
  for (let i = 0; i < 100; i++)
    logger.emit({ severityNumber: levels[i % 3], severityText: 'LEVEL', eventName: i % 5 ? undefined
      : 'interop.event', body: i % 2 ? `line ${i}` : { nested: { deep: [i, 'x', { y: true }] } },
      attributes: { i, inner: { a: [1, { b: 'c' }] } } });
  await provider.shutdown();
};

await spans();
if (count <= 1000) {
  await metrics();
  await logs();
}
