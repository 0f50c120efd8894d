// The legacy SDK's client (initialize handshake) against one of the real servers.
//     legacy.mjs SCENARIO COMMAND [ARGUMENT]...
// The last line on stdout is what should have been counted, as JSON.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { Oracle } from './oracle.mjs';

const [scenario, command, ...args] = process.argv.slice(2);

// Every request has some end; which one is the oracle's business.
const attempt = (promise) => promise.catch((error) => error);

async function abandon(client, request) {
  const controller = new AbortController();
  setTimeout(() => controller.abort('enough'), 200);
  await attempt(client.callTool(request, undefined, { signal: controller.signal }));
}

const tool = (client, name, given = {}) => attempt(client.callTool({ name, arguments: given }));

const scenarios = {
  async everything(client) {
    await client.ping();
    await client.listTools();
    for (const message of ['hello', 'grüße, 世界 😀', 'a "quoted" \\ line\nand another'])
      await tool(client, 'echo', { message });
    await Promise.all(Array.from({ length: 20 }, (_, i) => tool(client, 'get-sum', { a: i, b: 1 })));
    await tool(client, 'get-sum', { a: 'one', b: 2 });
    await tool(client, 'no-such-tool');
    await tool(client, 'get-tiny-image');
    await tool(client, 'get-structured-content', { location: 'Chicago' });
    await tool(client, 'get-annotated-message', { messageType: 'error', includeImage: true });
    await tool(client, 'get-resource-links', { count: 3 });
    await tool(client, 'trigger-sampling-request', { prompt: 'two words', maxTokens: 10 });
    await tool(client, 'trigger-elicitation-request');
    await tool(client, 'get-roots-list');
    await abandon(client, { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 2 } });
    await client.listPrompts();
    await client.getPrompt({ name: 'simple-prompt' });
    await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Oslo', state: 'none' } });
    await attempt(client.getPrompt({ name: 'no-such-prompt' }));
    const { resources } = await client.listResources();
    await client.listResourceTemplates();
    await client.readResource({ uri: resources[0].uri });
    await client.readResource({ uri: 'demo://resource/dynamic/text/7' });
    await attempt(client.readResource({ uri: 'demo://nowhere' }));
    await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' },
      argument: { name: 'department', value: 'E' } });
    await client.setLoggingLevel('warning');
  },
  async memory(client) {
    await client.listTools();
    await tool(client, 'create_entities', { entities: [
      { name: 'tally', entityType: 'stick', observations: ['has notches'] }] });
    await tool(client, 'add_observations', { observations: [
      { entityName: 'tally', contents: ['is split in two'] }] });
    await tool(client, 'search_nodes', { query: 'notches' });
    await tool(client, 'add_observations', { observations: [{ entityName: 'nobody', contents: ['x'] }] });
    await tool(client, 'read_graph');
    await attempt(client.listPrompts());
  },
  async filesystem(client) {
    await client.listTools();
    const folder = args.at(-1);
    await tool(client, 'write_file', { path: `${folder}/note.txt`, content: 'x'.repeat(300000) });
    await tool(client, 'read_text_file', { path: `${folder}/note.txt` });
    await tool(client, 'read_text_file', { path: '/etc/passwd' });
    await tool(client, 'list_directory', { path: folder });
  },
  async 'sequential-thinking'(client) {
    await client.listTools();
    for (let i = 1; i <= 3; i++)
      await tool(client, 'sequentialthinking',
        { thought: `thought ${i}`, thoughtNumber: i, totalThoughts: 3, nextThoughtNeeded: i < 3 });
    await tool(client, 'sequentialthinking', { thought: 'incomplete' });
  },
};

const oracle = new Oracle();
const transport = oracle.watch(new StdioClientTransport({ command, args, stderr: 'ignore' }));
const client = new Client({ name: 'interop-legacy', version: '1.0.0' },
  { capabilities: { roots: {}, sampling: {}, elicitation: {} } });
client.setRequestHandler(CreateMessageRequestSchema, async () => ({
  model: 'none', role: 'assistant', content: { type: 'text', text: 'two words' } }));
client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'decline' }));
client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: [] }));
await client.connect(transport);
await scenarios[scenario](client);
await client.close();
console.log(JSON.stringify(oracle.report()));
