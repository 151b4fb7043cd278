/** Reads `GET /metrics` as a monitor does: every line must have a form that the format knows. */

const COMMENT = /^# (HELP|TYPE) [a-z_]+ .+$/;
const SAMPLE = /^([a-z_]+(?:\{[a-z]+="[^"\\]*"(?:,[a-z]+="[^"\\]*")*\})?) (\S+)$/;

/**
 * The samples of the API at `url`: the value by name and labels, as they are written. @throws for a line of an unknown
 * form.
 */
export async function metricsOf(url: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${url}/metrics`);
  const type = response.headers.get('content-type');
  if (type !== 'text/plain; version=0.0.4; charset=utf-8') throw new Error(`the type is ${type}`);
  const text = await response.text();
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const lines = text.slice(0, -1).split('\n');
  return new Map(
    lines.flatMap((line) => {
      // An empty line may stand between two metrics.
      if (line === '' || COMMENT.test(line)) return [];
      const [, name, value = ''] = SAMPLE.exec(line) ?? [];
      if (name === undefined || Number.isNaN(Number(value)))
        throw new Error(`not a line of metrics: ${line}`);
      return [[name, Number(value)]];
    }),
  );
}
