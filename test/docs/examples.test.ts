/**
 * Every example of README and docs does what its document says with the service as `npm start` has it, the demo model included. The
 * examples of a document are played in their order: one makes the assistant that the next ones ask.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { INSTALL_MS } from '../clients/programs.ts';
import { blocksOf, DOCUMENTS } from './blocks.ts';
import { EXAMPLES, prepare } from './examples.ts';
import { DemoService, Stage } from './stage.ts';

const shared = new DemoService(inject('redisUrl'));
afterAll(() => shared.stop());

test('the table has every document', () => {
  expect(Object.keys(EXAMPLES).toSorted()).toEqual(DOCUMENTS.toSorted());
});

describe.for(DOCUMENTS)('%s', (document) => {
  const blocks = blocksOf(document);
  const examples = EXAMPLES[document] ?? [];
  let stage: Stage;

  beforeAll(async () => {
    stage = await Stage.open(inject('redisUrl'), shared);
    await prepare(document, stage);
  });
  afterAll(() => stage?.close());

  test('has the examples of the table, in their order, and no other', () => {
    const found = blocks.map(({ text, line }) => {
      const anchors = examples.filter(([anchor]) => text.includes(anchor)).map(([anchor]) => anchor);
      return anchors.length === 1 ? anchors[0] : `line ${line}: ${anchors.length} entries`;
    });
    expect(found).toEqual(examples.map(([anchor]) => anchor));
  });

  test.for(examples)('“%s” is true', { timeout: INSTALL_MS }, async ([anchor, check], context) => {
    const block = blocks.find(({ text }) => text.includes(anchor));
    expect(block).toBeDefined();
    if (block !== undefined) await check(block, stage, context);
  });
});
