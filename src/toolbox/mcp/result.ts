/** The result of an MCP tool for the model: data or text. Pictures and other binary parts are only named. */
import type { CallToolResult, ContentBlock, EmbeddedResource } from '@modelcontextprotocol/client';
import { quote } from './broken.ts';

/** Enough for a list of what is wrong with the arguments. */
const MAX_ERROR_CHARS = 4_000;

/** The structured content where there is some, otherwise the parts as text, one after another. */
export function outputOf(result: CallToolResult): unknown {
  return result.structuredContent ?? textOf(result);
}

/** The tool's reason for its failure. */
export function errorText(result: CallToolResult): string {
  const text = textOf(result).slice(0, MAX_ERROR_CHARS).toWellFormed();
  return text === '' ? 'The tool failed without saying why.' : text;
}

function textOf(result: CallToolResult): string {
  return result.content.map(partText).join('\n');
}

function partText(part: ContentBlock): string {
  switch (part.type) {
    case 'text':
      return part.text;
    case 'image':
    case 'audio':
      return leftOut(part.mimeType, part.data);
    case 'resource':
      return resourceText(part.resource);
    case 'resource_link':
      return `[${quote(part.title ?? part.name)}: ${quote(part.uri)}]`;
  }
}

function resourceText(resource: EmbeddedResource['resource']): string {
  if ('text' in resource) return resource.text;
  return leftOut(resource.mimeType ?? 'application/octet-stream', resource.blob);
}

function leftOut(mimeType: string, base64: string): string {
  const bytes = Buffer.byteLength(base64, 'base64');
  return `[${quote(mimeType)}, ${bytes.toLocaleString('en')} bytes left out]`;
}
