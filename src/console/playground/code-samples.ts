/** The conversation as programs that hold it against this server. Pure: what is said and by whom goes in, text comes out. */

/** A message of the conversation, as it is sent to the Assistants API. */
export interface SampleMessage {
  readonly role: 'user' | 'assistant';
  readonly content: readonly SamplePart[];
  readonly attachments?: readonly object[];
}

export type SamplePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_file'; readonly image_file: { readonly file_id: string } }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

export interface Sample {
  /** Ends in `/v1`. */
  readonly baseUrl: string;
  readonly assistantId: string;
  readonly messages: readonly SampleMessage[];
  /** What the program answers to calls of functions, by their names; null where there are no calls to be answered. */
  readonly outputs: Readonly<Record<string, string>> | null;
}

export interface Variant {
  readonly key: string;
  readonly name: string;
  readonly code: (sample: Sample) => string;
}

/** The environment variable with the key. */
const KEY = 'LONGRUN_API_KEY';

export const VARIANTS: readonly Variant[] = [
  { key: 'curl', name: 'curl', code: curl },
  { key: 'python', name: 'Python (Assistants)', code: pythonAssistants },
  { key: 'node', name: 'Node (Assistants)', code: nodeAssistants },
  { key: 'python-responses', name: 'Python (Responses)', code: pythonResponses },
  { key: 'node-responses', name: 'Node (Responses)', code: nodeResponses },
];

function curl({ baseUrl, assistantId, messages }: Sample): string {
  const body = json({ assistant_id: assistantId, stream: true, thread: { messages } });
  return `curl -N ${baseUrl}/threads/runs \\
  -H "Authorization: Bearer $${KEY}" \\
  -H 'Content-Type: application/json' \\
  -H 'OpenAI-Beta: assistants=v2' \\
  -d @- <<'JSON'
${body}
JSON
`;
}

function nodeAssistants({ baseUrl, assistantId, messages, outputs }: Sample): string {
  const waits = `while (run.status === 'requires_action') {
  const calls = run.required_action.submit_tool_outputs.tool_calls;
  run = await runs.submitToolOutputsAndPoll(run.id, {
    thread_id: thread.id,
    tool_outputs: calls.map((call) => ({ tool_call_id: call.id, output: answer(call) })),
  });
}
`;
  return `${nodeHead(baseUrl)}${outputs === null ? '' : nodeAnswer(outputs)}
const messages = ${json(messages)};

const { runs } = client.beta.threads;
const thread = await client.beta.threads.create({ messages });
let run = await runs.createAndPoll(thread.id, { assistant_id: ${json(assistantId)} });
${outputs === null ? '' : waits}if (run.status !== 'completed') throw new Error(run.last_error?.message ?? run.status);

const { data } = await client.beta.threads.messages.list(thread.id, { run_id: run.id, order: 'asc' });
for (const { content } of data)
  for (const part of content) console.log(part.type === 'text' ? part.text.value : part);
`;
}

function nodeResponses({ baseUrl, assistantId, messages, outputs }: Sample): string {
  const waits = `
for (;;) {
  const input = response.output.flatMap((item) => {
    if (item.type === 'mcp_approval_request')
      return [{ type: 'mcp_approval_response', approval_request_id: item.id, approve: true }];
    if (item.type !== 'function_call') return [];
    return [{ type: 'function_call_output', call_id: item.call_id, output: answer({ function: item }) }];
  });
  if (input.length === 0) break;
  response = await client.responses.create({ prompt, input, previous_response_id: response.id });
}
`;
  return `${nodeHead(baseUrl)}${outputs === null ? '' : nodeAnswer(outputs)}
const prompt = { id: ${json(assistantId)} };
const input = ${json(inputOf(messages))};

let response = await client.responses.create({ prompt, input });
${outputs === null ? '' : waits}console.log(response.output_text);
`;
}

/** Put together, so that nobody takes the import for one of this module. */
const ENVIRONMENT = ['process', 'env'].join('.');
const nodeHead = (baseUrl: string): string => `// npm install openai
import OpenAI from ${json('openai')};

const client = new OpenAI({ baseURL: ${json(baseUrl)}, apiKey: ${ENVIRONMENT}.${KEY} ?? 'none' });
`;

const nodeAnswer = (outputs: Readonly<Record<string, string>>): string => `
// What your program answers to calls of functions, and to calls that wait for an approval.
const outputs = ${json(outputs)};
function answer(call) {
  if (call.requires_approval) return '{"approve": true}';
  return outputs[call.function.name] ?? '{"ok": true}';
}
`;

function pythonAssistants({ baseUrl, assistantId, messages, outputs }: Sample): string {
  const waits = `while run.status == "requires_action":
    calls = run.required_action.submit_tool_outputs.tool_calls
    run = runs.submit_tool_outputs_and_poll(
        run.id,
        thread_id=thread.id,
        tool_outputs=[{"tool_call_id": call.id, "output": answer(call, call.function.name)} for call in calls],
    )
`;
  return `${pythonHead(baseUrl)}${outputs === null ? '' : pythonAnswer(outputs)}
messages = ${python(messages)}

runs = client.beta.threads.runs
thread = client.beta.threads.create(messages=messages)
run = runs.create_and_poll(thread.id, assistant_id=${python(assistantId)})
${outputs === null ? '' : waits}if run.status != "completed":
    raise SystemExit(run.last_error.message if run.last_error else run.status)

for message in client.beta.threads.messages.list(thread.id, run_id=run.id, order="asc"):
    for part in message.content:
        print(part.text.value if part.type == "text" else part)
`;
}

function pythonResponses({ baseUrl, assistantId, messages, outputs }: Sample): string {
  const waits = `
while True:
    input = []
    for item in response.output:
        if item.type == "mcp_approval_request":
            input.append({"type": "mcp_approval_response", "approval_request_id": item.id, "approve": True})
        elif item.type == "function_call":
            output = answer(item, item.name)
            input.append({"type": "function_call_output", "call_id": item.call_id, "output": output})
    if not input:
        break
    response = client.responses.create(prompt=prompt, input=input, previous_response_id=response.id)
`;
  return `${pythonHead(baseUrl)}${outputs === null ? '' : pythonAnswer(outputs)}
prompt = ${python({ id: assistantId })}
input = ${python(inputOf(messages))}

response = client.responses.create(prompt=prompt, input=input)
${outputs === null ? '' : waits}print(response.output_text)
`;
}

const pythonHead = (baseUrl: string): string => `# pip install openai
import os

from openai import OpenAI

client = OpenAI(base_url=${python(baseUrl)}, api_key=os.environ.get("${KEY}", "none"))
`;

const pythonAnswer = (outputs: Readonly<Record<string, string>>): string => `
# What your program answers to calls of functions, and to calls that wait for an approval.
outputs = ${python(outputs)}


def answer(call, name):
    if getattr(call, "requires_approval", False):
        return '{"approve": true}'
    return outputs.get(name, '{"ok": true}')

`;

/** The messages as the Responses API takes them. It knows no attachments: files for tools belong to a conversation there. */
function inputOf(messages: readonly SampleMessage[]): readonly object[] {
  return messages.map(({ role, content }) => {
    const texts = content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
    const isText = role === 'assistant' || texts.length === content.length;
    return { role, content: isText ? texts.join('\n') : content.map(inputPart) };
  });
}

function inputPart(part: SamplePart): object {
  switch (part.type) {
    case 'text':
      return { type: 'input_text', text: part.text };
    case 'image_file':
      return { type: 'input_image', file_id: part.image_file.file_id, detail: 'auto' };
    case 'image_url':
      return { type: 'input_image', image_url: part.image_url.url, detail: 'auto' };
  }
}

const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** A value of JSON as Python writes it: its strings are the same. */
function python(value: unknown, indent = ''): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return JSON.stringify(value);
  const deeper = `${indent}    `;
  const lines = Array.isArray(value)
    ? value.map((each: unknown) => python(each, deeper))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${python(each, deeper)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (lines.length === 0) return open + close;
  return `${open}\n${lines.map((line) => `${deeper}${line},\n`).join('')}${indent}${close}`;
}
