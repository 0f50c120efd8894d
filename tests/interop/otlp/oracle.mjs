// A second opinion on OTLP: decodes requests with the decoder that the JavaScript SDK was
// generated with, and prints one line of JSON per item, everything that surrounds it with it.
//
//     node oracle.mjs < FILE       each request: {"signal": "traces", "type": ..., "body": base64}
//
// Lines come sorted, so that two sets of requests that say the same print the same.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const root = require('./node_modules/@opentelemetry/otlp-transformer/build/src/generated/root.js');
const { collector } = root.opentelemetry.proto;
const requests = {
  traces: collector.trace.v1.ExportTraceServiceRequest,
  metrics: collector.metrics.v1.ExportMetricsServiceRequest,
  logs: collector.logs.v1.ExportLogsServiceRequest,
};
const fields = {
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
};
const ids = new Set(['traceId', 'spanId', 'parentSpanId']);

// OTLP/JSON has ids in hexadecimal, protobuf's own JSON in base64.
const hexToBase64 = (value, key) => {
  if (Array.isArray(value))
    return value.map((one) => hexToBase64(one));
  if (value && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, hexToBase64(v, k)]));
  return ids.has(key) && typeof value === 'string' ? Buffer.from(value, 'hex').toString('base64')
    : value;
};

const decode = ({ signal, type, body }) => {
  const bytes = Buffer.from(body, 'base64');
  const message = type.startsWith('application/json')
    ? requests[signal].fromObject(hexToBase64(JSON.parse(bytes.toString())))
    : requests[signal].decode(bytes);
  const problem = requests[signal].verify(message);
  if (problem)
    throw new Error(problem);
  return requests[signal].toObject(message, { longs: String, bytes: String, enums: Number });
};

// Keys in one order, defaults left out: what an absent field means.
const canonical = (value) => {
  if (Array.isArray(value))
    return value.map(canonical);
  if (!value || typeof value !== 'object')
    return value;
  const entries = Object.entries(value).map(([k, v]) => [k, canonical(v)])
    .filter(([k, v]) => v !== undefined && (k.endsWith('Value') || k.startsWith('as') ||
      !(v === 0 || v === '0' || v === '' || v === false || (Array.isArray(v) && !v.length))));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
};

const points = (metric) => {
  for (const kind of ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'])
    if (metric[kind])
      return (metric[kind].dataPoints ?? []).map((point) =>
        ({ ...metric, [kind]: { ...metric[kind], dataPoints: [point] } }));
  return [metric];
};

const lines = [];
const flatten = (signal, request) => {
  const [resources, scopes, items] = fields[signal];
  for (const { [resources]: _, [scopes]: inScopes, ...resource } of request[resources] ?? [])
    for (const { [items]: inItems, ...scope } of inScopes ?? [])
      for (const item of inItems ?? [])
        for (const one of signal === 'metrics' ? points(item) : [item])
          lines.push(JSON.stringify(canonical({ signal, resource, scope, item: one })));
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  flatten(request.signal, decode(request));
}
process.stdout.write(lines.sort().map((line) => line + '\n').join(''));
