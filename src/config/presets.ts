/**
 * What is known about families of model servers, so that an address is enough to use them. As of 2026-11-26: what their
 * documents are known to say [d], public issues in which they refuse something [i], and answers of servers of our own [m];
 * no provider was asked. An operator's own settings win over them, and refusals over both. Pure.
 */

import type { Saying } from './saying.ts';

/** A family of model servers. */
export interface Preset {
  readonly settings: Saying;
  /** Names of hosts; one that begins with a dot, a dash or a colon is the end of a name, or a port. */
  readonly hosts?: readonly string[];
  /** What `owned_by` says in its list of models. */
  readonly ownedBy?: string;
  /** The header that carries the key, in place of `authorization`. */
  readonly keyHeader?: string;
  /** For addresses that have `path` in them. */
  readonly query?: { readonly path: string; readonly values: Readonly<Record<string, string>> };
  /** Models of the same server that differ, by the beginning of their names. */
  readonly models?: { readonly pattern: RegExp; readonly preset: string };
}

const REASONING: Saying = {
  maxTokensField: 'max_completion_tokens',
  streamOptions: true,
  // Refused whatever its value [i].
  parallelToolCalls: false,
  omit: ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'logit_bias'],
};
const OPENAI: Saying = { maxTokensField: 'max_completion_tokens', streamOptions: true };
/** Later models of the family, `gpt-5.1` and the chat models among them, take a temperature under some conditions [d]. */
const OPENAI_REASONING = {
  pattern: /^(?:o\d|gpt-5(?:-mini|-nano|-pro|-codex)?(?:-\d{4}|$))/,
  preset: 'openai-reasoning',
};
const KIMI: Preset = {
  hosts: ['api.moonshot.ai', 'api.moonshot.cn', 'api.kimi.com'],
  // Its ids, `functions.name:0`, are part of its template; thinking models want their thoughts back [d, i].
  settings: {
    streamOptions: true,
    parallelToolCalls: false,
    callIds: 'own',
    thoughts: 'fill',
  },
};
const QWEN: Preset = {
  hosts: ['dashscope.aliyuncs.com', 'dashscope-intl.aliyuncs.com', 'dashscope-us.aliyuncs.com'],
  settings: { streamOptions: true },
};
/** Servers that one runs oneself and that take OpenAI's fields without looking at those they do not know [m]. */
const OWN: Saying = { streamOptions: true };

const TABLE = {
  openai: { hosts: ['api.openai.com', '.api.openai.com'], settings: OPENAI, models: OPENAI_REASONING },
  'openai-reasoning': { settings: REASONING },
  azure: {
    hosts: ['.openai.azure.com', '.cognitiveservices.azure.com', '.services.ai.azure.com'],
    keyHeader: 'api-key',
    // The addresses of deployments demand a version; `/openai/v1` does not [d].
    query: { path: '/deployments/', values: { 'api-version': '2024-10-21' } },
    settings: OPENAI,
    models: OPENAI_REASONING,
  },
  gemini: {
    hosts: ['generativelanguage.googleapis.com', 'aiplatform.googleapis.com', '-aiplatform.googleapis.com'],
    // Unknown fields are refused, one by one or several at a time [i].
    settings: {
      streamOptions: true,
      parallelToolCalls: false,
      strict: false,
      signatures: 'fill',
    },
  },
  deepseek: {
    hosts: ['api.deepseek.com'],
    // Thinking models refuse calls without their thoughts, and all of them pictures [i].
    settings: {
      streamOptions: true,
      parallelToolCalls: false,
      strict: false,
      thoughts: 'fill',
      images: false,
    },
  },
  kimi: KIMI,
  moonshot: KIMI,
  openrouter: {
    hosts: ['openrouter.ai'],
    settings: { streamOptions: true },
  },
  mistral: {
    hosts: ['api.mistral.ai', 'codestral.mistral.ai'],
    // Says the usage unasked, knows no `stream_options`, and refuses thoughts in messages [d, i].
    settings: { streamOptions: false, thoughts: 'drop', callIds: 'nine' },
  },
  fireworks: {
    hosts: ['api.fireworks.ai'],
    // Says the usage unasked, and has refused these three as extra inputs [i].
    settings: { streamOptions: false, parallelToolCalls: false, strict: false },
  },
  groq: {
    hosts: ['api.groq.com'],
    // Its documents name the two fields as refused [d]; thoughts in messages are refused as well [i].
    settings: {
      maxTokensField: 'max_completion_tokens',
      streamOptions: true,
      thoughts: 'drop',
      omit: ['messages.name', 'logit_bias'],
    },
  },
  together: {
    hosts: ['api.together.xyz', 'api.together.ai'],
    settings: {},
  },
  xai: {
    hosts: ['api.x.ai', '.api.x.ai'],
    settings: { maxTokensField: 'max_completion_tokens', streamOptions: true },
  },
  dashscope: QWEN,
  qwen: QWEN,
  anthropic: {
    hosts: ['api.anthropic.com'],
    // Its layer for OpenAI's clients ignores what it does not know [d].
    settings: { streamOptions: true, thoughts: 'drop' },
  },
  ollama: {
    hosts: ['ollama.com', ':11434'],
    ownedBy: 'library',
    // Ignores `max_completion_tokens`, and with it every cap [m].
    settings: { ...OWN, parallelToolCalls: false, strict: false },
  },
  llamacpp: { ownedBy: 'llamacpp', settings: OWN },
  vllm: { ownedBy: 'vllm', settings: OWN },
  sglang: { ownedBy: 'sglang', settings: OWN },
  lmstudio: { ownedBy: 'organization_owner', settings: OWN },
  // Says the usage unasked, and warns about every field that it ignores [m].
  transformers: {
    settings: { streamOptions: false, parallelToolCalls: false, strict: false },
  },
  // Longrun's demo model, and that of many test suites.
  aimock: { ownedBy: 'aimock', settings: OWN },
  litellm: { settings: OWN },
  portkey: { hosts: ['api.portkey.ai'], settings: {} },
} satisfies Readonly<Record<string, Preset>>;

/** Name → family. */
export const PRESETS: Readonly<Record<string, Preset>> = TABLE;

/** The names that `preset` may have. */
export const PRESET_NAMES: readonly string[] = Object.keys(TABLE);

/** The family of the server at `baseUrl`, as its host says; undefined where no family has that host. */
export function presetOfHost(baseUrl: string): string | undefined {
  const { hostname, host } = new URL(baseUrl);
  return PRESET_NAMES.find((name) =>
    (PRESETS[name]?.hosts ?? []).some((known) => {
      if (known.startsWith(':')) return host.endsWith(known);
      return /^[.-]/.test(known) ? hostname.endsWith(known) : hostname === known;
    }),
  );
}
