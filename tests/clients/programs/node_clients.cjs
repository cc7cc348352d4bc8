// openai-node, Vercel's AI SDK, eventsource: read through silence and killed decoders.
const assert = require('node:assert');
const { createOpenAICompatible } = require('@ai-sdk/openai-compatible');
const { streamText } = require('ai');
const { EventSource } = require('eventsource');
const OpenAI = require('openai');

const url = process.env.ROWCAST_URL, base = url + '/v1', apiKey = process.env.ROWCAST_TOKEN;
const prompt = 'Say something long. '.repeat(525);
const asked = { model: 'scripted', messages: [{ role: 'user', content: prompt }], seed: 3 };
const client = new OpenAI({ baseURL: base, apiKey });
const control = async (what) => assert((await fetch(`${process.env.ROWCAST_CONTROL}/${what}`, { method: 'POST' })).ok);
const weather = {
  name: 'weather',
  parameters: { type: 'object', properties: { city: { enum: ['Paris', 'Rome'] } }, required: ['city'], additionalProperties: false },
};

async function* chat() {
  const stream = await client.chat.completions.create({ ...asked, max_tokens: 12, stream: true });
  for await (const part of stream) yield part.choices[0].delta.content;
}

async function* toolCall() {
  const tools = [{ type: 'function', function: weather }];
  const stream = await client.chat.completions.create({ ...asked, tools, tool_choice: 'required', max_tokens: 900, stream: true });
  for await (const part of stream) {
    for (const call of part.choices[0].delta.tool_calls ?? []) yield (call.function.name ?? '') + (call.function.arguments ?? '');
  }
}

async function* aiSdk() {
  const model = createOpenAICompatible({ name: 'rowcast', baseURL: base, apiKey })('scripted');
  const fail = ({ error }) => { throw error; };
  yield* streamText({ model, prompt, seed: 3, maxOutputTokens: 12, maxRetries: 0, onError: fail }).textStream;
}

async function* eventSource() {
  const headers = { Authorization: `Bearer ${apiKey}` };
  const leave = new AbortController();
  const body = JSON.stringify({ ...asked, max_tokens: 12, stream: true });
  const begun = await fetch(base + '/chat/completions', { method: 'POST', headers, body, signal: leave.signal });
  leave.abort();
  const withToken = (to, init) => fetch(to, { ...init, headers: { ...init.headers, ...headers } });
  const parts = [];
  let source, wake = () => {}, tries = 0, begins = true;
  const put = (part) => { parts.push(part); wake(); };
  const open = () => {
    source = new EventSource(`${base}/streams/${begun.headers.get('x-stream-id')}`, { fetch: withToken });
    source.onmessage = ({ data }) => { begins = false; put(data); };
    source.onerror = ({ code }) => {
      source.close();
      // If no decoder is there yet, the answer is 503. EventSource leaves it to its user to try again.
      if (code === 503 && begins && ++tries < 40) setTimeout(open, 500);
      else put(null);
    };
  };
  open();
  for (;;) {
    while (!parts.length) await new Promise((ok) => { wake = ok; });
    const data = parts.shift();
    assert(data !== null, 'EventSource met an error');
    if (data === '[DONE]') break;
    yield JSON.parse(data).choices[0].delta.content;
  }
  source.close();
}

async function read(parts, onThird = async () => {}) {
  let text = '', count = 0, first = Infinity;
  for await (const part of parts()) {
    if (!part) continue;
    text += part;
    if (++count === 1) first = performance.now();
    if (count === 3) await onThird();
  }
  assert(count > 3, `only ${count} parts came`);
  return { text, first };
}

// If a busy machine kills the decoder too late, try again.
async function killedFirst(parts) {
  for (let tries = 0; tries < 5; tries++) {
    await control('settle');
    let killed;
    const timer = new Promise((ok, no) => setTimeout(() => control('kill').then(() => { killed = performance.now(); ok(); }, no), 200));
    const early = await read(parts);
    await timer;
    if (killed < early.first) return early.text;
  }
  throw new Error('5 times a part came before the decoder was killed: the machine is busy');
}

async function hold(name, parts, silent = false) {
  await control('settle');
  const calm = (await read(parts)).text;
  console.log(`${name}: ${calm.slice(0, 60)}`);
  assert.strictEqual(await killedFirst(parts), calm, 'a decoder killed before the first token');
  for (const what of silent ? ['kill', 'stand-still'] : ['kill']) {
    await control('settle');
    assert.strictEqual((await read(parts, () => control(what))).text, calm, what);
    console.log(`  ${what}: the same`);
  }
}

(async () => {
  await hold('openai-node, chat', chat, true);
  await hold('openai-node, a tool call', toolCall);
  await hold('AI SDK', aiSdk);
  await hold('eventsource', eventSource);
})().catch((error) => { console.error(error); process.exit(1); });
