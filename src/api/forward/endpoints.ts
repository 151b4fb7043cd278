/**
 * Endpoints that the model server answers: requests go to the one that the model's name leads to, and its answers come back,
 * both as they are and as they come. Ours are the key, the limits, the model's name where it has another one there, and the
 * words of refusals.
 */
import { performance } from 'node:perf_hooks';
import type { Request } from 'express';
import { z } from 'zod';
import { ApiError, echo, notJson } from '../../errors.ts';
import { isUnavailable } from '../../store/away.ts';
import { findAgent } from '../../turns/agent.ts';
import type { Call } from '../http/call.ts';
import type { Answer, Endpoint } from '../http/endpoint.ts';
import { parseJson } from '../http/json-text.ts';
import type { TargetServer, Services } from '../http/services.ts';
import { validate } from '../http/validate.ts';
import { FormBody } from './form-body.ts';
import { MAX_MODEL_BYTES } from './form.ts';
import { withModel } from './json-model.ts';
import { closedWell } from './stream-end.ts';

/** Endpoints that take JSON, and those that take a form with a file as well. */
const JSON_PATHS = [
  '/embeddings',
  '/completions',
  '/moderations',
  '/rerank',
  '/audio/speech',
  '/images/generations',
];
const FORM_PATHS = ['/audio/transcriptions', '/audio/translations', '/images/edits', '/images/variations'];

const FORM = /^\s*multipart\/form-data\b/i;
const FORM_PATH = new RegExp(`(?:${FORM_PATHS.join('|')})/?$`, 'i');

const fields = z.looseObject({ model: z.string().max(MAX_MODEL_BYTES).nullish() });

/** The settings of these endpoints. */
export interface ForwardSettings {
  /** A JSON body, and what is held of a form while its model is looked for. */
  readonly bodyLimitBytes: number;
  /** A form. */
  readonly uploadLimitBytes: number;
}

/** Whether a request brings a form that is passed on as it comes. */
export function isForm(request: Request): boolean {
  return FORM_PATH.test(request.path) && FORM.test(request.get('content-type') ?? '');
}

export function forwardEndpoints(services: Services, settings: ForwardSettings): readonly Endpoint[] {
  return [...JSON_PATHS, ...FORM_PATHS].map((path): Endpoint => ({
    method: 'POST',
    path,
    // It is passed on again: the answers, of any size, are not kept.
    repeatsItself: true,
    handle: async (call) => {
      services.admission.admitForwarded(call.gone);
      const isForm = FORM_PATHS.includes(path) && FORM.test(call.header('content-type') ?? '');
      const body = isForm ? await formOf(services, settings, path, call) : await jsonOf(services, path, call);
      return pass(services, path, call, body);
    },
  }));
}

/** A body on its way, and where it goes. */
interface ForwardBody {
  readonly to: TargetServer;
  readonly contentType: string;
  readonly bytes: Buffer<ArrayBuffer> | AsyncIterable<Buffer>;
  readonly length: number | null;
}

async function jsonOf(services: Services, path: string, call: Call): Promise<ForwardBody> {
  // Lists of token ids have more values than any other body.
  const text = call.text.replace(/^\uFEFF/, '').trim() || '{}';
  const given = parseJson(text, Infinity);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw notJson('It is no object.');
  const { model: own } = validate(fields, given, false);
  const imposed = imposedOn(call);
  const model = imposed ?? own ?? '';
  const to = services.forwarding.to(model, call.upstreamKey);
  await refuseAgent(services, path, call, to, model);
  const name = to.nameOf(model);
  const bytes = Buffer.from(name === (own ?? '') ? text : withModel(text, name));
  return { to, contentType: 'application/json', bytes, length: bytes.length };
}

async function formOf(
  services: Services,
  { bodyLimitBytes, uploadLimitBytes }: ForwardSettings,
  path: string,
  call: Call,
): Promise<ForwardBody> {
  const { forwarding } = services;
  const imposed = imposedOn(call);
  if ((call.header('content-encoding') ?? 'identity').toLowerCase() !== 'identity') {
    throw new ApiError(415, 'Send the form as it is, without a Content-Encoding.', { code: 'unsupported' });
  }
  const contentType = call.header('content-type') ?? '';
  const form = new FormBody(call.chunks(uploadLimitBytes), contentType, (bytes) => call.hold(bytes));
  // Without a choice between servers, nothing has to wait for the model's name.
  const holdsFiles = imposed === null && !forwarding.isSingle;
  const found = await form.findModel(holdsFiles, bodyLimitBytes);
  const model = imposed ?? found ?? '';
  const to = forwarding.to(model, call.upstreamKey);
  await refuseAgent(services, path, call, to, model);
  const rename = async (own: string): Promise<string> => {
    if (imposed === null && own !== found) await refuseAgent(services, path, call, to, own);
    return to.nameOf(imposed ?? own);
  };
  const declared = Number(call.header('content-length'));
  return {
    to,
    contentType,
    bytes: form.renamed(rename, imposed === null ? null : to.nameOf(imposed)),
    length: Number.isNaN(declared) ? null : form.lengthRenamed(declared, { imposed, found, to }),
  };
}

/** The model that the path names: a deployment. */
function imposedOn(call: Call): string | null {
  const model = call.imposed('model');
  return typeof model === 'string' ? model : null;
}

/**
 * Refuses assistants, which no model server knows. A name that the configuration lists is a model's.
 * @throws {ApiError} 400
 */
async function refuseAgent(
  services: Services,
  path: string,
  call: Call,
  to: TargetServer,
  model: string,
): Promise<void> {
  if (model === '' || to.lists(model)) return;
  const name = model.replace(/^<(.*)>$/, '$1');
  if (name.startsWith('asst_')) throw notAModel(name, path);
  try {
    if ((await findAgent(services, call.project, name)) !== null) throw notAModel(name, path);
  } catch (error) {
    // Model servers answer without our storage.
    if (!isUnavailable(error)) throw error;
  }
}

function notAModel(name: string, path: string): ApiError {
  const message = `'${echo(name)}' is an assistant, and '${path}' is answered by a model server, which has no assistants. Name a model: GET /v1/models lists them.`;
  return new ApiError(400, message, { param: 'model', code: 'not_a_model' });
}

/** Passes a request on, and counts and logs how it goes. */
async function pass(
  { figures }: Services,
  path: string,
  call: Call,
  { to, contentType, bytes, length }: ForwardBody,
): Promise<Answer> {
  const { upstream } = to;
  const startedMs = performance.now();
  const tally = { sent: 0, received: 0 };
  const labels = { route: path, upstream };
  const log = call.log.child(labels);
  const ended = (status: number): void => {
    figures.forwarded.add({ ...labels, status: String(status) });
    for (const [direction, count] of Object.entries(tally))
      figures.forwardedBytes.add({ ...labels, direction }, count);
    const took = Math.round(performance.now() - startedMs);
    log.info({ status, bytes_sent: tally.sent, bytes_received: tally.received, ms: took }, 'forwarded');
  };
  const statusOf = (error: unknown): number => {
    if (call.gone.aborted) return 499;
    return error instanceof ApiError ? error.status : 500;
  };
  try {
    const isWhole = Buffer.isBuffer(bytes);
    if (isWhole) tally.sent = bytes.length;
    const answer = await to.send({
      path,
      contentType,
      accept: call.header('accept') ?? null,
      body: isWhole ? bytes : counted(bytes, (count) => (tally.sent += count)),
      length,
      gone: call.gone,
    });
    const { status, headers } = answer;
    const chunks = counted(answer.chunks, (count) => (tally.received += count));
    return { type: 'bytes', status, headers, chunks: closedWell(watched(chunks, status), headers) };
  } catch (error) {
    ended(statusOf(error));
    throw error;
  }

  async function* watched(
    chunks: AsyncIterable<Uint8Array>,
    status: number,
  ): AsyncGenerator<Uint8Array, void> {
    let end = 499;
    try {
      yield* chunks;
      end = status;
    } catch (error) {
      end = statusOf(error);
      if (end !== 499) log.warn({ err: error }, 'a forwarded answer broke off');
      throw error;
    } finally {
      ended(end);
    }
  }
}

async function* counted<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  count: (bytes: number) => void,
): AsyncGenerator<T, void> {
  for await (const chunk of chunks) {
    count(chunk.byteLength);
    yield chunk;
  }
}
