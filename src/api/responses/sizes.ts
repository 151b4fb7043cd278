/** How large the input of a response, and the items of a conversation, may be. */
import { ApiError } from '../../errors.ts';
import type { StoredItem } from '../../runs/items.ts';
import type { Message } from '../../runs/thread.ts';
import { checkMessages, jsonBytes } from '../../turns/budgets.ts';
import type { Services } from '../http/services.ts';

type Line = readonly (Message | StoredItem)[];

/**
 * @param list what the request calls its items
 * @throws {ApiError} 400 for the first item that is larger than a message may be.
 */
export function checkSizes(
  { settings }: Pick<Services, 'settings'>,
  line: Line,
  list: 'input' | 'items',
): void {
  const { messageLimitBytes } = settings;
  const messages = line.map((each) => (each.object === 'thread.message' ? each : { content: [] }));
  checkMessages(messages, (at) => `${list}[${at}].content`, messageLimitBytes);
  for (const [at, each] of line.entries()) {
    const bytes = each.object === 'thread.item' ? jsonBytes(each.item) + jsonBytes(each.approves ?? '') : 0;
    if (bytes <= messageLimitBytes) continue;
    const param = `${list}[${at}]`;
    const text = `Invalid '${param}': item too large. An item may have ${messageLimitBytes} bytes on this server, but this one has ${bytes}. Send less, or ask its operator to raise MESSAGE_LIMIT_BYTES.`;
    throw new ApiError(400, text, { param, code: 'message_too_large' });
  }
}

/** What is stored of items, in bytes: more than the request has where it names others by their ids. */
export const lineBytes = (line: Line): number => line.reduce((sum, each) => sum + jsonBytes(each), 0);

/** More than one prompt may have. */
export function inputTooLarge(param: string, { promptLimitBytes }: Services['settings']): ApiError {
  const text = `Invalid '${param}': input too large. With the items that it names or continues it may have ${promptLimitBytes} bytes on this server. Send less, or ask its operator to raise PROMPT_LIMIT_BYTES.`;
  return new ApiError(400, text, { param, code: 'input_too_large' });
}
