/** Opens the vault that the settings name: a folder, or a bucket of S3 (`s3://bucket/prefix`). */
import { resolve } from 'node:path';
import { CannotStart } from '../cannot-start.ts';
import type { Logger } from '../log.ts';
import { FolderVault } from './folder.ts';
import type { S3Place } from './s3.ts';
import type { Vault } from './vault.ts';

const S3 = 's3://';

/** What of the environment decides how S3 is spoken to, beyond what its client reads itself. */
export interface S3Environment {
  /** A server other than AWS: its buckets are in the path, since few names lead to it. */
  readonly hasEndpoint: boolean;
  readonly region: string | null;
}

/** Whether the bytes lie in a folder, so that every machine has to have the same one. */
export function isFolder(filesUrl: string): boolean {
  return !filesUrl.startsWith(S3);
}

/** @throws {CannotStart} where the place cannot be used, saying why and what to do. */
export async function openVault(filesUrl: string, environment: S3Environment, log: Logger): Promise<Vault> {
  return isFolder(filesUrl) ? openFolder(filesUrl) : openS3(filesUrl, environment, log);
}

async function openFolder(path: string): Promise<Vault> {
  const vault = new FolderVault(resolve(path));
  try {
    await vault.prepare();
  } catch (error) {
    throw new CannotStart(
      `FILES_URL: files cannot be kept in the folder '${path}': ${reasonOf(error)}. Name a folder that this process may write, or s3://bucket/prefix.`,
    );
  }
  return vault;
}

async function openS3(filesUrl: string, { hasEndpoint, region }: S3Environment, log: Logger): Promise<Vault> {
  const { S3Vault } = await import('./s3.ts');
  // Other servers take any region; AWS needs the right one, and its client says what is missing.
  const known = region ?? (hasEndpoint ? 'us-east-1' : null);
  const vault = new S3Vault(placeOf(filesUrl), {
    forcePathStyle: hasEndpoint,
    ...(known !== null && { region: known }),
  });
  try {
    await vault.prepare();
  } catch (error) {
    // It may be back before anybody asks for a file.
    if (mayPass(error))
      log.warn({ err: error }, 'S3 does not answer; files cannot be read and kept until it does');
    else
      throw new CannotStart(
        `FILES_URL: files cannot be kept at ${filesUrl}: ${reasonOf(error)}. Check the bucket's name, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL.`,
      );
  }
  return vault;
}

function placeOf(filesUrl: string): S3Place {
  const [bucket = '', ...folders] = filesUrl.slice(S3.length).split('/').filter(Boolean);
  return { bucket, prefix: folders.map((folder) => `${folder}/`).join('') };
}

/** A server that cannot be reached, or has trouble of its own. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const answer: unknown = '$metadata' in error ? error.$metadata : null;
  const status: unknown =
    typeof answer === 'object' && answer !== null && 'httpStatusCode' in answer
      ? answer.httpStatusCode
      : null;
  if (typeof status === 'number') return status >= 500 || status === 429;
  return 'code' in error && typeof error.code === 'string' && /^E[A-Z]+$/.test(error.code);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.message.replace(/\.$/, '');
  return text === '' || text === 'UnknownError' ? error.name : `${error.name}: ${text}`;
}
