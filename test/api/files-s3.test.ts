/** Files in S3: what one API process takes, another one gives, and a worker shows to the model. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { findS3Server, S3Server } from '../support/s3-server.ts';
import { startService } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

const program = findS3Server();
const idSchema = z.looseObject({ id: z.string() });

describe.skipIf(program === null)('with S3', () => {
  test('every process finds every file', async () => {
    const server = new S3Server(program ?? '');
    await server.start();
    onTestFinished(async () => server.stop());
    const {
      AWS_ENDPOINT_URL: endpoint = '',
      AWS_ACCESS_KEY_ID = '',
      AWS_SECRET_ACCESS_KEY = '',
    } = server.env;
    const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
    const client = new S3Client({ endpoint, credentials, forcePathStyle: true, region: 'us-east-1' });
    await client.send(new CreateBucketCommand({ Bucket: 'files' }));
    const upstream = new FakeUpstream();
    await upstream.listen();
    onTestFinished(async () => upstream.stop());
    const env = { ...server.env, FILES_URL: 's3://files/longrun' };
    const service = await startService({ redisUrl: inject('redisUrl'), upstream, apis: 2, env });
    onTestFinished(async () => service.stop());
    const [one = '', two = ''] = service.origins;

    const bytes = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), randomBytes(9_000_000)]);
    const body = new FormData();
    body.set('purpose', 'vision');
    body.set('file', new Blob([bytes]), 'a.png');
    const uploaded = await fetch(`${one}/v1/files`, { method: 'POST', body });
    const { id } = idSchema.parse(await uploaded.json());
    const content = await fetch(`${two}/v1/files/${id}/content`);
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(`${two}/v1/files/${id}/content`, {
      headers: { range: 'bytes=8999998-9000007' },
    });
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(8_999_998, 9_000_008))).toBe(true);

    const wire = new Wire(`${two}/v1`);
    const assistant = await wire.ok('POST', '/assistants', { model: 'm' });
    const said = { role: 'user', content: [{ type: 'image_file', image_file: { file_id: id } }] };
    const thread = await wire.ok('POST', '/threads', { messages: [said] });
    const run = await wire.play(thread.id, { assistant_id: assistant.id });
    expect(run).toMatchObject({ status: 'completed' });
    const sent = JSON.stringify(upstream.requests.at(-1)?.body.messages);
    expect(sent).toContain(`data:image/png;base64,${bytes.toString('base64').slice(0, 100)}`);

    await wire.ok('DELETE', `/files/${id}`);
    expect((await fetch(`${one}/v1/files/${id}/content`)).status).toBe(404);
  });
});
