/** Its tools are not what it says they are; one of them is. */
import { serve, send, text, tool } from './wire.ts';

const number = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
const tools = [
  tool('good', { description: '天'.repeat(1024 * 1024) }),
  tool('structured', { outputSchema: number }),
  tool('unstructured', { outputSchema: number }),
  tool('rubbish'),
  tool('error'),
  tool('refusal'),
  tool('with spaces/and more'),
  tool('with_spaces_and_more'),
  tool('n'.repeat(200)),
  tool('many-parts'),
  tool('deep'),
  { name: 'text-schema', inputSchema: { type: 'string' } },
  { name: 'no-schema' },
  { inputSchema: { type: 'object' } },
  tool(7),
  tool(''),
  tool('good'),
  tool('good'),
  tool('big-schema', { inputSchema: { type: 'object', description: 'x'.repeat(40 * 1024) } }),
  tool('deep-schema', { inputSchema: { type: 'object', properties: { a: 'nested 100000' } } }),
  tool('broken-output', { outputSchema: { type: 'object', properties: { a: { pattern: '(' } } } }),
  'a tool',
  null,
];

const answers: Readonly<Record<string, () => object>> = {
  good: () => text('fine'),
  structured: () => ({ content: [], structuredContent: { n: 'seven' } }),
  unstructured: () => text('7'),
  rubbish: () => ({ content: 'rubbish' }),
  deep: () => ({ content: [], structuredContent: { a: 'nested 100000' } }),
  error: () => ({ ...text('the disk is full'), isError: true }),
  'many-parts': () => ({
    content: [
      { type: 'text', text: 'one' },
      { type: 'audio', mimeType: 'audio/wav', data: Buffer.alloc(12_345).toString('base64') },
      { type: 'resource', resource: { uri: 'file:///a', text: 'two' } },
      { type: 'resource', resource: { uri: 'file:///b', blob: 'AAAA' } },
      { type: 'resource_link', uri: 'file:///c', name: 'three' },
    ],
  }),
};

serve({
  'tools/list': () => ({ tools }),
  'tools/call': ({ name = '' }, id) => {
    if (name === 'refusal') send({ id, error: { code: -32602, message: 'No such\nfolder.' } });
    return answers[name]?.() ?? (name === 'refusal' ? undefined : text(`called ${name}`));
  },
});
