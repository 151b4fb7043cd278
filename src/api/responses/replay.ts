/**
 * The stream of a response whose log is gone: what is stored of it in as few frames as clients understand. Its numbers are not
 * those of the first reading.
 */
import { isTerminal, type RunState } from '../../runs/run.ts';
import { isRecord } from '../../runs/record.ts';
import { FrameWriter, sseFrame } from './frame-writer.ts';
import type { OutputItem } from './output.ts';
import { endOf, responseObject } from './response.ts';

/** All frames of a response that has ended. */
export function shortStream({ run, origin }: RunState, output: readonly OutputItem[]): string {
  if (!isTerminal(run)) throw new Error(`the log of run ${run.id} is gone before its end`);
  const writer = new FrameWriter(-1, sseFrame);
  const begun = { ...run, usage: null };
  const lifecycle = (type: string, items: readonly OutputItem[]): string =>
    writer.write(type, {
      response: responseObject(
        items === output ? run : begun,
        origin,
        items,
        items === output ? undefined : 'in_progress',
      ),
    });
  const frames = [lifecycle('response.created', []), lifecycle('response.in_progress', [])];
  for (const [index, item] of output.entries()) frames.push(itemFrames(writer, item, index));
  frames.push(lifecycle(endOf(run), output), writer.end());
  return frames.join('');
}

function itemFrames(writer: FrameWriter, item: OutputItem, index: number): string {
  const { content, ...rest } = item;
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  const opened = {
    ...rest,
    ...('status' in rest && { status: 'in_progress' }),
    ...(content !== undefined && { content: [] }),
  };
  const frames = [writer.write('response.output_item.added', { output_index: index, item: opened })];
  for (const [at, part] of parts.entries()) {
    if (isRecord(part))
      frames.push(partFrames(writer, { item_id: item.id, output_index: index, content_index: at }, part));
  }
  frames.push(writer.write('response.output_item.done', { output_index: index, item }));
  return frames.join('');
}

function partFrames(
  writer: FrameWriter,
  place: Readonly<Record<string, unknown>>,
  part: Readonly<Record<string, unknown>>,
): string {
  const { text } = part;
  const isMessage = part['type'] === 'output_text';
  const name = isMessage ? 'response.output_text' : 'response.reasoning_text';
  const logprobs = isMessage && { logprobs: [] };
  return [
    writer.write('response.content_part.added', { ...place, part: { ...part, text: '' } }),
    writer.write(`${name}.delta`, { ...place, delta: text, ...logprobs }),
    writer.write(`${name}.done`, { ...place, text, ...logprobs }),
    writer.write('response.content_part.done', { ...place, part }),
  ].join('');
}
