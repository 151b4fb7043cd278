/** What the form of an assistant says, as the API takes it. */
import { decoded } from '../api.ts';
import { textIn } from '../forms.ts';
import { say } from '../say.ts';
import type { Assistant, Metadata, Tool } from '../wire.ts';

/** Something in a form that cannot be sent. Its message says what, and where. */
export class FormProblem extends Error {}

/**
 * The body of a request that makes or changes an assistant.
 * @param before the assistant as it was
 * @throws {FormProblem} for text that should be JSON and is not
 */
export function assistantBody(form: FormData, before: Assistant | null): object {
  const store = textIn(form, 'vector_store');
  const files = before?.tool_resources.code_interpreter?.file_ids;
  return {
    name: textIn(form, 'name').trim() || null,
    description: textIn(form, 'description').trim() || null,
    model: textIn(form, 'model').trim(),
    instructions: textIn(form, 'instructions') || null,
    tools: toolsIn(form, before),
    tool_resources: {
      ...(files !== undefined && { code_interpreter: { file_ids: files } }),
      file_search: { vector_store_ids: store === '' ? [] : [store] },
    },
    metadata: metadataIn(form, before),
    temperature: numberIn(form, 'temperature'),
    top_p: numberIn(form, 'top_p'),
    reasoning_effort: textIn(form, 'reasoning_effort') || null,
    response_format: formatIn(form),
  };
}

function toolsIn(form: FormData, before: Assistant | null): readonly Tool[] {
  // A hosted tool may have settings of its own, which the form does not show.
  const hosted = (type: 'code_interpreter' | 'file_search'): readonly Tool[] =>
    form.get(type) === 'on' ? [before?.tools.find((tool) => tool.type === type) ?? { type }] : [];
  const functions = textsIn(form, 'function').map((text, index): Tool => {
    const value = objectIn(text, say(`Function ${index + 1}`, `函数 ${index + 1}`));
    // As the SDKs take it, with its wrapping, or without.
    const own = 'function' in value ? value.function : value;
    if (!isNamed(own))
      throw new FormProblem(say(`Function ${index + 1} needs a name.`, `函数 ${index + 1} 需要 name。`));
    return { type: 'function', function: own };
  });
  return [...hosted('code_interpreter'), ...hosted('file_search'), ...functions];
}

function metadataIn(form: FormData, before: Assistant | null): Metadata {
  const others = objectIn(textIn(form, 'metadata') || '{}', say('The metadata', '元数据'));
  const chosen = textsIn(form, 'plugin');
  const asks = textsIn(form, 'approve');
  const askedAll =
    before?.metadata['approve']?.trim() === 'true' && chosen.every((name) => asks.includes(name));
  const approve = askedAll ? 'true' : asks.join(',');
  return {
    ...Object.fromEntries(Object.entries(others).map(([name, value]) => [name, String(value)])),
    ...(chosen.length > 0 && { auto_tools: chosen.join(',') }),
    ...(approve !== '' && { approve }),
  };
}

const textsIn = (form: FormData, name: string): readonly string[] =>
  form.getAll(name).filter((value) => typeof value === 'string');

function numberIn(form: FormData, name: string): number | null {
  const text = textIn(form, name).trim();
  return text === '' ? null : Number(text);
}

function formatIn(form: FormData): unknown {
  const text = textIn(form, 'response_format').trim();
  return text === '' || text === 'auto' ? 'auto' : objectIn(text, say('The form of the answer', '回答格式'));
}

function objectIn(text: string, where: string): object {
  let value: unknown;
  try {
    value = decoded<unknown>(text);
  } catch (error) {
    throw new FormProblem(
      say(`${where} is no JSON: ${String(error)}`, `${where}不是 JSON：${String(error)}`),
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FormProblem(say(`${where} must be a JSON object.`, `${where}必须是 JSON 对象。`));
  return value;
}

function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}
