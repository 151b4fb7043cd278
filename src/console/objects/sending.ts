/** Sends one file. By XMLHttpRequest, because `fetch` does not say how far it is. */
import { ApiProblem, decoded } from '../api.ts';
import { say } from '../say.ts';
import type { App } from '../app.ts';
import type { StoredFile } from '../wire.ts';

interface Sending {
  readonly purpose: string;
  readonly signal: AbortSignal;
  /** @param part from 0 to 1 */
  readonly onProgress: (part: number) => void;
}

/** @throws {ApiProblem} when the server refuses it or does not answer; an AbortError when it was aborted */
export async function sendFile(app: App, file: File, sending: Sending): Promise<StoredFile> {
  const { purpose, signal, onProgress } = sending;
  const form = new FormData();
  // Before the file: what is wrong with it is told before the bytes are sent.
  form.append('purpose', purpose);
  form.append('file', file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${app.api.base}/files`);
    const { key } = app.session;
    if (key !== null) request.setRequestHeader('authorization', `Bearer ${key}`);
    request.upload.addEventListener('progress', ({ loaded, total }) =>
      onProgress(total > 0 ? loaded / total : 0),
    );
    request.addEventListener('load', () => {
      if (request.status === 200) resolve(decoded<StoredFile>(request.responseText));
      else reject(problemOf(request));
    });
    request.addEventListener('error', () => {
      reject(new ApiProblem(0, say('The server does not answer.', '服务器没有响应。')));
    });
    request.addEventListener('abort', () =>
      reject(new DOMException('The upload was stopped.', 'AbortError')),
    );
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

function problemOf({ status, responseText }: XMLHttpRequest): ApiProblem {
  try {
    const { error } = decoded<{ readonly error?: { readonly message?: unknown } }>(responseText);
    if (typeof error?.message === 'string') return new ApiProblem(status, error.message);
  } catch {
    // A proxy's page, perhaps.
  }
  return new ApiProblem(status, say(`The server answered ${status}.`, `服务器返回了 ${status}。`));
}
