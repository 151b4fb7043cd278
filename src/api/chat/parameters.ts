/**
 * Which fields of a chat request go on to the model server. Programs say to `/v1/chat/completions` what they would say
 * to the model server itself, so there everything goes on that has no meaning here. Devices and voice engines add fields
 * of their own, which are private and which strict servers would refuse; from them only known parameters of model
 * servers go on.
 */
import { isRecord } from '../../runs/record.ts';

/**
 * OpenAI's parameters that only the model server understands, and those that a run's request leaves out when they are 1.
 */
export const PASSED_ON = [
  'temperature',
  'top_p',
  'stop',
  'seed',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'frequency_penalty',
  'presence_penalty',
  'prediction',
  'service_tier',
  'verbosity',
  'web_search_options',
  'user',
  'store',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'safety_identifier',
  'moderation',
  'modalities',
] as const;

/** The words of these lines. */
function words(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}

/** Fields of voice engines and devices, which mean nothing to a model server on any path. */
const ENGINES = new Set([
  'context',
  'app_id',
  'user_uid',
  'channel',
  'timestamp',
  'interruptable',
  'interruptible',
  'elevenlabs_extra_body',
  'call',
  'customer',
  'phoneNumber',
]);

/** Parameters of model servers beside OpenAI's own. */
const PARAMETERS = words(
  // Sampling: vLLM, SGLang, llama.cpp, LM Studio, Together, Fireworks, KoboldCpp, TabbyAPI and others.
  'top_k min_p top_a typical_p typical tfs tfs_z top_n_sigma samplers repetition_penalty',
  'repeat_penalty repeat_last_n length_penalty penalty_alpha repetition_penalty_range',
  'no_repeat_ngram_size encoder_repetition_penalty penalty_score smoothing_factor smoothing_curve',
  'epsilon_cutoff eta_cutoff temperature_last do_sample min_keep n_probs post_sampling_probs',
  'guidance_scale negative_prompt random_seed best_of use_beam_search speculation draft_model',
  // Where an answer ends.
  'min_tokens ignore_eos ban_eos_token stop_token_ids stop_regex no_stop_trim',
  'include_stop_str_in_output bad_words allowed_token_ids custom_token_bans banned_tokens n_predict',
  'num_predict t_max_predict_ms max_output_tokens',
  // The form of an answer.
  'grammar grammar_string grammar_lazy grammar_triggers json_schema regex ebnf format',
  'structured_outputs structural_tag result_format incremental_output skip_special_tokens',
  'spaces_between_special_tokens add_special_tokens echo prompt_logprobs',
  // Thinking.
  'enable_thinking thinking thinking_budget thinking_token_budget preserve_thinking clear_thinking',
  'min_thinking_tokens max_thinking_tokens thinking_forced_open think reasoning include_reasoning',
  'reasoning_format reasoning_split reasoning_budget reasoning_budget_tokens reasoning_in_content',
  'reasoning_history separate_reasoning stream_reasoning disable_reasoning prompt_mode effort',
  'output_config tool_stream',
  // Prompts, caches and adapters.
  'chat_template chat_template_kwargs chat_template_args mm_processor_kwargs template',
  'add_generation_prompt continue_final_message truncate_prompt_tokens prompt_truncate_len documents',
  'citation_options context_length_exceeded_behavior context_management num_ctx cache_prompt',
  'cache_salt cache_control n_keep id_slot keep_alive ttl options raw lora lora_path priority nvext',
  'vllm_xargs parse_tool_calls',
  // Routers and clouds.
  'provider models route transforms plugins preset extra_body google data_sources safe_prompt',
  'safety_settings safety_model guardrails mask_sensitive_info compound_custom enable_search',
  'search_options search_parameters search_settings disable_search search_mode search_domain_filter',
  'search_recency_filter include_domains exclude_domains enable_citation enable_enhancement',
  'force_search_enhancement web_search translation_options vl_high_resolution_images asr_options',
  'image_config return_images return_related_questions',
);
const FAMILIES = /^(?:mirostat|guided|dry|xtc|dynatemp)(?:_|$)/;

/** Names by which a careless copy of an object would change what every object inherits. */
const UNSAFE = new Set(['__proto__', 'constructor', 'prototype']);

/** Where gateways such as LiteLLM send a request, and with which key: the operator's to say. */
const CONNECTION = words('api_base base_url api_key user_config headers extra_headers');

/** What decides here which request is made, how it is read back, and with what; a caller has no second way to say it. */
const NEVER_EXTRA = new Set(['model', 'messages', 'stream', 'stream_options', 'extra_body', ...UNSAFE]);

/**
 * A request whose `extra_body` is spread over it: some clients send that object as it is written in Python programs,
 * where the library spreads it. What stands beside it counts before it. Google's servers do know an `extra_body`, with
 * one field, which stays.
 */
export function withExtraBody(given: unknown): unknown {
  if (!isRecord(given) || given['extra_body'] === undefined) return given;
  const { extra_body: extra, ...beside } = given;
  // An object without fields, as PHP writes it, for example.
  if (!isRecord(extra)) return beside;
  const inner = isRecord(extra['extra_body']) ? extra['extra_body'] : {};
  const { google, ...others } = { ...inner, ...extra };
  const spread = Object.entries(others).filter(([name]) => !NEVER_EXTRA.has(name));
  return {
    ...Object.fromEntries(spread),
    ...beside,
    ...(google !== undefined && { extra_body: { google } }),
  };
}

export interface PassingOn {
  /** Whether the caller is a device or a voice engine. */
  readonly isDevice: boolean;
  /** The fields that have a meaning here. */
  readonly own: ReadonlySet<string>;
}

/** The fields of a request that go on to the model server, as they came. */
export function passedOn(
  given: Readonly<Record<string, unknown>>,
  { isDevice, own }: PassingOn,
): Readonly<Record<string, unknown>> {
  const goesOn = (name: string): boolean => {
    if (isStandard(name)) return true;
    if (own.has(name) || ENGINES.has(name) || UNSAFE.has(name) || CONNECTION.has(name)) return false;
    return !isDevice || isParameter(name);
  };
  const asked = given['stream_options'];
  const fields = Object.entries(given).filter(([name, value]) => goesOn(name) && !isNothing(name, value));
  // How a stream is read is decided here; that somebody asked for its options is all that goes on of them.
  return { ...Object.fromEntries(fields), ...(isRecord(asked) && { stream_options: asked }) };
}

function isStandard(name: string): boolean {
  return PASSED_ON.some((standard) => standard === name);
}

function isParameter(name: string): boolean {
  return PARAMETERS.has(name) || FAMILIES.test(name);
}

/** Null and nothing to stop at are "not given"; several servers refuse both. */
function isNothing(name: string, value: unknown): boolean {
  if (value == null) return true;
  return name === 'stop' && (value === '' || (Array.isArray(value) && value.length === 0));
}

const LIMITS = new Set(['max_tokens', 'max_completion_tokens']);

/** A request in which the words of other servers for "no limit", -1 and 0, are left out. */
export function withoutUnlimited(given: unknown): unknown {
  if (!isRecord(given)) return given;
  const isNoLimit = ([name, value]: readonly [string, unknown]): boolean =>
    LIMITS.has(name) && (value === -1 || value === 0);
  const entries = Object.entries(given);
  return entries.some(isNoLimit) ? Object.fromEntries(entries.filter((entry) => !isNoLimit(entry))) : given;
}

/** Fields whose values are numbers or yes and no, and that devices write as text. */
const SCALARS = words(
  'stream temperature top_p max_tokens max_completion_tokens n seed store logprobs top_logprobs',
  'frequency_penalty presence_penalty parallel_tool_calls top_k min_p top_a typical_p top_n_sigma',
  'repetition_penalty repeat_penalty length_penalty random_seed min_tokens ignore_eos cache_prompt',
  'safe_prompt do_sample enable_thinking thinking_budget include_reasoning think enable_search',
  'num_ctx',
);
/** Fields that name something or say something: empty text in one of them is not the same as none. */
const NEEDED = new Set(['model', 'messages']);

/** A device's request with its numbers and its yes and no as such, without fields that are empty text. */
export function withoutSlips(given: unknown): unknown {
  if (!isRecord(given)) return given;
  const entries = Object.entries(given)
    .filter(([name, value]) => value !== '' || NEEDED.has(name))
    .map(([name, value]) => [name, SCALARS.has(name) ? scalarOf(value) : value] as const);
  const read: Readonly<Record<string, unknown>> = Object.fromEntries(entries);
  const options = read['stream_options'];
  if (!isRecord(options)) return read;
  return { ...read, stream_options: { ...options, include_usage: scalarOf(options['include_usage']) } };
}

function scalarOf(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = value.trim().toLowerCase();
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null' || text === 'none') return null;
  return /^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : value;
}
