/**
 * The words with which servers end an answer. A closed list: a word that is not on it is no sign of an answer that came
 * to its end, because servers name errors there as well, such as `abort` and `MALFORMED_FUNCTION_CALL`.
 */

/** How an answer came to its end; `calls` with calls, to which an answer without any is no answer. */
type AnswerEnd = 'stop' | 'calls' | 'length' | 'content_filter';

/**
 * In lower case, because some servers shout. Gateways hand on the words of other protocols, so those are here as well,
 * with whose they are.
 */
const ENDS: ReadonlyMap<string, AnswerEnd> = new Map<string, AnswerEnd>([
  ['stop', 'stop'], // OpenAI; Gemini shouts it
  ['eos', 'stop'], // Together
  ['eos_token', 'stop'], // Text Generation Inference
  ['stop_sequence', 'stop'], // Text Generation Inference, Anthropic, Cohere
  ['end_turn', 'stop'], // Anthropic, Bedrock
  ['pause_turn', 'stop'], // Anthropic
  ['complete', 'stop'], // Cohere
  ['normal', 'stop'], // ERNIE
  ['finish', 'stop'],
  ['finished', 'stop'],
  ['completed', 'stop'],
  ['done', 'stop'], // Ollama
  ['stop_str', 'stop'],
  ['stop_token', 'stop'],
  ['tool_calls', 'calls'], // OpenAI
  ['function_call', 'calls'], // OpenAI, before there were several calls
  ['tool_call', 'calls'], // Cohere
  ['tool_use', 'calls'], // Anthropic, Bedrock
  ['length', 'length'], // OpenAI
  ['max_tokens', 'length'], // Anthropic, Bedrock, Cohere, Gemini
  ['model_length', 'length'], // Mistral: the context is full
  ['model_context_window_exceeded', 'length'], // Anthropic, GLM
  ['content_filter', 'content_filter'], // OpenAI
  ['content_filtered', 'content_filter'], // Bedrock
  ['guardrail_intervened', 'content_filter'], // Bedrock
  ['refusal', 'content_filter'], // Anthropic
  ['sensitive', 'content_filter'], // GLM
  ['error_toxic', 'content_filter'], // Cohere
  ['safety', 'content_filter'], // this and what follows: Gemini
  ['recitation', 'content_filter'],
  ['blocklist', 'content_filter'],
  ['prohibited_content', 'content_filter'],
  ['spii', 'content_filter'],
]);

/** How an answer with this finish reason ended; null when it is no known one. */
export function answerEndOf(said: string): AnswerEnd | null {
  return ENDS.get(wordOf(said)) ?? null;
}

/** Whether it is Google's word for no reason. */
export function isUnspecified(said: string): boolean {
  return wordOf(said) === 'unspecified';
}

/** `endTurn` and `FINISH_REASON_STOP` are words of the list as well. */
function wordOf(said: string): string {
  const snake = said.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').replaceAll(/[\s-]+/g, '_');
  return snake.toLowerCase().replace(/^(?:finish|stop)_reason_/, '');
}
