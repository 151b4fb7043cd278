/** code_interpreter end to end, where this machine can run code: logs, pictures, files, and what comes of a server that cannot. */
import OpenAI, { toFile } from 'openai';
import { describe, expect, test, vi } from 'vitest';
import { options } from '../sandbox/options.ts';
import { hasBubblewrap } from '../sandbox/sandbox.ts';
import { HURRIED, withSharedService } from '../support/shared-service.ts';
import { calls, says } from '../support/upstream.ts';

// The packages are set up once on a machine, which takes a minute or two.
vi.setConfig({ testTimeout: 400_000 });

const canRun = await hasBubblewrap();

/** Some text that has this in it. */
const containing = (text: string): unknown => expect.stringContaining(text);

describe.skipIf(!canRun)('a run with code_interpreter', () => {
  const { upstream, service } = withSharedService({
    CODE_FOLDER: options().codeFolder,
    POLL_AFTER_MS: '20',
  });
  const client = (): OpenAI => new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });

  const CODE = `import pandas as pd
import matplotlib.pyplot as plt
frame = pd.read_csv('/mnt/data/sales.csv')
print(frame['amount'].sum())
frame.plot(x='month', y='amount')
plt.show()
frame.describe().to_csv('/mnt/data/out.csv')
`;

  /** Shows A-HOSTED-05, A-HOSTED-12, A-HOSTED-13, A-HOSTED-14. */
  test('reads an attached table, streams what it prints and draws, and hands out the files that it made', async () => {
    const csv = await client().files.create({
      file: await toFile(Buffer.from('month,amount\n1,20\n2,22\n'), 'sales.csv'),
      purpose: 'assistants',
    });
    const assistant = await client().beta.assistants.create({
      model: 'm',
      tools: [{ type: 'code_interpreter' }],
    });
    expect(assistant.tool_resources).toStrictEqual({ code_interpreter: { file_ids: [] } });
    const thread = await client().beta.threads.create({
      messages: [
        {
          role: 'user',
          content: 'What is the sum?',
          attachments: [{ file_id: csv.id, tools: [{ type: 'code_interpreter' }] }],
        },
      ],
    });
    expect(thread.tool_resources?.code_interpreter?.file_ids).toStrictEqual([csv.id]);
    let told = '';
    upstream.reply(({ body: { messages } }) => {
      const last = messages.at(-1);
      if (last?.role !== 'tool') return calls([{ name: 'code_interpreter', arguments: { code: CODE } }]);
      told = JSON.stringify(last.content);
      return says('The sum is 42. See [the table](sandbox:/mnt/data/out.csv).');
    });
    const said = { code: '', logs: '', images: 0 };
    const stream = client().beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
    stream.on('toolCallDelta', (delta) => {
      if (delta.type !== 'code_interpreter') return;
      said.code += delta.code_interpreter?.input ?? '';
      for (const output of delta.code_interpreter?.outputs ?? []) {
        if (output.type === 'logs') said.logs += output.logs ?? '';
        else said.images += 1;
      }
    });
    const run = await stream.finalRun();
    expect(run.status).toBe('completed');
    expect(said).toStrictEqual({ code: CODE, logs: containing('42'), images: 1 });
    expect(told).toContain('42');
    const [message] = (await client().beta.threads.messages.list(thread.id)).data;
    const [picture, text] = message?.content ?? [];
    expect(picture).toMatchObject({ type: 'image_file' });
    const image = picture?.type === 'image_file' ? picture.image_file.file_id : '';
    const png = Buffer.from(await (await client().files.content(image)).arrayBuffer());
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    const marks = text?.type === 'text' ? text.text.annotations : [];
    expect(marks).toMatchObject([{ type: 'file_path', text: 'sandbox:/mnt/data/out.csv' }]);
    const made = marks[0]?.type === 'file_path' ? marks[0].file_path.file_id : '';
    expect(await (await client().files.content(made)).text()).toContain('count');
    expect(await client().files.retrieve(made)).toMatchObject({
      filename: 'out.csv',
      purpose: 'assistants_output',
    });
    const after = await client().beta.threads.retrieve(thread.id);
    expect(after.tool_resources?.code_interpreter?.file_ids).toContain(made);
  });

  test('keeps variables from call to call of a run, and shows tracebacks to the model', async () => {
    const assistant = await client().beta.assistants.create({
      model: 'm',
      tools: [{ type: 'code_interpreter' }],
    });
    const told: string[] = [];
    const codes = ['x = 6', 'print(x * 7)', 'print(unknown)'];
    upstream.reply(({ body: { messages } }) => {
      const last = messages.at(-1);
      if (last?.role === 'tool') told.push(JSON.stringify(last.content));
      const code = codes[told.length];
      return code === undefined ? says('Done.') : calls([{ name: 'code_interpreter', arguments: { code } }]);
    });
    const run = await client().beta.threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: { messages: [{ role: 'user', content: 'Compute.' }] },
    });
    expect(run.status).toBe('completed');
    expect(told).toStrictEqual([containing('no output'), containing('42'), containing('NameError')]);
  });
});

describe('a server that runs no code', () => {
  const { upstream, service } = withSharedService(HURRIED);

  /** Shows A-HOSTED-15. */
  test('fails the run, and says why', async () => {
    const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: 'none', maxRetries: 0 });
    const assistant = await openai.beta.assistants.create({
      model: 'm',
      tools: [{ type: 'code_interpreter' }],
    });
    upstream.reply(() => calls([{ name: 'code_interpreter', arguments: { code: 'print(1)' } }]));
    const run = await openai.beta.threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: { messages: [{ role: 'user', content: 'Compute.' }] },
    });
    expect(run).toMatchObject({
      status: 'failed',
      last_error: { code: 'server_error', message: containing('CODE_SANDBOX') },
    });
  });
});
