// A server of both eras, made with the modern SDK.
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const text = (value) => ({ content: [{ type: 'text', text: value }] });

serveStdio(() => {
  const server = new McpServer({ name: 'interop-server', version: '1.0.0' });
  server.registerTool('echo', { description: 'says it again', inputSchema: z.object({ text: z.string() }) },
    async (given) => text(given.text));
  server.registerTool('fail', { description: 'always fails', inputSchema: z.object({}) },
    async () => { throw new Error('as promised'); });
  server.registerTool('slow', { description: 'takes its time', inputSchema: z.object({}) },
    async () => { await new Promise((done) => setTimeout(done, 2000)); return text('done'); });
  return server;
});
