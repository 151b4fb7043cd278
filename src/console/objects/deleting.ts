/** Deleting objects, and saying what became of it. */
import { isMissing, type Api } from '../api.ts';
import { wordsOf, type App } from '../app.ts';
import { say } from '../say.ts';
import { count } from '../views.ts';

export interface Progress {
  readonly done: number;
  readonly of: number;
}

export interface Outcome {
  readonly deleted: string[];
  /** Those that somebody else had deleted. */
  readonly gone: string[];
  readonly failed: { readonly id: string; readonly words: string }[];
}

/** Requests at a time. */
const AT_A_TIME = 4;

/** Deletes objects of one path; one that cannot be deleted does not keep the others. */
export async function deleteAll(
  api: Api,
  path: string,
  ids: readonly string[],
  onProgress: (progress: Progress) => void,
): Promise<Outcome> {
  const outcome: Outcome = { deleted: [], gone: [], failed: [] };
  const waiting = [...ids];
  let done = 0;
  const work = async (): Promise<void> => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      try {
        await api.delete(`${path}/${encodeURIComponent(id)}`);
        outcome.deleted.push(id);
      } catch (error) {
        if (isMissing(error)) outcome.gone.push(id);
        else outcome.failed.push({ id, words: wordsOf(error) });
      }
      done += 1;
      onProgress({ done, of: ids.length });
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return outcome;
}

export function tellOutcome(app: App, { deleted, gone, failed }: Outcome): void {
  const parts = [
    ...(deleted.length > 0
      ? [say(`Deleted: ${count(deleted.length)}.`, `已删除 ${count(deleted.length)} 项。`)]
      : []),
    ...(gone.length > 0
      ? [
          say(
            `Somebody had already deleted ${count(gone.length)}.`,
            `其中 ${count(gone.length)} 项此前已被删除。`,
          ),
        ]
      : []),
    ...(failed[0] === undefined
      ? []
      : [
          say(
            `Not deleted: ${count(failed.length)}. ${failed[0].words}`,
            `未能删除 ${count(failed.length)} 项。${failed[0].words}`,
          ),
        ]),
  ];
  app.tell(parts.join(' '), failed.length > 0);
}

/**
 * Deletes one object after a question.
 * @returns whether it is gone, by whomever
 */
export async function deleteOne(app: App, path: string, question: string, words: string): Promise<boolean> {
  if (!(await app.ask(question, words))) return false;
  try {
    await app.api.delete(path);
    app.tell(say('Deleted.', '已删除。'));
    return true;
  } catch (error) {
    if (isMissing(error)) app.tell(say('Somebody had already deleted it.', '此前已被删除。'));
    else app.tell(wordsOf(error), true);
    return isMissing(error);
  }
}
