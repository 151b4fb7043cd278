/** Words of texts with and without spaces between them, and those of questions. */
import { expect, test } from 'vitest';
import { dividedWords, questionWords } from '../../src/runs/words.ts';

test('words that are written without spaces are divided, and others are left alone', () => {
  expect(dividedWords('The moon, l’été.')).toBeNull();
  expect(dividedWords('안녕하세요 세계')).toBeNull();
  expect(dividedWords('支持七天无理由退款,OK?')?.split(/\s+/)).toContain('退款');
  expect(dividedWords('see 東京の天気')).toMatch(/^see\s+東京 の 天気\s*$/);
  expect(dividedWords('ฉันรักประเทศไทย')?.trim().split(' ').length).toBeGreaterThan(2);
});

test('dividing a long text loses nothing, and takes time that grows with its length only', () => {
  const text = '根据退款政策,客户可以在三十天内申请全额退款。'.repeat(10_000);
  const divided = dividedWords(text) ?? '';
  expect(divided.replaceAll(' ', '')).toBe(text);
  const unbroken = '退款政策'.repeat(50_000);
  expect((dividedWords(unbroken) ?? '').replaceAll(' ', '')).toBe(unbroken);
});

test('a question is asked by its different words that say something', () => {
  expect(questionWords('How do I get a refund for the refund?')).toEqual(['get', 'refund']);
  expect(questionWords('我怎么退款')).toContain('退款');
  expect(questionWords('Who is who?')).toEqual(['who', 'is']);
  expect(questionWords('os.path.join("a")')).toEqual(['os', 'path', 'join']);
  expect(questionWords(' "*(){}^:-')).toEqual([]);
  expect(questionWords(`x ${'y'.repeat(10_000)}`)).toEqual(['x']);
  expect(questionWords(Array.from({ length: 1_000 }, (_, index) => `w${index}`).join(' '))).toHaveLength(64);
});
