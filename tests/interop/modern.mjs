// The modern SDK's client (2026-07-28, stateless) against modern-server.mjs or a
// legacy server.
//     modern.mjs SCENARIO COMMAND [ARGUMENT]...
// The last line on stdout is what should have been counted, as JSON.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Oracle } from './oracle.mjs';

const [scenario, command, ...args] = process.argv.slice(2);
const attempt = (promise) => promise.catch((error) => error);
const tool = (client, name, given = {}) => attempt(client.callTool({ name, arguments: given }));

const scenarios = {
  async modern(client) {
    await client.listTools();
    for (const text of ['hello', '世界']) await tool(client, 'echo', { text });
    await tool(client, 'fail');
    await tool(client, 'no-such-tool');
    await tool(client, 'echo', { text: 7 });
    const controller = new AbortController();
    setTimeout(() => controller.abort('enough'), 200);
    await attempt(client.callTool({ name: 'slow', arguments: {} }, { signal: controller.signal }));
    await tool(client, 'echo', { text: 'last' });
  },
  // A dual-era client: its probe is answered with -32601 and it falls back.
  async fallback(client) {
    await client.listTools();
    await tool(client, 'echo', { message: 'from a newer client' });
    await tool(client, 'no-such-tool');
  },
};

const oracle = new Oracle();
const transport = oracle.watch(new StdioClientTransport({ command, args, stderr: 'ignore' }));
const client = new Client({ name: 'interop-modern', version: '1.0.0' },
  { versionNegotiation: { mode: 'auto' } });
// The SDK probes through a server and a transport of its own, which we do not see.
const probe = { method: 'server/discover',
  params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } };
oracle.end('up', probe, scenario === 'modern' ? { result: {} } : { error: { code: -32601 } });
await client.connect(transport);
await scenarios[scenario](client);
await client.close();
console.log(JSON.stringify(oracle.report()));
