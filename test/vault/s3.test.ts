/**
 * Bytes in S3: against versitygw, a real server of its protocol over a folder, where that is installed
 * (`go install github.com/versity/versitygw/cmd/versitygw@latest`). On other machines these tests are skipped, and say so.
 */
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { pino } from 'pino';
import { CannotStart } from '../../src/cannot-start.ts';
import { openVault } from '../../src/vault/open.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { findS3Server, S3Server } from '../support/s3-server.ts';
import { broken, testPromises } from './promises.ts';

const program = findS3Server();
const log = pino({ level: 'silent' });
const environment = { hasEndpoint: true, region: null };

describe.skipIf(program === null)('S3', () => {
  const server = new S3Server(program ?? '');
  let vault: Vault;
  let client: S3Client;
  beforeAll(async () => {
    await server.start();
    for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
    client = new S3Client({ forcePathStyle: true, region: 'us-east-1' });
    await client.send(new CreateBucketCommand({ Bucket: 'files' }));
    vault = await openVault('s3://files/long/run', environment, log);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.stop();
  });

  testPromises(() => vault);

  test('has no unfinished upload after one that broke off', async () => {
    await expect(vault.put('default/file-1', broken(Buffer.alloc(40 * 1024 * 1024)))).rejects.toThrow(
      'has gone',
    );
    const { Uploads: left = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'files' }));
    expect(left).toEqual([]);
  });

  test('is refused at the start where its bucket is missing or its key is wrong, with words', async () => {
    const missing = openVault('s3://nowhere', environment, log);
    await expect(missing).rejects.toThrow(CannotStart);
    await expect(missing).rejects.toThrow(/^FILES_URL: files cannot be kept at s3:\/\/nowhere: NoSuchBucket/);
    process.env['AWS_SECRET_ACCESS_KEY'] = 'another';
    const refused = openVault('s3://files', environment, log);
    await expect(refused).rejects.toThrow(
      /^FILES_URL: files cannot be kept at s3:\/\/files: SignatureDoesNotMatch/,
    );
    for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
  });

  test('that is away for now is waited for', async () => {
    process.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:1';
    await expect(openVault('s3://files', environment, log)).resolves.toBeDefined();
    for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
  });
});
