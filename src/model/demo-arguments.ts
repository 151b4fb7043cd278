/**
 * Arguments that the demo model makes up for a tool, from its JSON Schema and the question: enough to see the tool work.
 */
import { isRecord } from '../runs/record.ts';
import { stringOr } from './json.ts';

const NUMBER_WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const CHINESE_NUMBERS = '零一二三四五六七八九十';
/** Chinese names of cities that the documentation and its readers use; other cities are found by the name of their zone. */
const CHINESE_CITIES: Readonly<Record<string, string>> = {
  北京: 'Asia/Shanghai',
  上海: 'Asia/Shanghai',
  深圳: 'Asia/Shanghai',
  广州: 'Asia/Shanghai',
  香港: 'Asia/Hong_Kong',
  台北: 'Asia/Taipei',
  臺北: 'Asia/Taipei',
  东京: 'Asia/Tokyo',
  東京: 'Asia/Tokyo',
  伦敦: 'Europe/London',
  倫敦: 'Europe/London',
  纽约: 'America/New_York',
  紐約: 'America/New_York',
};

/**
 * Values for the properties of `parameters` that are required or that the question mentions: a number in it for
 * numbers, a place in it for a `timezone`, the question itself for texts.
 */
export function demoArguments(parameters: unknown, question: string): Readonly<Record<string, unknown>> {
  const properties =
    isRecord(parameters) && isRecord(parameters['properties']) ? parameters['properties'] : {};
  const required: readonly unknown[] =
    isRecord(parameters) && Array.isArray(parameters['required']) ? parameters['required'] : [];
  const args: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(properties)) {
    const value = valueFor(name, isRecord(schema) ? schema : {}, question, required.includes(name));
    if (value !== undefined) args[name] = value;
  }
  return args;
}

function valueFor(
  name: string,
  schema: Record<string, unknown>,
  question: string,
  isRequired: boolean,
): unknown {
  if (/time_?zone/i.test(name)) return zoneIn(question) ?? (isRequired ? 'UTC' : undefined);
  const type = stringOr(schema['type']);
  if (type === 'integer' || type === 'number') return numberIn(question) ?? (isRequired ? 1 : undefined);
  if (!isRequired) return undefined;
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  if (type === 'boolean') return true;
  if (type === 'array')
    return isRecord(schema['items']) && schema['items']['type'] === 'string' ? [question] : [];
  return type === 'object' ? {} : question;
}

/** The first number in the question, in digits or as a word up to ten. */
function numberIn(question: string): number | undefined {
  const digits = /\d{1,9}/.exec(question)?.[0];
  if (digits !== undefined) return Number(digits);
  const words = question.toLowerCase().match(/[a-z]+/g) ?? [];
  const word = words.map((each) => NUMBER_WORDS.indexOf(each)).find((index) => index !== -1);
  if (word !== undefined) return word;
  const digit = /[零一二两兩三四五六七八九十]/.exec(question)?.[0];
  if (digit === undefined) return undefined;
  return digit === '两' || digit === '兩' ? 2 : CHINESE_NUMBERS.indexOf(digit);
}

/** The time zone of a city that the question names. */
function zoneIn(question: string): string | undefined {
  const chinese = Object.keys(CHINESE_CITIES).find((city) => question.includes(city));
  if (chinese !== undefined) return CHINESE_CITIES[chinese];
  return Intl.supportedValuesOf('timeZone').find((zone) => {
    const city = zone.slice(zone.lastIndexOf('/') + 1).replaceAll('_', ' ');
    return new RegExp(`\\b${city.replaceAll(/[^\w ]/g, '.')}\\b`, 'i').test(question);
  });
}
