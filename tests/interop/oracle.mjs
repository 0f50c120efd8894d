// What should have been counted: a second opinion, by way of JSON.parse, from
// the messages that a client's transport sends and gets.

const CLIENTS_FAULT = new Set([-32700, -32600, -32601, -32602, -32002]);

export class Oracle {
  constructor() {
    this.waiting = { up: new Map(), down: new Map() };
    this.operations = new Map();
    this.messages = { up: 0, down: 0 };
    this.version = '';
  }

  // Both kinds of transport call this.onmessage, which the client sets.
  watch(transport) {
    const send = transport.send.bind(transport);
    let deliver;
    transport.send = (message, options) => {
      this.take('up', message);
      return send(message, options);
    };
    Object.defineProperty(transport, 'onmessage', {
      set: (f) => { deliver = f; },
      get: () => deliver && ((message, extra) => {
        this.take('down', message);
        deliver(message, extra);
      }),
    });
    return transport;
  }

  take(direction, message) {
    this.messages[direction]++;
    const mine = this.waiting[direction];
    const theirs = this.waiting[direction === 'up' ? 'down' : 'up'];
    const key = (id) => JSON.stringify(id);
    if (message.method && message.id !== undefined) {
      mine.set(key(message.id), message);
    } else if (message.method === 'notifications/cancelled') {
      const id = key(message.params.requestId);
      if (mine.has(id)) this.end(direction, mine.get(id), { cancelled: true });
      mine.delete(id);
    } else if (message.id !== undefined && theirs.has(key(message.id))) {
      const request = theirs.get(key(message.id));
      theirs.delete(key(message.id));
      this.end(direction === 'up' ? 'down' : 'up', request, message);
    }
  }

  end(direction, request, answer) {
    const side = direction === 'up' ? 'server' : 'client';
    const labels = { 'mcp_method_name': request.method, 'network_transport': 'pipe' };
    if (request.method === 'initialize' && answer.result) this.version = answer.result.protocolVersion;
    const version = request.params?._meta?.['io.modelcontextprotocol/protocolVersion'] ?? this.version;
    if (version) labels['mcp_protocol_version'] = version;
    if (request.method === 'tools/call') {
      labels['gen_ai_tool_name'] = request.params.name;
      labels['gen_ai_operation_name'] = 'execute_tool';
    }
    if (request.method === 'prompts/get') labels['gen_ai_prompt_name'] = request.params.name;
    if (answer.cancelled) labels['error_type'] = 'cancelled';
    if (answer.error) {
      labels['rpc_response_status_code'] = String(answer.error.code);
      if (side === 'client' || !CLIENTS_FAULT.has(answer.error.code))
        labels['error_type'] = String(answer.error.code);
    }
    if (answer.result?.isError && request.method === 'tools/call') labels['error_type'] = 'tool_error';
    if (request.method === 'subscriptions/listen') return;
    const series = JSON.stringify([side, Object.entries(labels).sort()]);
    this.operations.set(series, (this.operations.get(series) ?? 0) + 1);
  }

  report() {
    return {
      messages: this.messages,
      operations: [...this.operations].map(([series, count]) => [...JSON.parse(series), count]),
    };
  }
}
