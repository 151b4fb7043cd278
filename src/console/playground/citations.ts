/** Where an answer says something of a file: numbered marks in its text, and what lies behind them. */
import type { Annotation, Step } from '../wire.ts';

/** What marks are replaced by, as the address of a link in Markdown. */
const SCHEME = 'cite:';

/** The text with a numbered link in place of every citation. */
export function withMarks(text: string, annotations: readonly Annotation[]): string {
  let marked = text;
  const cited = annotations
    .map((annotation, index) => ({ annotation, index }))
    .filter(
      ({ annotation: { type, start_index: start, end_index: end } }) =>
        type === 'file_citation' && start < end,
    )
    .toSorted((one, other) => other.annotation.start_index - one.annotation.start_index);
  for (const { annotation, index } of cited) {
    const { start_index: start, end_index: end, text: said } = annotation;
    if (said !== undefined && text.slice(start, end) !== said) continue;
    marked = `${marked.slice(0, start)} [${index + 1}](${SCHEME}${index})${marked.slice(end)}`;
  }
  return marked;
}

/** The annotation to which a link of the text belongs: a mark of ours, or the path of a file that code has made. */
export function annotationAt(href: string, annotations: readonly Annotation[]): number | null {
  if (href.startsWith(SCHEME)) {
    const index = Number(href.slice(SCHEME.length));
    return annotations[index] === undefined ? null : index;
  }
  const index = annotations.findIndex(
    ({ type, text }) =>
      type === 'file_path' && text !== undefined && (text === href || encodeURI(text) === href),
  );
  return index === -1 ? null : index;
}

/** What a citation refers to: the server's quote, or else what the run's searches have found in that file. */
export function quoteOf(
  { text = '', file_citation: citation }: Annotation,
  steps: readonly Step[],
): string | null {
  if (citation?.quote !== undefined) return citation.quote;
  const results = steps.flatMap(({ step_details: details }) =>
    details.type === 'tool_calls'
      ? details.tool_calls.flatMap((call) =>
          call.type === 'file_search' ? [call.file_search.results ?? []] : [],
        )
      : [],
  );
  // 【2:0†name】 is the first result of the second search.
  const [, search = '', place = ''] = /(\d+):(\d+)/.exec(text) ?? [];
  const meant = [results[Number(search) - 1], results[Number(search)]]
    .map((list) => list?.[Number(place)])
    .find((result) => result?.file_id === citation?.file_id);
  const found = meant ?? results.flat().find(({ file_id: id }) => id === citation?.file_id);
  return found?.content?.map((part) => part.text).join('\n') ?? null;
}
